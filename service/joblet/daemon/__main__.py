"""jobletd: reads options and configuration, sets up logging, runs until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from importlib import metadata

from joblet import config
from joblet.config import ConfigError
from joblet.daemon import wiring
from joblet.errors import JobletError
from joblet.paths import Paths

# sysexits.h; the unit does not restart a daemon that cannot read its configuration.
EX_CONFIG = 78
# sd-daemon(3): the level in front of each line, understood by the journal.
_JOURNAL_LEVELS = {
    logging.DEBUG: "<7>",
    logging.INFO: "<6>",
    logging.WARNING: "<4>",
    logging.ERROR: "<3>",
    logging.CRITICAL: "<2>",
}
_SYSTEMD_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "notice": logging.INFO,
    "warning": logging.WARNING,
    "err": logging.ERROR,
    "crit": logging.CRITICAL,
}


class _JournalFormatter(logging.Formatter):
    """One event, one entry: every line of it carries the level."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = _JOURNAL_LEVELS.get(record.levelno, "<6>")
        return prefix + super().format(record).replace("\n", "\n" + prefix)


def main() -> int:
    """Entry point of the launcher that ExecStart names."""
    parser = argparse.ArgumentParser(prog="jobletd", description="Joblet job runner, D-Bus service")
    parser.add_argument("--version", action="version", version=_version())
    parser.parse_args()
    _set_up_logging()
    log = logging.getLogger("jobletd")
    paths = Paths.from_environment()
    try:
        settings = config.load(paths.config_file)
        asyncio.run(wiring.run(settings, paths, _version()))
    except ConfigError as err:
        log.error("%s", err)
        return EX_CONFIG
    except JobletError as err:
        log.error("%s", err)
        return 1
    return 0


def _set_up_logging() -> None:
    level = _SYSTEMD_LEVELS.get(os.environ.get("SYSTEMD_LOG_LEVEL", "info"), logging.INFO)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JournalFormatter("%(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def _version() -> str:
    try:
        return metadata.version("joblet")
    except metadata.PackageNotFoundError:
        return "0+unpackaged"


if __name__ == "__main__":
    sys.exit(main())
