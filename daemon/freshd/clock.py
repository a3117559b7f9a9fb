"""The machine's clocks: the only file that reads them.

`boot` is CLOCK_BOOTTIME where the kernel has it (Linux), else CLOCK_MONOTONIC, which stops during suspend; the
supervisor notices a suspend either way, by the wall clock running ahead.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Final

from freshd.core.model import Moment

_BOOT_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
OWN_ID: Final = "process-"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def read_boot_id() -> str:
    """The kernel's id of this boot; where there is none, an id of this process: boots and waits then begin with it."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return f"{OWN_ID}{uuid.uuid4()}"


class SystemClock:
    """`ports.Clock` on the real clocks."""

    def __init__(self) -> None:
        self._boot_id = read_boot_id()
        self._start = time.clock_gettime(_BOOT_CLOCK) if self._boot_id.startswith(OWN_ID) else 0.0

    def now(self) -> Moment:
        """Both clocks at once."""
        return Moment(time.time(), self.boot(), self._boot_id)

    def boot(self) -> float:
        """Seconds since boot, or since the start of this process where boots cannot be told apart."""
        return time.clock_gettime(_BOOT_CLOCK) - self._start
