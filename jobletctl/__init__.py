"""The command line of Joblet: a client and nothing more."""
