"""The OS keyring's custodian on a real gnome-keyring: held sessions, and every way in which they can be lost."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import secretstorage
from keyring.backends.SecretService import Keyring

from freshd.errors import KeyringUnavailable
from freshd.vault import secret_service
from freshd.vault.calls import MOST_AT_ONCE
from freshd.vault.keyring import OsKeyring
from freshd.vault.secret_service import SecretService
from tests.flow.bed import until
from tests.host.keyring_bed import KeyringBed
from tests.host.wire import ERASE, LOOK, OPEN, WRITE, Prompts, Wire, open_files

pytestmark = pytest.mark.part("keyring")
CALLS = 100
RESTARTS = 10
IMPATIENT_SECONDS = 0.2
LIBRARY: Any = Keyring
"""The library has no types."""


@pytest.fixture
def bed(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyringBed]:
    with KeyringBed() as bed:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bed.env["DBUS_SESSION_BUS_ADDRESS"])
        yield bed


@pytest.fixture
def keyring(bed: KeyringBed) -> OsKeyring:
    keyring = OsKeyring("secret-service")
    keyring.put("s", "e", "first")
    return keyring


@pytest.fixture
def wire(bed: KeyringBed, monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_service.SecretService.__init__, "__defaults__", (IMPATIENT_SECONDS,))


@pytest.fixture
def aside() -> Iterator[Callable[[Callable[[], None]], Future[None]]]:
    """Runs calls on threads of their own."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit


Aside = Callable[[Callable[[], None]], "Future[None]"]


def test_one_session_serves_call_after_call(keyring: OsKeyring, wire: Wire) -> None:
    before = open_files()
    for number in range(10):
        keyring.put("s", "e", str(number))
        assert keyring.get("s", "e") == str(number)
    keyring.drop("s", "e")
    keyring.drop("s", "e")
    assert keyring.get("s", "e") is None
    assert (wire.calls[OPEN], open_files()) == (0, before)


def test_nothing_leaks_over_calls_and_restarts(bed: KeyringBed, keyring: OsKeyring) -> None:
    before = open_files()
    for number in range(RESTARTS):
        bed.restart()
        for call in range(CALLS // RESTARTS // 2):
            keyring.put(f"s{call}", "e", f"{number}")
            assert keyring.get(f"s{call}", "e") == f"{number}"
    assert open_files() <= before


def test_threads_have_sessions_of_their_own_and_no_more_than_are_in_use(keyring: OsKeyring, wire: Wire) -> None:
    start = threading.Barrier(MOST_AT_ONCE)

    def work(thread: int) -> None:
        start.wait()
        for number in range(20):
            keyring.put(f"s{thread}", "e", f"{thread}-{number}")
            assert keyring.get(f"s{thread}", "e") == f"{thread}-{number}"

    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        list(pool.map(work, range(MOST_AT_ONCE)))
    assert wire.calls[OPEN] < MOST_AT_ONCE


def test_a_keyring_that_nobody_uses_any_more_lets_go_of_its_connections(bed: KeyringBed) -> None:
    before = open_files()
    keyring = OsKeyring("secret-service")
    keyring.put("s", "e", "v")
    assert open_files() > before
    del keyring
    assert open_files() == before


def all_calls(keyring: OsKeyring) -> tuple[Callable[[], object], ...]:
    return lambda: keyring.get("s", "e"), lambda: keyring.put("s", "e", "v"), lambda: keyring.drop("s", "e")


# -- locked ------------------------------------------------------------------------------------------------------------


def test_locked_is_told_and_never_prompted_for(bed: KeyringBed, keyring: OsKeyring) -> None:
    bed.lock()
    with Prompts(bed.env["DBUS_SESSION_BUS_ADDRESS"]) as prompts:
        for call in all_calls(keyring):
            with pytest.raises(KeyringUnavailable, match="is locked"):
                call()
        assert not prompts.seen()
        with contextlib.closing(secretstorage.dbus_init()) as connection:
            secretstorage.get_default_collection(connection).unlock()  # what a program does that asks people
        assert prompts.seen()


def test_unlocked_while_somebody_waits_it_goes_on(bed: KeyringBed, keyring: OsKeyring, wire: Wire) -> None:
    bed.lock()
    with pytest.raises(KeyringUnavailable):
        keyring.get("s", "e")
    assert bed.unlock()
    assert keyring.get("s", "e") == "first"
    keyring.put("s", "e", "second")
    assert keyring.get("s", "e") == "second"
    assert wire.calls[OPEN] == 0


def test_locked_between_look_and_write_is_locked_and_not_written_again(
    bed: KeyringBed, keyring: OsKeyring, wire: Wire
) -> None:
    wire.before(WRITE, bed.lock)
    with pytest.raises(KeyringUnavailable, match="is locked"):
        keyring.put("s", "e", "second")
    assert wire.calls[WRITE] <= 1
    assert bed.unlock()
    assert keyring.get("s", "e") == "first"


# -- another daemon, another bus ---------------------------------------------------------------------------------------


def test_a_daemon_in_the_place_of_the_old_one_is_asked_within_the_same_call(
    bed: KeyringBed, keyring: OsKeyring, wire: Wire
) -> None:
    bed.restart()
    assert keyring.get("s", "e") == "first"
    bed.restart()
    keyring.put("s", "e", "second")
    bed.restart()
    assert keyring.get("s", "e") == "second"
    assert wire.calls[OPEN] == 3


def test_a_dead_daemon_is_locked_until_somebody_unlocks_the_next(bed: KeyringBed, keyring: OsKeyring) -> None:
    bed.kill()
    with pytest.raises(KeyringUnavailable, match="is locked"):
        keyring.get("s", "e")
    assert bed.unlock()
    assert keyring.get("s", "e") == "first"


def test_without_anybody_there_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with KeyringBed(activation=False) as bed:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bed.env["DBUS_SESSION_BUS_ADDRESS"])
        keyring = OsKeyring("secret-service")
        keyring.put("s", "e", "v")
        bed.kill()
        with pytest.raises(KeyringUnavailable, match="is not there"):
            keyring.get("s", "e")
        bed.restart()
        assert keyring.get("s", "e") == "v"


def test_a_bus_that_comes_back_is_found_again(bed: KeyringBed, keyring: OsKeyring) -> None:
    bed.restart_bus()
    assert keyring.get("s", "e") == "first"


def test_without_a_default_collection_it_says_so_and_makes_none(bed: KeyringBed, keyring: OsKeyring) -> None:
    bed.drop_alias()
    for call in all_calls(keyring):
        with pytest.raises(KeyringUnavailable, match="no default collection"):
            call()


# -- in the middle of a write ------------------------------------------------------------------------------------------


def test_replaced_in_the_middle_of_a_write_it_is_looked_at_and_written_to_the_next(
    bed: KeyringBed, keyring: OsKeyring, wire: Wire
) -> None:
    wire.before(WRITE, bed.restart)
    keyring.put("s", "e", "second")
    assert (wire.calls[OPEN], wire.calls[LOOK], wire.calls[WRITE]) == (1, 1, 2)
    assert keyring.get("s", "e") == "second"


def test_killed_in_the_middle_of_a_write_nothing_that_was_acknowledged_is_lost(
    monkeypatch: pytest.MonkeyPatch, aside: Aside
) -> None:
    """The bus starts none in between: two daemons on one file overwrite each other, whoever asks them."""
    with KeyringBed(activation=False) as bed:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bed.env["DBUS_SESSION_BUS_ADDRESS"])
        wire, keyring = Wire(monkeypatch), OsKeyring("secret-service")
        keyring.put("s", "e", "first")
        stopped = threading.Event()

        def freeze() -> None:
            bed.freeze()
            stopped.set()

        wire.before(WRITE, freeze)
        write = aside(lambda: keyring.put("s", "e", "second"))
        assert stopped.wait(10)
        bed.kill()
        bed.restart()
        kept = "second"
        try:
            write.result(20)
        except KeyringUnavailable:  # nobody was there when it was looked for
            kept = "first"
        assert keyring.get("s", "e") in (kept, "second")
        keyring.put("s", "e", "second")
        bed.restart()
        assert keyring.get("s", "e") == "second"


def test_an_answer_that_was_lost_is_looked_for_and_not_written_again(
    bed: KeyringBed, keyring: OsKeyring, wire: Wire
) -> None:
    def lose() -> None:
        raise ConnectionResetError

    wire.after(WRITE, lose)
    keyring.put("s", "e", "second")
    assert (wire.calls[WRITE], wire.calls[LOOK]) == (1, 1)
    assert keyring.get("s", "e") == "second"


def test_an_erasure_whose_answer_was_lost_erases_once(bed: KeyringBed, keyring: OsKeyring, wire: Wire) -> None:
    def lose() -> None:
        raise ConnectionResetError

    wire.after(ERASE, lose)
    keyring.drop("s", "e")
    assert wire.calls[ERASE] == 1
    assert keyring.get("s", "e") is None


@pytest.mark.usefixtures("impatient")
def test_a_write_that_nobody_waits_for_comes_back_once_it_has_landed(
    bed: KeyringBed, keyring: OsKeyring, wire: Wire, aside: Aside
) -> None:
    wire.before(WRITE, bed.freeze)
    late = aside(lambda: keyring.put("s", "e", "late"))
    until("it is given up, and asks on", lambda: wire.sent[OPEN] > 1)
    pid = _is_stopped(bed)
    assert pid is not None
    assert not late.done()
    bed.thaw(pid)
    with pytest.raises(KeyringUnavailable, match="does not answer"):
        late.result(20)
    assert keyring.get("s", "e") == "late"
    keyring.put("s", "e", "later")
    bed.restart()
    assert keyring.get("s", "e") == "later"


def _is_stopped(bed: KeyringBed) -> int | None:
    pid = bed.daemon_pid()
    if pid is None:
        return None
    return pid if Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "T" else None


@pytest.mark.usefixtures("impatient")
def test_a_keyring_that_answers_nothing_frees_whoever_hung_once_it_is_replaced(
    monkeypatch: pytest.MonkeyPatch, aside: Aside
) -> None:
    """The bus never ends such a call: without an end of its own the thread would hang for ever."""
    with KeyringBed(activation=False) as bed:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bed.env["DBUS_SESSION_BUS_ADDRESS"])
        keyring, wire = OsKeyring("secret-service"), Wire(monkeypatch)
        keyring.put("s", "e", "first")
        bed.kill()
        with bed.silent() as let_go:
            hung = aside(lambda: keyring.put("s", "e", "late"))
            until("it is given up, and asks on", lambda: wire.sent[OPEN] > 2)
            assert not hung.done()
            let_go()
            bed.restart()
            with pytest.raises(KeyringUnavailable, match="does not answer"):
                hung.result(20)
            assert keyring.get("s", "e") == "first"


@pytest.mark.usefixtures("impatient")
def test_a_hung_read_ends_by_itself(bed: KeyringBed, keyring: OsKeyring) -> None:
    before = open_files()
    with bed.frozen():
        for _ in range(3):
            with pytest.raises(KeyringUnavailable, match="does not answer"):
                keyring.get("s", "e")
        assert open_files() < before
    assert keyring.get("s", "e") == "first"


def test_what_the_library_offers_is_what_is_asked(bed: KeyringBed) -> None:
    """The session is the library's own back end: another program reads with it what freshd wrote."""
    service, theirs = SecretService(), LIBRARY()
    service.set_password("s", "e", "value")
    assert theirs.get_password("s", "e") == "value"
    theirs.set_password("s", "e", "theirs")
    assert service.get_password("s", "e") == "theirs"
