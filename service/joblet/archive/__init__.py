"""Moves files into and out of a directory that somebody else may own: tar streams, both ways."""
