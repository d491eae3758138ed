"""Formats that two programs share on disk or on a socket; the leaf below everything else."""
