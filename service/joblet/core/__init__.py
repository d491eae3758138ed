"""Decisions and state changes; what happens in the world is handed in through ports."""
