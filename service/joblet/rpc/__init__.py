"""What the bridge and a remote client share: the gRPC contract, its generated code, the mapping."""
