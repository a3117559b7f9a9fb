"""What a person reads, what waits to be told, and what outlives a restart."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from freshd.cli.alerting import journal, outbox, words
from freshd.cli.alerting.command import Command, parsed
from freshd.cli.alerting.journal import LINE_MOST, Journal, split
from freshd.cli.alerting.outbox import Outbox
from freshd.cli.alerting.store import FILE, Kept, Store
from freshd.core.alerts import Alert, Book, Kind, Message
from freshd.core.events import Severity
from freshd.errors import ConfigError, StoreError

ALERT = Alert(
    "account.parked", "mail", "invalid_grant", Severity.ALERT, "only a person can help", "freshd enrol mail",
    since=1_800_000_000.0, by=1_800_003_600.0, left=3600.0, details="code=invalid_grant",
)  # fmt: skip
RAISED = Message(Kind.RAISED, ALERT, 1_800_000_000.0)
CLEARED = Message(Kind.CLEARED, ALERT, 1_800_000_125.0, "account.recovered")


def about(account: str, kind: Kind = Kind.RAISED) -> Message:
    return Message(kind, replace(ALERT, account=account), 1.0)


# -- words ------------------------------------------------------------------------------------------------------------


def test_a_message_says_what_since_when_by_when_and_what_helps() -> None:
    assert words.text(RAISED).splitlines()[:-1] == [
        "raised    mail: only a person can help",
        "event     account.parked (invalid_grant)",
        "details   code=invalid_grant",
        "since     2027-01-15T08:00:00Z",
        "by        2027-01-15T09:00:00Z (in 1h)",
        "do        freshd enrol mail",
    ]
    assert words.subject(RAISED) == "freshd ALERT mail: account.parked (invalid_grant) -> freshd enrol mail"


def test_the_end_says_how_long_it_lasted_and_what_ended_it() -> None:
    assert "cleared   2027-01-15T08:02:05Z, after 2m 5s, by account.recovered\n" in words.text(CLEARED)
    assert "do  " not in words.text(CLEARED)
    assert words.subject(CLEARED) == "freshd cleared mail: account.parked (invalid_grant)"


def test_what_is_not_known_is_left_out() -> None:
    bare = replace(ALERT, account=None, cause="", by=None, remedy="", details="")
    text = words.text(Message(Kind.HAPPENED, bare, 1.0))
    assert [line.split()[0] for line in text.splitlines()] == ["happened", "event", "since", "host"]
    assert "the daemon" in text


def test_a_subject_is_one_line_and_short() -> None:
    long = replace(ALERT, event="e\nx" * 300, remedy="r" * 300)
    subject = words.subject(Message(Kind.RAISED, long, 1.0))
    assert len(subject) <= words.SUBJECT_MOST
    assert "\n" not in subject


def test_the_environment_is_small_and_holds_every_part() -> None:
    variables = words.variables(RAISED)
    assert all(name.startswith("FRESHD_ALERT") for name in variables)
    assert sum(map(len, variables.values())) < 4096
    assert variables["FRESHD_ALERT_BY"] == "2027-01-15T09:00:00Z"
    assert json.dumps(words.document(RAISED))


# -- outbox -----------------------------------------------------------------------------------------------------------


def test_messages_leave_in_order() -> None:
    box = Outbox([about("a"), about("b")])
    seen = []
    while pending := box.due(0.0):
        seen.append(pending.message.alert.account)
        box.told(pending)
    assert seen == ["a", "b"]
    assert box.wait(0.0) is None


def test_one_that_fails_waits_longer_each_time_and_holds_nobody_else_up() -> None:
    box = Outbox([about("a"), about("b")])
    pauses = []
    now = 0.0
    for _ in range(6):
        pending = box.due(now)
        assert pending is not None
        assert pending.message.alert.account == "a"
        pauses.append(box.failed(pending, now))
        other = box.due(now)
        assert other is not None
        assert other.message.alert.account == "b"
        now += box.wait(now) or pauses[-1]
    assert pauses == [*outbox.PAUSES_SECONDS, *outbox.PAUSES_SECONDS[-1:] * 2]


def test_cleared_never_overtakes_what_it_clears() -> None:
    box = Outbox([about("a"), about("a", Kind.CLEARED)])
    pending = box.due(0.0)
    assert pending is not None
    box.failed(pending, 0.0)
    assert box.due(0.0) is None
    assert box.wait(0.0) == outbox.PAUSES_SECONDS[0]


def test_the_oldest_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST", 3)
    box = Outbox()
    box.add([about("abcde"[number]) for number in range(5)])
    assert [message.alert.account for message in box.messages] == ["c", "d", "e"]
    assert box.dropped == 2


# -- store ------------------------------------------------------------------------------------------------------------


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    kept = Kept(Book((ALERT,), (replace(ALERT, event="clock.stepped", account=None),)), (RAISED, CLEARED), "s=1")
    Store(tmp_path).save(kept)
    assert Store(tmp_path).load() == kept
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "text", ["", "{", "5", "[]", "{}", '{"version": 9}', '{"version": 1, "cursor": 1, "open": [{"a": 1}]}', "\udcff"]
)
def test_a_file_that_cannot_be_understood_is_set_aside(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_bytes(text.encode(errors="surrogateescape"))
    assert Store(tmp_path).load() == Kept()
    assert [path.name for path in tmp_path.iterdir()] == ["alerts.unreadable"]


def test_a_folder_that_is_not_there_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as met:
        Store(tmp_path / "nowhere").save(Kept())
    assert "--state" in met.value.remedy


def test_without_a_folder_nothing_is_kept() -> None:
    Store(None).save(Kept(Book((ALERT,))))
    assert Store(None).load() == Kept()


# -- command ----------------------------------------------------------------------------------------------------------


def program(folder: Path, text: str) -> tuple[str, ...]:
    path = folder / "alert.py"
    path.write_text(text)
    return (sys.executable, str(path))


async def test_a_command_gets_subject_text_and_parts_and_little_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRESHD_SECRET", "word")
    seen = tmp_path / "seen.json"
    code = (
        f"import json,os,sys; json.dump([sys.argv[1:], sys.stdin.read(), dict(os.environ)], open({str(seen)!r}, 'w'))"
    )
    parts = [*program(tmp_path, code), "-s", "{subject}", "$HOME; true"]
    assert await Command(parts, os.environ).run(RAISED) == ""
    argv, stdin, environ = json.loads(seen.read_text())
    assert argv == ["-s", words.subject(RAISED), "$HOME; true"]
    assert stdin == words.text(RAISED)
    assert environ["FRESHD_ALERT_REMEDY"] == "freshd enrol mail"
    assert "FRESHD_SECRET" not in environ


@pytest.mark.parametrize(
    ("code", "why"),
    [("raise SystemExit(3)", "ended with status 3"), ("import os; os.kill(os.getpid(), 9)", "ended with signal 9")],
)
async def test_a_command_that_fails_says_how(tmp_path: Path, code: str, why: str) -> None:
    assert await Command(program(tmp_path, code), os.environ).run(RAISED) == why


async def test_a_command_that_reads_nothing_has_told_it_all_the_same(tmp_path: Path) -> None:
    huge = replace(RAISED, alert=replace(ALERT, details="x" * 500_000))
    assert await Command(("true",), os.environ).run(huge) == ""


async def test_a_command_that_is_not_there_says_so() -> None:
    assert "No such file" in await Command(("/nowhere/alert",), {}).run(RAISED)


async def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    sleep = shutil.which("sleep") or "sleep"
    code = f"import subprocess; open({str(fifo)!r}, 'w'); subprocess.run([{sleep!r}, '600'], stdin=subprocess.DEVNULL)"
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        why = await Command(program(tmp_path, code), os.environ, deadline=0.5).run(RAISED)
    finally:
        os.close(reader)
    assert why == "took longer than 0.5 s"


@pytest.mark.parametrize("text", ["", "  ", "mail 'x"])
def test_a_command_that_cannot_be_read_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(ConfigError, match="names no command"):
        parsed(text)


def test_a_command_is_split_as_a_shell_would_and_nothing_more() -> None:
    assert parsed("mail -s '{subject} now' $USER;id") == ("mail", "-s", "{subject} now", "$USER;id")


# -- lines ------------------------------------------------------------------------------------------------------------


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def lines(*chunks: bytes) -> list[str]:
    return [line async for line in split(stream(*chunks))]


async def test_a_stream_is_split_into_lines_wherever_its_chunks_end() -> None:
    assert await lines(b"a\nb", b"c\n", b"\nd") == ["a", "bc", "", "d"]


async def test_a_line_that_is_too_long_is_dropped_whole() -> None:
    assert await lines(b"a\n" + b"x" * LINE_MOST, b"y" * 9, b"z\nb\n") == ["a", "b"]


async def test_bytes_that_are_no_text_end_nothing() -> None:
    assert await lines(b"\xff\xfe\nb\n") == ["\ufffd\ufffd", "b"]


def test_the_journal_is_asked_for_one_unit_of_this_machine_from_the_cursor_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MACHINE_ID", tmp_path / "machine-id")
    journal.MACHINE_ID.write_text("0123abc\n")
    first = Journal("freshd.service").command(None, follow=False)
    later = Journal("freshd.service", of_user=True).command("s=1", follow=True)
    assert first[-2:] == ["--no-pager", "--unit=freshd.service"]
    assert later[4:] == [
        "--user-unit=freshd.service", "--cursor=s=1", "--follow", "--no-tail", "--merge", "_MACHINE_ID=0123abc",
    ]  # fmt: skip
