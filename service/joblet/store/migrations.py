"""Brings a database to the newest schema: numbered scripts, one transaction each.

The number of the last script that ran is SQLite's `user_version`. A script is never edited after
a release; a change is a new script.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from importlib.resources import files

from joblet.errors import JobletError


class StoreError(JobletError):
    """The database cannot be used at all; the sentence says why and what to do."""


def bundled() -> list[str]:
    """The scripts of this program, schema/0001.sql first."""
    schema = files("joblet.store").joinpath("schema")
    scripts = {entry.name: entry for entry in schema.iterdir() if entry.name.endswith(".sql")}
    names = [f"{number:04d}.sql" for number in range(1, len(scripts) + 1)]
    return [scripts[name].read_text("utf-8") for name in names]


def migrate(connection: sqlite3.Connection, scripts: Sequence[str], path: str) -> None:
    """Run what the database has not seen yet.

    Raises StoreError for a database of a newer program, sqlite3.Error when a script fails: that
    script and all after it then count as not run.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(scripts):
        raise StoreError(
            f"{path} was written by a newer joblet (schema {version}, this one knows "
            f"{len(scripts)}): upgrade joblet, or restore the copy made before its upgrade"
        )
    for number, script in enumerate(scripts[version:], version + 1):
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
