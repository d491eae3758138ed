"""jobletd: options, logging, and the one place where the layers meet."""
