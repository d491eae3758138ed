"""One file per gRPC service, thin: a message in, the client asked, a message out."""
