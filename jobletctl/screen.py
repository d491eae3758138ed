"""Pictures that change: drawn over each other on a terminal, one below the other anywhere else.

With --json they are records, a line each, also on a terminal.

Owns the terminal for as long as it lasts: alternate screen, cursor, keys, size, stop and go on
(Ctrl-Z, fg). Every way out gives it back as it was. What is drawn and when it changed is the
caller's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from jobletctl.output import Output

# Alternate screen, no cursor, no wrapping of lines; and back (xterm's control sequences).
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME = "\x1b[H"
_END_OF_LINE = "\x1b[K"
_END_OF_SCREEN = "\x1b[J"
# However much happens, a reader sees no more pictures than these.
_PAUSE_S = 0.2

Picture = Callable[[], Awaitable[Sequence[str]]]


class Screen:
    """One run of pictures; `changed` asks for the next one."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._end = asyncio.Event()
        self._again = asyncio.Event()
        self._ended_by: signal.Signals | None = None
        self._records = output.as_json
        self._on_terminal = output.interactive and not output.as_json
        # how to give the keyboard back
        self._typing: tuple[int, int, list[Any]] | None = None

    def changed(self) -> None:
        """There is something new to draw."""
        self._again.set()

    def end(self) -> None:
        """This was the last picture."""
        self._finish(None)

    async def run(self, picture: Picture, *, period_s: float, count: int | None = None) -> None:
        """Draw now, on every change and after each period; until Ctrl-C, `q`, or `count` pictures.

        A signal that asks the program to end does so when the terminal is as it was.
        """
        # A single picture is to stay.
        self._on_terminal = self._on_terminal and count != 1
        with ExitStack() as stack:
            stack.enter_context(self._signals())
            if self._on_terminal:
                stack.enter_context(self._keys())
                stack.enter_context(self._alternate())
            await self._draw_all(picture, period_s, count)
        if self._ended_by not in (None, signal.SIGINT):
            signal.raise_signal(self._ended_by)

    async def _draw_all(self, picture: Picture, period_s: float, count: int | None) -> None:
        drawn = 0
        while not self._end.is_set():
            self._again.clear()
            lines = await self._unless_ended(picture)
            if lines is None:
                return
            self._draw(lines, first=not drawn)
            drawn += 1
            if drawn == count:
                return
            pause_s = min(_PAUSE_S, period_s)
            await self._pause(self._end, pause_s)
            await self._pause(self._again, period_s - pause_s)

    async def _unless_ended(self, picture: Picture) -> Sequence[str] | None:
        """The lines, unless the end comes before they are there."""
        drawing = asyncio.ensure_future(picture())
        ending = asyncio.ensure_future(self._end.wait())
        try:
            await asyncio.wait([drawing, ending], return_when=asyncio.FIRST_COMPLETED)
            return drawing.result() if drawing.done() else None
        finally:
            for task in (drawing, ending):
                task.cancel()
            await asyncio.gather(drawing, ending, return_exceptions=True)

    async def _pause(self, event: asyncio.Event, duration_s: float) -> None:
        try:
            async with asyncio.timeout(duration_s):
                await event.wait()
        except TimeoutError:
            return

    def _draw(self, lines: Sequence[str], *, first: bool) -> None:
        if not self._on_terminal:
            text = "".join(f"{line}\n" for line in lines)
            self._output.picture(text if first or self._records else f"\n{text}")
            return
        rows = self._output.size()[1] or len(lines)
        # One write, so that nothing flickers. A line is erased before it is written: behind a full
        # one the cursor stands on its last character, which would go too.
        body = "\r\n".join(f"{_END_OF_LINE}{line}" for line in lines[:rows])
        rest = f"\r\n{_END_OF_SCREEN}" if len(lines) < rows else ""
        self._output.picture(f"{_HOME}{body}{rest}")

    def _finish(self, number: signal.Signals | None) -> None:
        self._ended_by = number
        self._end.set()
        self._again.set()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handled = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
        for number in handled:
            loop.add_signal_handler(number, self._finish, number)
        if self._on_terminal:
            loop.add_signal_handler(signal.SIGWINCH, self.changed)
            loop.add_signal_handler(signal.SIGTSTP, self._stop)
            handled += [signal.SIGWINCH, signal.SIGTSTP]
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        """Ctrl-Z: the shell gets its terminal back until we go on."""
        self._output.picture(_LEAVE)
        if self._typing is not None:
            termios.tcsetattr(*self._typing)
        os.kill(os.getpid(), signal.SIGSTOP)
        if self._typing is not None:
            tty.setcbreak(self._typing[0], termios.TCSADRAIN)
        self._output.picture(_ENTER)
        self.changed()

    @contextmanager
    def _alternate(self) -> Iterator[None]:
        self._output.picture(_ENTER)
        try:
            yield
        finally:
            self._output.picture(_LEAVE)

    @contextmanager
    def _keys(self) -> Iterator[None]:
        """`q` ends, as in top and less; nothing else that is typed shows."""
        if sys.stdin is None or not sys.stdin.isatty():
            yield
            return
        loop = asyncio.get_running_loop()
        fd = sys.stdin.fileno()
        self._typing = fd, termios.TCSADRAIN, termios.tcgetattr(fd)
        tty.setcbreak(fd, termios.TCSADRAIN)
        loop.add_reader(fd, self._key, fd)
        try:
            yield
        finally:
            loop.remove_reader(fd)
            termios.tcsetattr(*self._typing)

    def _key(self, fd: int) -> None:
        typed = os.read(fd, 64)
        if not typed or b"q" in typed.lower():
            self.end()
