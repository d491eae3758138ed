"""Pure: what each system call gets, to the classic BPF program that seccomp(2) takes.

libseccomp writes such programs too, but gives every call a leaf of its own and cannot say both
"refused" and "unknown" for one call. Here neighbours with the same fate share a leaf: half of the
instructions, which the kernel checks and compiles anew for every job.

Sources: seccomp(2), bpf(4), Documentation/userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

# What a program returns, of <linux/seccomp.h>
ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000

# Instructions, of <linux/bpf_common.h>: load a word at a fixed place, jumps, return
_LOAD = 0x20
_JUMP = 0x05
_IF_EQUAL = 0x15
_IF_AT_LEAST = 0x35
_IF_ANY_BIT = 0x45
_RETURN = 0x06
# Of struct seccomp_data, which a program reads: the call's number, the calling convention, and
# six arguments of eight bytes. Both machines that Joblet knows are little-endian.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_WORD = 0xFFFFFFFF
INSTRUCTIONS_MAX = 4096  # BPF_MAXINSNS
# How far a conditional jump goes; _JUMP has a whole word.
_NEAR = 0xFF


@dataclass(frozen=True, slots=True)
class When:
    """A decision by one word of an argument, by default the low one: all that an int has."""

    argument: int
    value: int
    then: Fate
    otherwise: Fate
    any_bit: bool = False  # the word has a bit of the value, else: it is the value
    high: bool = False


# What SECCOMP_RET_ says, or a decision.
Fate = int | When

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def refused(errno: int) -> int:
    """The call does nothing and fails with this errno."""
    return _ERRNO | errno


def one_of(argument: int, values: tuple[int, ...], then: Fate, otherwise: Fate) -> Fate:
    """A decision by whether the argument is among these values."""
    fate = otherwise
    for value in reversed(values):
        fate = When(argument, value, then, fate)
    return fate


def only_bits(argument: int, bits: int, then: Fate, otherwise: Fate) -> Fate:
    """A decision by whether the argument, a long, has none but these low bits."""
    word = When(argument, ~bits & _WORD, otherwise, then, any_bit=True)
    return When(argument, _WORD, otherwise, word, any_bit=True, high=True)


def program(architecture: int, fates: Mapping[int, Fate], unknown: int, foreign: int) -> bytes:
    """The instructions for calls by number.

    unknown is the fate of every number that is not among them, foreign that of every call in
    another convention than the architecture's (AUDIT_ARCH_ of <linux/audit.h>). Raises ValueError
    for a program that no kernel takes.
    """
    instructions = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, foreign),
        (_LOAD, 0, 0, _NUMBER),
        *_search(_runs(fates, unknown)),
    ]
    if len(instructions) > INSTRUCTIONS_MAX:
        raise ValueError(f"a program of {len(instructions)} instructions")
    return b"".join(struct.pack("=HBBI", *one) for one in instructions)


def _runs(fates: Mapping[int, Fate], unknown: int) -> list[tuple[int, Fate]]:
    """Where the fate changes, and to what, from number 0 to beyond the last."""
    runs: list[tuple[int, Fate]] = []
    for number in range(max(fates) + 2):
        fate = fates.get(number, unknown)
        if not runs or runs[-1][1] != fate:
            runs.append((number, fate))
    return runs


def _search(runs: list[tuple[int, Fate]]) -> list[_Instruction]:
    """A binary search for the run that the number is in."""
    if len(runs) == 1:
        return _decide(runs[0][1])
    middle = len(runs) // 2
    below, above = _search(runs[:middle]), _search(runs[middle:])
    return [*_skip(_IF_AT_LEAST, runs[middle][0], len(below)), *below, *above]


def _decide(fate: Fate, loaded: int = _NUMBER) -> list[_Instruction]:
    """loaded: the place of the word that the program looked at last."""
    if isinstance(fate, int):
        return [(_RETURN, 0, 0, fate)]
    place = _ARGUMENTS + 8 * fate.argument + 4 * fate.high
    otherwise, then = _decide(fate.otherwise, place), _decide(fate.then, place)
    test = _IF_ANY_BIT if fate.any_bit else _IF_EQUAL
    return [
        *([(_LOAD, 0, 0, place)] if place != loaded else []),
        *_skip(test, fate.value, len(otherwise)),
        *otherwise,
        *then,
    ]


def _skip(test: int, value: int, instructions: int) -> list[_Instruction]:
    """Leave so many instructions out when the test is true."""
    if instructions <= _NEAR:
        return [(test, instructions, 0, value)]
    return [(test, 0, 1, value), (_JUMP, 0, 0, instructions)]
