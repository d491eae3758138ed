"""Runs a classic BPF program as the kernel does, for one system call."""

from __future__ import annotations

import struct
from collections.abc import Sequence


def verdict(program: bytes, architecture: int, number: int, arguments: Sequence[int] = ()) -> int:
    """What a program that the kernel takes returns."""
    given = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=iIQ6Q", number, architecture, 0, *given)
    instructions = list(struct.iter_unpack("=HBBI", program))
    at, word = 0, 0
    while True:
        code, if_true, if_false, value = instructions[at]
        at += 1
        if code == 0x20:
            (word,) = struct.unpack_from("=I", data, value)
        elif code == 0x05:
            at += value
        elif code == 0x06:
            return int(value)
        else:
            test = {0x15: word == value, 0x35: word >= value, 0x45: bool(word & value)}[code]
            at += if_true if test else if_false
