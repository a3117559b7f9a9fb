"""freshd alerts: the real verb beside a journalctl of ours, and its parts at work on lists of lines."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from freshd.cli.alerting import duty as duties
from freshd.cli.alerting import outbox
from freshd.cli.alerting.duty import Duty
from freshd.cli.alerting.journal import STARTING, Journal
from freshd.cli.alerting.store import FILE, Store
from freshd.core.alerts import Message
from freshd.core.events import Severity
from tests.flow.bed import FRESHD, until

JOURNALCTL = """\
import sys, os
folder = os.path.dirname(os.path.abspath(__file__))
begin = next((a.split("=", 1)[1] for a in sys.argv if a.startswith("--cursor=")), None)
with open(f"{folder}/journal") as journal:
    lines = journal.read().splitlines()
if "--lines=1" in sys.argv:
    print(next((line for line in reversed(lines) if sys.argv[-2].removeprefix("MESSAGE_ID=") in line), ""))
    sys.exit()
at = next((n for n, line in enumerate(lines) if begin and f'"{begin}"' in line), 0)
print(*lines[at:], sep="\\n", flush=True)
if "--follow" in sys.argv:
    for line in open(f"{folder}/more"):
        print(line, end="", flush=True)
    import select
    silence = select.poll()
    silence.register(1, 0)
    silence.poll()  # until nobody listens any more
"""


def entry(number: int, event: str, account: str | None = "mail", **fields: str) -> str:
    """A line of journalctl -o json."""
    more = {} if account is None else {"ACCOUNT": account}
    where = {"__CURSOR": f"s={number}", "__REALTIME_TIMESTAMP": str(1_800_000_000_000_000 + number)}
    return json.dumps({**where, "EVENT": event, **more, **{name.upper(): value for name, value in fields.items()}})


STARTED = {"__CURSOR": "s=start", "__REALTIME_TIMESTAMP": "1800000000000000", "MESSAGE_ID": STARTING}
PARKED = {"code": "invalid_grant", "remedy": "freshd enrol mail"}


class Desk:
    """A folder with a journal, a command that writes down what it is told, and the verb."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state, self.told_in = folder, folder / "state", folder / "told"
        self.state.mkdir()
        (folder / "journal").touch()
        os.mkfifo(folder / "more")
        self._program("journalctl", JOURNALCTL)
        parts = "[os.environ['FRESHD_ALERT'], os.environ['FRESHD_ALERT_ACCOUNT'], os.environ['FRESHD_ALERT_REMEDY']]"
        code = f"import json, os\nprint(json.dumps({parts}), file=open({str(self.told_in)!r}, 'a'))\n"
        self.command = str(self._program("alert", code))
        self.verbs: list[subprocess.Popen[str]] = []

    def _program(self, name: str, code: str) -> Path:
        path = self.folder / name
        path.write_text(f"#!{sys.executable}\n{code}")
        path.chmod(0o755)
        return path

    def journal(self, *lines: str) -> None:
        with (self.folder / "journal").open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def follow(self) -> subprocess.Popen[str]:
        environ = {"PATH": f"{self.folder}:{os.environ['PATH']}", "STATE_DIRECTORY": str(self.state)}
        command = [FRESHD, "alerts", "--follow", "--run", self.command]
        verb = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self.verbs.append(verb)
        return verb

    def live(self, *lines: str) -> None:
        """Further lines, once it follows; then its journal stays open and silent."""
        with (self.folder / "more").open("w") as more:
            self.journal(*lines)
            more.writelines(f"{line}\n" for line in lines)

    @property
    def told(self) -> list[list[str]]:
        return [json.loads(line) for line in self.told_in.read_text().splitlines()] if self.told_in.exists() else []

    def until_told(self, number: int) -> None:
        until(f"{number} messages", lambda: len(self.told) >= number)


@pytest.fixture
def desk(tmp_path: Path) -> Any:  # noqa: ANN401 - a generator of the desk
    desk = Desk(tmp_path)
    yield desk
    for verb in desk.verbs:
        verb.terminate()
        verb.communicate()


def stop(verb: subprocess.Popen[str]) -> str:
    verb.send_signal(signal.SIGTERM)
    _, err = verb.communicate(timeout=40)
    assert verb.returncode == 0, err
    return err


def test_who_listens_for_the_first_time_hears_what_is_open_and_not_what_was(desk: Desk) -> None:
    desk.journal(
        entry(0, "account.parked", "forgotten", code="x"), json.dumps(STARTED),
        entry(1, "account.parked", **PARKED), entry(2, "account.recovered"), "garbage",
        entry(3, "account.parked", "calendar", code="x", remedy="freshd enrol calendar"),
    )  # fmt: skip
    verb = desk.follow()
    desk.live(entry(4, "account.recovered", "calendar"))
    desk.until_told(2)
    assert desk.told == [
        ["raised", "calendar", "freshd enrol calendar"], ["cleared", "calendar", "freshd enrol calendar"],
    ]  # fmt: skip
    assert "cannot be read" in stop(verb)


def test_a_restart_repeats_nothing_and_loses_nothing(desk: Desk) -> None:
    verb = desk.follow()
    desk.live(entry(1, "account.parked", **PARKED))
    desk.until_told(1)
    stop(verb)
    desk.journal(entry(2, "account.parked", **PARKED), entry(3, "account.recovered"), entry(4, "daemon.started", None))
    verb = desk.follow()
    desk.live(entry(5, "account.parked", "calendar", code="x"))
    desk.until_told(3)
    stop(verb)
    assert [line[:2] for line in desk.told] == [["raised", "mail"], ["cleared", "mail"], ["raised", "calendar"]]
    assert json.loads((desk.state / FILE).read_text())["cursor"] == "s=5"


def test_without_journalctl_it_ends_with_a_remedy(tmp_path: Path) -> None:
    command = [FRESHD, "alerts", "--follow"]
    run = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=40)
    assert run.returncode == 69
    assert "remedy: install systemd's journalctl" in run.stderr


def from_input(text: str, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"]}
    command = [FRESHD, "alerts", *words]
    return subprocess.run(command, input=text, env=environ, capture_output=True, text=True, check=False, timeout=40)


def own(event: str, **fields: object) -> str:
    return json.dumps({"event": event, "account": "mail", "timestamp": "2026-11-21T10:00:00Z", **fields}) + "\n"


def test_log_lines_on_standard_input_are_told_on_standard_output() -> None:
    run = from_input(own("account.parked", **PARKED) + "\x00garbage\n" + own("account.recovered").rstrip())
    assert run.returncode == 0
    assert [line for line in run.stdout.splitlines() if line.startswith(("raised", "cleared  ", "do "))] == [
        "raised    mail: only a person, a change of configuration or a date can help",
        "do        freshd enrol mail",
        "cleared   mail: only a person, a change of configuration or a date can help",
        "cleared   2026-11-21T10:00:00Z, after 0s, by account.recovered",
    ]


def test_as_json_a_message_is_one_line() -> None:
    run = from_input(own("account.parked", **PARKED) + own("clock.stepped"), "--json", "--least", "alert")
    [message] = [json.loads(line) for line in run.stdout.splitlines()]
    assert (message["alert"], message["cause"], message["remedy"]) == ("raised", "invalid_grant", "freshd enrol mail")


def test_messages_that_could_not_be_told_are_an_end_of_its_own() -> None:
    run = from_input(own("account.parked"), "--run", "false")
    assert run.returncode == 75
    assert "the command ended with status 1" in run.stderr
    assert "1 messages could not be told" in run.stderr


def test_a_command_that_names_nothing_is_refused() -> None:
    assert from_input("", "--run", " ").returncode == 78


# -- the parts at work ------------------------------------------------------------------------------------------------


class Scripted(Journal):
    """Hands out one list of lines for each journalctl that is started; after the last, is silent for ever."""

    def __init__(self, *runs: Sequence[str]) -> None:
        super().__init__("any")
        object.__setattr__(self, "runs", list(runs))
        object.__setattr__(self, "asked", [])

    async def last_start(self) -> None:
        return None

    async def lines(self, cursor: str | None, *, follow: bool) -> AsyncIterator[str]:
        runs: list[Sequence[str]] = self.__dict__["runs"]
        self.__dict__["asked"].append((cursor, follow))
        if not runs:
            await asyncio.Event().wait()
        for line in runs.pop(0):
            yield line


class Clerk:
    """Tells, or fails as often as it should; `enough` is set once so many were told."""

    def __init__(self, number: int, *failures: str) -> None:
        self.told: list[str] = []
        self.failures = list(failures)
        self.enough = asyncio.Event()
        self._number = number

    async def __call__(self, message: Message) -> str:
        account = message.alert.account or ""
        if account in self.failures:
            self.failures.remove(account)
            return "failed"
        self.told.append(f"{message.kind.value} {account}")
        if len(self.told) >= self._number:
            self.enough.set()
        return ""


async def serve(store: Store, clerk: Clerk, journal: Journal) -> list[str]:
    """A duty until the clerk has told enough; its complaints."""
    complaints: list[str] = []
    duty = Duty(store, clerk, complaints.append, Severity.WARNING)
    tasks = [asyncio.create_task(duty.follow(journal)), asyncio.create_task(duty.deliver())]
    await clerk.enough.wait()
    duty.close()
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    duty.keep()
    return complaints


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duties, "PAUSES_SECONDS", (0.0,))
    monkeypatch.setattr(outbox, "PAUSES_SECONDS", (0.0,))


async def test_a_journalctl_that_ended_is_started_again_at_the_last_line(impatient: None, tmp_path: Path) -> None:
    first = [entry(1, "account.parked", "a"), entry(2, "access.granted", "a")]
    journal = Scripted(first, [first[1], entry(3, "account.recovered", "a")], [entry(3, "account.recovered", "a")])
    complaints = await serve(Store(tmp_path), clerk := Clerk(2), journal)
    assert clerk.told == ["raised a", "cleared a"]
    assert journal.__dict__["asked"][:3] == [(None, False), ("s=2", True), ("s=3", True)]
    assert "journalctl ended" in complaints[0]


async def test_a_command_that_fails_is_tried_again_and_others_go_on(impatient: None, tmp_path: Path) -> None:
    lines = [entry(number, "account.parked", name) for number, name in enumerate("ab")]
    complaints = await serve(Store(tmp_path), clerk := Clerk(2, "a", "a", "a"), Scripted([], lines))
    assert sorted(clerk.told) == ["raised a", "raised b"]
    assert len([text for text in complaints if "tried again" in text]) == 3


async def test_what_was_not_told_before_a_restart_is_told_after_it(tmp_path: Path) -> None:
    lines = [entry(1, "account.parked", "a"), entry(2, "account.parked", "b")]
    await serve(Store(tmp_path), Clerk(1, *["a"] * 99), Scripted([], lines))
    await serve(Store(tmp_path), clerk := Clerk(1), Scripted())
    assert clerk.told == ["raised a"]


async def test_a_store_that_cannot_be_written_keeps_nobody_from_being_told(tmp_path: Path) -> None:
    lines = [entry(number, "account.parked", name) for number, name in enumerate("ab")]
    complaints = await serve(Store(tmp_path / "gone"), clerk := Clerk(2), Scripted([], lines))
    assert clerk.told == ["raised a", "raised b"]
    assert len([text for text in complaints if "not written down" in text]) == 1


async def test_lines_that_change_nothing_are_written_down_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duties, "SAVE_EVERY_LINES", 3)
    duty = Duty(Store(tmp_path), Clerk(1), lambda _text: None, Severity.WARNING)
    for number in range(5):
        duty.take(entry(number, "access.granted"))
    assert json.loads((tmp_path / FILE).read_text())["cursor"] == "s=2"
