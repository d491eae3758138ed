"""One lock per key."""

from __future__ import annotations

import asyncio

import pytest

from joblet.core.locks import KeyedLocks


async def test_one_key_is_held_by_one_at_a_time_in_order() -> None:
    locks = KeyedLocks()
    inside: list[str] = []

    async def use(name: str) -> None:
        async with locks.held("key"):
            inside.append(f"{name} in")
            await asyncio.sleep(1)
            inside.append(f"{name} out")

    await asyncio.gather(use("a"), use("b"), use("c"))
    assert inside == ["a in", "a out", "b in", "b out", "c in", "c out"]


async def test_another_key_does_not_wait() -> None:
    locks = KeyedLocks()
    async with locks.held("one"), asyncio.timeout(1), locks.held("two"):
        pass


async def test_an_exception_inside_releases_the_lock() -> None:
    locks = KeyedLocks()
    with pytest.raises(RuntimeError, match="inside"):
        async with locks.held("key"):
            raise RuntimeError("inside")
    async with asyncio.timeout(1), locks.held("key"):
        pass


async def test_one_who_gave_up_waiting_does_not_free_the_lock_for_others() -> None:
    locks = KeyedLocks()
    entered = []

    async def use() -> None:
        async with locks.held("key"):
            entered.append(1)

    async with locks.held("key"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await use()
        waiting = asyncio.ensure_future(use())
        await asyncio.sleep(1)
        assert entered == []
    await waiting
    assert entered == [1]
