"""What somebody does all the while, on a thread of its own, beside the test."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Shift(ABC):
    """A context manager: the work begins with it, and is over and waited for at its end."""

    def __init__(self) -> None:
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._thread.join()

    @abstractmethod
    def _work(self) -> None:
        """Goes on until `_ends` is set; waits for nothing else without a limit."""
