"""Which version this jobletctl is of."""

from __future__ import annotations


def installed() -> str:
    """The version of the package; a checkout that was never installed has none."""
    # costs more than a list of jobs
    from importlib import metadata

    try:
        return metadata.version("joblet")
    except metadata.PackageNotFoundError:
        return "0+unpackaged"
