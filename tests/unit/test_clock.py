"""The machine's clocks: which is which."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import time_machine

from freshd import clock
from freshd.clock import SystemClock, read_boot_id
from freshd.core.age import age


def test_boot_time_counts_suspend_where_the_kernel_does() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    found = SystemClock().boot()
    assert before <= found <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_both_clocks_are_read_at_once_and_the_boot_is_named() -> None:
    one = SystemClock()
    first, second = one.now(), one.now()
    assert first.boot <= second.boot <= one.boot()
    assert first.boot_id == second.boot_id == SystemClock().now().boot_id == read_boot_id()
    assert first.wall > 1_600_000_000


def test_I9_a_step_of_the_wall_clock_moves_no_life() -> None:
    one = SystemClock()
    before = one.now()
    for years in (-20, 20):
        with time_machine.travel(before.wall + years * 31_536_000.0):
            now = one.now()
            assert abs(now.wall - before.wall) > 30_000_000
            assert age(before, now).proven
            assert age(before, now).seconds < 3600.0


def test_without_the_kernels_id_every_process_counts_as_a_boot_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_BOOT_ID", tmp_path / "none")
    first, second = SystemClock(), SystemClock()
    assert first.now().boot_id.startswith("process-")
    assert first.now().boot_id == first.now().boot_id != second.now().boot_id
