"""outlets.apart: disk work holds up neither the loop nor other files."""

from __future__ import annotations

import asyncio
import threading

import pytest

from freshd.errors import StoreError
from freshd.outlets.apart import Apart


async def test_what_the_work_returns_and_raises_comes_back() -> None:
    apart = Apart()
    assert await apart.run("a", lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        await apart.run("a", lambda: 1 // 0)


async def test_I11_a_hanging_disk_is_given_up_and_another_file_goes_on() -> None:
    gate, done = threading.Event(), list[str]()
    try:
        with pytest.raises(StoreError, match="did not answer"):
            await Apart(0.01).run("slow", gate.wait)
        apart = Apart(50.0)
        slow = asyncio.ensure_future(apart.run("slow", gate.wait))
        next_one = asyncio.ensure_future(apart.run("slow", lambda: done.append("slow")))
        await apart.run("fast", lambda: done.append("fast"))
        assert done == ["fast"]
    finally:
        gate.set()
    await asyncio.gather(slow, next_one)
    assert done == ["fast", "slow"]


async def test_what_was_given_up_is_waited_for_before_the_next() -> None:
    apart, gate, order = Apart(5.0), threading.Event(), list[int]()

    def first() -> None:
        gate.wait()
        order.append(1)

    one = asyncio.ensure_future(apart.run("a", first))
    two = asyncio.ensure_future(apart.run("a", lambda: order.append(2)))
    await asyncio.sleep(0)
    one.cancel()
    gate.set()
    await two
    assert order == [1, 2]


async def test_no_thread_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(StoreError, match="no thread"):
        await Apart().run("a", lambda: 5)
