"""The programs, run: every number has the fate that was asked for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.host import bpf
from joblet.host.bpf import ALLOW, KILL_PROCESS, Fate, When, one_of, only_bits, refused
from tests.unit.host.machine_code import verdict

HERE, ELSEWHERE = 0xC000003E, 0x40000003
UNKNOWN = refused(38)
FATES = st.sampled_from([ALLOW, refused(1), refused(97), KILL_PROCESS])
WORDS = st.integers(0, 2**32 - 1)


def decided(fates: st.SearchStrategy[Fate]) -> st.SearchStrategy[Fate]:
    return st.builds(
        When, st.integers(0, 5), WORDS, fates, fates, any_bit=st.booleans(), high=st.booleans()
    )


def meant(fate: Fate, arguments: list[int]) -> int:
    while isinstance(fate, When):
        word = arguments[fate.argument] >> 32 * fate.high & 0xFFFFFFFF
        true = word & fate.value if fate.any_bit else word == fate.value
        fate = fate.then if true else fate.otherwise
    return fate


@given(
    st.dictionaries(st.integers(0, 600), st.recursive(FATES, decided, max_leaves=6), min_size=1),
    st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6),
)
def test_every_call_has_its_fate(fates: dict[int, Fate], arguments: list[int]) -> None:
    made = bpf.program(HERE, fates, UNKNOWN, KILL_PROCESS)
    for number in (*range(602), 0x40000000, 0x40000001, 0x7FFFFFFF, -1):
        fate = meant(fates.get(number, UNKNOWN), arguments)
        assert verdict(made, HERE, number, arguments) == fate, number
        assert verdict(made, ELSEWHERE, number, arguments) == KILL_PROCESS


@given(st.sets(WORDS, max_size=4), WORDS, st.integers(0, 2**32 - 1))
def test_one_of_looks_at_the_low_word_alone(values: set[int], word: int, high: int) -> None:
    fate = one_of(3, tuple(values), ALLOW, refused(1))
    made = bpf.program(HERE, {7: fate}, UNKNOWN, KILL_PROCESS)
    expected = ALLOW if word in values else refused(1)
    assert verdict(made, HERE, 7, [0, 0, 0, high << 32 | word]) == expected


@given(WORDS, st.integers(0, 2**64 - 1))
def test_only_bits_looks_at_the_whole_argument(bits: int, argument: int) -> None:
    fate = only_bits(2, bits, ALLOW, refused(1))
    made = bpf.program(HERE, {7: fate}, UNKNOWN, KILL_PROCESS)
    for given_bits in (argument, argument & bits, argument & bits | 1 << 37):
        expected = refused(1) if given_bits & ~bits else ALLOW
        assert verdict(made, HERE, 7, [0, 0, given_bits]) == expected


def test_a_program_that_no_kernel_takes_is_none() -> None:
    fates: dict[int, Fate] = {number: refused(1 + number % 2) for number in range(2100)}
    with pytest.raises(ValueError, match="a program of 4220 instructions"):
        bpf.program(HERE, fates, UNKNOWN, KILL_PROCESS)


def test_a_program_may_be_longer_than_a_jump_is_far() -> None:
    fates: dict[int, Fate] = {number: refused(1 + number % 2) for number in range(900)}
    fates[900] = one_of(0, tuple(range(300)), ALLOW, refused(3))
    made = bpf.program(HERE, fates, UNKNOWN, KILL_PROCESS)
    assert len(made) // 8 > 256
    for number in range(900):
        assert verdict(made, HERE, number) == refused(1 + number % 2)
    for word in (0, 1, 149, 299):
        assert verdict(made, HERE, 900, [word]) == ALLOW
    assert verdict(made, HERE, 900, [300]) == refused(3)
    assert verdict(made, HERE, 901) == UNKNOWN
