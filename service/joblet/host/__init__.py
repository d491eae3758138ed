"""Adapters: one per thing of the host, no policy."""
