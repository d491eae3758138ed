"""How a program talks to jobletd: one Protocol, one module per transport."""
