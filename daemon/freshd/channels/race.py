"""The first of several waits; no loser is left running."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any


async def first(*waits: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever the first one returns
    """What the first of them returns; the others are cancelled, and waited for."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await _over(tasks)


async def _over(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Return once all have ended.  A cancellation waits for that too: what closes a connection is not cut short."""
    is_cancelled = False
    while any(not task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            is_cancelled = True
    for task in tasks:
        if not task.cancelled():
            task.exception()  # whoever wanted it has it
    if is_cancelled:
        raise asyncio.CancelledError
