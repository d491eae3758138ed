"""What the libraries of the bridge say of their own accord: one line, without where they noticed.

Strangers decide what they say: a traceback for each odd byte would bury the journal, and tell
nothing that its last line does not.
"""

from __future__ import annotations

import logging

_LINE_MAX = 200


def on_one_line(logger: logging.Logger) -> logging.Logger:
    """The same logger, whose tracebacks are one line of a warning each. Idempotent."""
    if _shorten not in logger.filters:
        logger.addFilter(_shorten)
    return logger


def _shorten(record: logging.LogRecord) -> bool:
    if record.exc_info and record.exc_info[1] is not None:
        what = repr(record.exc_info[1])[:_LINE_MAX]
        record.msg, record.args = "%s: %s", (record.getMessage()[:_LINE_MAX], what)
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True
