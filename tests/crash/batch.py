"""Trials begun together, for tests that look at them one by one: each takes two starts of a daemon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from tests.crash.services import Service
from tests.crash.spec import Spec
from tests.crash.trial import Result, tried

AT_ONCE: Final = 3


class Batch:
    """All are begun as soon as one is asked for."""

    def __init__(self, service: Service, specs: Sequence[Spec], keyring_env: Mapping[str, str] | None = None) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._begun: dict[str | int, Future[Result]] = {
            spec.mark or spec.number: self._pool.submit(tried, spec, service, keyring_env) for spec in specs
        }

    def result(self, of: str | int) -> Result:
        """What came of the trial at that mark, or of that number."""
        return self._begun[of].result()

    def close(self) -> None:
        """Begin no more, and wait for those under way."""
        self._pool.shutdown(cancel_futures=True)
