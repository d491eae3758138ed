"""joblet-bridge: remote access over gRPC with mutual TLS; a client of jobletd like any other."""
