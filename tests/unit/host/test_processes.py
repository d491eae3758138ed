"""Which processes a SIGTERM reaches."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from joblet.host import processes


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    handler = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    signal.signal(signal.SIGTERM, handler)


def test_default_action_is_lost_on_pid_1() -> None:
    assert not processes.hears_sigterm(os.getpid())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert not processes.hears_sigterm(os.getpid())


def test_handler_hears() -> None:
    signal.signal(signal.SIGTERM, lambda *_: None)
    assert processes.hears_sigterm(os.getpid())


def test_who_waits_for_a_blocked_signal_hears() -> None:
    """As who reads a signalfd does: without a handler."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    assert processes.hears_sigterm(os.getpid())


def test_process_that_is_gone_hears_nothing() -> None:
    assert not processes.hears_sigterm(1 << 22)
