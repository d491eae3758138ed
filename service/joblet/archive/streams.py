"""The two ends of a stream: a buffered source and a buffered sink on descriptors.

Small pieces pass one buffer of a MiB; big contents go from descriptor to descriptor inside the
kernel (splice(2), sendfile(2)) where the two kinds allow it. Neither owns its descriptor. A
descriptor that somebody has made non-blocking is waited for.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import stat

from joblet.errors import HostFailure

BUFFER_SIZE = 1 << 20
# Below this the buffer is as fast, and the next header is in it already.
_DIRECT_MIN = 256 * 1024
_DIRECT_MAX = 16 << 20
# What "this pair cannot do that" looks like: splice(2), sendfile(2).
_UNABLE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class Source:
    """Reads a stream from a descriptor, in pieces and in whole contents.

    `taken` counts the bytes read until now.
    """

    __slots__ = ("_buffer", "_direct", "_end", "_fd", "_start", "taken")

    def __init__(self, fd: int) -> None:
        self.taken = 0
        self._fd = fd
        self._buffer = memoryview(bytearray(BUFFER_SIZE))
        self._start = self._end = 0
        self._direct = _widen(fd)

    def take(self, count: int) -> bytes:
        """The next bytes, at most BUFFER_SIZE; fewer only at the end of the stream."""
        while self._end - self._start < count:
            if not self._fill():
                break
        start = self._start
        self._start = min(start + count, self._end)
        return bytes(self._buffer[start : self._start])

    def copy(self, target: int, count: int) -> int:
        """Write the next bytes to a regular file; how many there were.

        Raises OSError for what the file refuses, HostFailure for what the stream does.
        """
        left = count
        while left:
            ready = min(left, self._end - self._start)
            if ready:
                done = os.write(target, self._buffer[self._start : self._start + ready])
                self._start += done
            elif self._direct and left >= _DIRECT_MIN:
                moved = self._move(target, min(left, _DIRECT_MAX))
                if moved is None:
                    continue
                if not moved:
                    break
                done = moved
            elif self._fill():
                continue
            else:
                break
            left -= done
        return count - left

    def skip(self, count: int) -> int:
        """Pass over the next bytes; how many there were."""
        left = count
        while left:
            done = min(left, self._end - self._start)
            self._start += done
            left -= done
            if left and not self._fill():
                break
        return count - left

    def _fill(self) -> bool:
        """Read more behind what is there; False at the end of the stream."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == BUFFER_SIZE:
            rest = bytes(self._buffer[self._start :])
            self._start, self._end = 0, len(rest)
            self._buffer[: self._end] = rest
        try:
            while True:
                try:
                    got = os.readv(self._fd, [self._buffer[self._end :]])
                    break
                except BlockingIOError:
                    _wait(self._fd, select.POLLIN)
        except OSError as err:
            raise HostFailure("read the archive", err.errno or 0) from err
        self._end += got
        self.taken += got
        return got > 0

    def _move(self, target: int, count: int) -> int | None:
        """Let the kernel copy; None when that has to be tried again, in this way or another."""
        try:
            if self._direct == _PIPE:
                moved = os.splice(self._fd, target, count)
            else:
                moved = os.sendfile(target, self._fd, None, count)
            self.taken += moved
            return moved
        except BlockingIOError:
            _wait(self._fd, select.POLLIN)
        except OSError as err:
            if err.errno not in _UNABLE:
                raise
            self._direct = ""
        return None


class Sink:
    """Writes a stream to a descriptor. `flush` at the end. `written` counts the bytes."""

    __slots__ = ("_buffer", "_direct", "_end", "_fd", "written")

    def __init__(self, fd: int) -> None:
        self.written = 0
        self._fd = fd
        self._buffer = memoryview(bytearray(BUFFER_SIZE))
        self._end = 0
        self._direct = True
        _widen(fd)

    def put(self, data: bytes) -> None:
        """Append bytes. Raises HostFailure, as all the others."""
        done = 0
        while done < len(data):
            if self._end == BUFFER_SIZE:
                self.flush()
            size = min(len(data) - done, BUFFER_SIZE - self._end)
            self._buffer[self._end : self._end + size] = data[done : done + size]
            self._end += size
            done += size

    def zeros(self, count: int) -> None:
        """Append NUL bytes."""
        while count > 0:
            size = min(count, 1 << 16)
            self.put(bytes(size))
            count -= size

    def copy(self, source: int, count: int) -> int:
        """Append at most `count` bytes of an open file from its position; how many there were.

        Raises OSError for what the file refuses, HostFailure for what the stream does.
        """
        left = count
        while left:
            if self._direct and left >= _DIRECT_MIN:
                self.flush()
                done = self._send(source, min(left, _DIRECT_MAX))
                if done is None:
                    continue
            else:
                if self._end == BUFFER_SIZE:
                    self.flush()
                room = min(left, BUFFER_SIZE - self._end)
                done = os.readv(source, [self._buffer[self._end : self._end + room]])
                self._end += done
            if not done:
                break
            left -= done
        return count - left

    def flush(self) -> None:
        """Write what is buffered."""
        done = 0
        try:
            while done < self._end:
                try:
                    done += os.write(self._fd, self._buffer[done : self._end])
                except BlockingIOError:
                    _wait(self._fd, select.POLLOUT)
        except OSError as err:
            raise HostFailure("write the archive", err.errno or 0) from err
        self.written += self._end
        self._end = 0

    def _send(self, source: int, count: int) -> int | None:
        try:
            sent = os.sendfile(self._fd, source, None, count)
            self.written += sent
            return sent
        except BlockingIOError:
            _wait(self._fd, select.POLLOUT)
        except OSError as err:
            # sendfile does not say which side failed. The buffered way does, and comes to the same
            # end where neither can go on.
            if err.errno in (errno.EPIPE, errno.ECONNRESET, errno.ENOSPC, errno.EDQUOT):
                raise HostFailure("write the archive", err.errno) from err
            self._direct = False
        return None


_libc = ctypes.CDLL(None, use_errno=True)


def sync(fd: int) -> None:
    """Everything written to the file system of a descriptor is on its disk. Raises HostFailure.

    One syncfs(2), because an fsync of each of ten thousand files would wait ten thousand times.
    """
    if _libc.syncfs(ctypes.c_int(fd)) != 0:
        raise HostFailure("write to the disk", ctypes.get_errno())


_PIPE = "pipe"
_REGULAR = "file"


def _widen(fd: int) -> str:
    """What kind of stream it is, as far as the kernel copies from it; a pipe is made wider."""
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return _REGULAR
    if not stat.S_ISFIFO(mode):
        return ""
    try:
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, BUFFER_SIZE)
    except OSError as err:
        # The system's or the user's limit (pipe(7)), or it holds more than that. It is about speed.
        if err.errno not in (errno.EPERM, errno.EBUSY):
            raise
    return _PIPE


def _wait(fd: int, event: int) -> None:
    ready = select.poll()
    ready.register(fd, event)
    ready.poll()
