"""The watch that goes with every run of pytest: what is written while tests run is looked through for the run's marks.

    what                                        when it is looked at            found by
    events and errors in this process           as they are made                their own constructors
    arguments and environment of what starts    before it starts                an audit hook
    a test's temporary folder                   after the test                  its files
    all other temporary folders of the run      at the end of the run           the same
    captured output and log lines               after each phase of a test      pytest's sections

What daemons say and answer is looked at where tests talk to them: `tests/flow/bed.py`, `tests/crash/scene.py`.  A
failing test's own report is not looked at: pytest shows there what the test compared.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final

import pytest

from freshd.core.events import Event
from freshd.errors import FreshdError
from tests.canary import plant, search

SANDBOX: Final = "freshd.sandbox.tokens"
TESTS_OF_SANDBOX: Final = Path(__file__).parents[1] / "sandbox"


class Watch:
    """A plugin.  `leaks`: what was seen and not told yet."""

    def __init__(self) -> None:
        self.leaks: list[str] = []
        self._looked_at: set[Path] = set()
        self._ended: list[str] = []
        self._base: Path | None = None

    # -- pytest's hooks ----------------------------------------------------------------------------------------------

    def pytest_configure(self) -> None:
        tap(Event, self._event)
        tap(FreshdError, self._error)
        _listeners.append(self._start)
        if "sys.audit" not in _installed:
            sys.addaudithook(_audit)
            _installed.add("sys.audit")

    def pytest_unconfigure(self) -> None:
        untap(Event, self._event)
        untap(FreshdError, self._error)
        _listeners.remove(self._start)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if SANDBOX in sys.modules:
            plant.plant()
            plant.mark_claims(on=TESTS_OF_SANDBOX not in item.path.parents)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        yield
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        if isinstance(folder, Path):
            self._base = self._base or folder.parent
            self._looked_at.add(folder)
            self.leaks += search.in_folder(folder)
        for when, name, text in item._report_sections:
            self.leaks += [f"{name} of {when}: {one}" for one in search.sights(_raw(text))]
        if self.leaks:
            told, self.leaks = self.leaks, []
            pytest.fail("a secret was written: " + "; ".join(sorted(set(told))[:20]), pytrace=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        late = [text for name, text in report.sections if name.endswith("teardown")]
        self._ended += [f"{item.nodeid}, teardown: {one}" for text in late for one in search.sights(_raw(text))]
        return report

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        factory = getattr(session.config, "_tmp_path_factory", None)
        base: Path | None = getattr(factory, "_basetemp", None)
        for folder in sorted(base.iterdir()) if base is not None and base.is_dir() else []:
            if folder not in self._looked_at and folder.is_dir() and not folder.is_symlink():
                self._ended += [f"{folder.name}/{one}" for one in search.in_folder(folder)]
        self._ended += self.leaks
        if self._ended:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:  # noqa: ANN401 - pytest does not export it
        if self._ended:
            terminalreporter.section("secrets that were written", red=True)
            for line in sorted(set(self._ended)):
                terminalreporter.write_line(line)

    # -- what is heard -----------------------------------------------------------------------------------------------

    def _event(self, event: Event) -> None:
        text = f"{event.name} {event.account} {dict(event.fields)!r} {event.remedy}"
        self.leaks += [f"event {event.name}: {one}" for one in search.sights(_raw(text))]

    def _error(self, error: FreshdError) -> None:
        text = f"{error.args!r} {error.cause} {error.remedy} {getattr(error, 'problems', '')}"
        self.leaks += [f"error {type(error).__name__}: {one}" for one in search.sights(_raw(text))]

    def _start(self, words: Any, environ: Any) -> None:  # noqa: ANN401 - as the interpreter gives them
        self.leaks += [f"start of a process, {one}" for one in search.of_start(words, environ)]


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def tap(kind: type, hear: Callable[[Any], None]) -> None:
    """Have every new object of a class heard."""
    if kind not in _plain:
        _plain[kind] = plain = kind.__init__  # type: ignore[misc]

        @functools.wraps(plain)
        def made(self: Any, *args: Any, **more: Any) -> None:  # noqa: ANN401 - whatever the class takes
            plain(self, *args, **more)
            for ear in _ears[kind]:
                ear(self)

        kind.__init__ = made  # type: ignore[misc]
    _ears.setdefault(kind, []).append(hear)


def untap(kind: type, hear: Callable[[Any], None]) -> None:
    """No longer."""
    _ears[kind].remove(hear)


_plain: Final[dict[type, Any]] = {}
_ears: Final[dict[type, list[Callable[[Any], None]]]] = {}
_listeners: Final[list[Callable[[Any, Any], None]]] = []
_installed: Final[set[str]] = set()
"""An audit hook cannot be taken away again: there is one, and listeners come and go."""


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        _program, words, _folder, environ = args
        for hear in _listeners:
            hear([words] if isinstance(words, str | bytes) else words, os.environ if environ is None else environ)
