"""One thread that runs calls in order and hands each result to the event loop.

SQLite connections stay in the thread that made them. An executor would do the same at several
times the cost per call, and its idle threads are not bound to one connection.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """A named thread, from construction inside a running loop until `stop`."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon that fails before it could close must still be able to exit.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run it in the thread, after all calls before it."""
        future: asyncio.Future[T] = self._loop.create_future()

        def run() -> None:
            try:
                result = call()
            except Exception as err:
                self._loop.call_soon_threadsafe(_fail, future, err)
            else:
                self._loop.call_soon_threadsafe(_finish, future, result)

        self._calls.put(run)
        return future

    def send(self, call: Callable[[], None], back: Callable[[Exception | None], None]) -> None:
        """The same without a future: `back` is called in the loop, with the error if there is one.

        A future would call back one round of the loop later, and every durable write pays that.
        """

        def run() -> None:
            error = None
            try:
                call()
            except Exception as err:
                error = err
            self._loop.call_soon_threadsafe(back, error)

        self._calls.put(run)

    def stop(self) -> None:
        """End the thread; every call that was submitted must have come back."""
        self._calls.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            # While it waits, the thread must not hold on to what it ran last.
            del call


def _finish(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
