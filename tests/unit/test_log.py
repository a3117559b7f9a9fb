"""Events become lines: journald's fields, JSON, a terminal; no secret in any of them, and nobody waits for a reader."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from freshd import log
from freshd.core.catalogue import CATALOGUE
from freshd.core.events import Event, Severity
from freshd.core.mask import MASK, mask
from freshd.core.model import Secret
from freshd.log import LEVELS, Format, Log, detect, journal_datagram

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.canary-signature"
LOOKS = ("Bearer canary0123456789", "basic Y2FuYXJ5OmNhbmFyeQ==", JWT, "rt-canary0123456789", "AT-canary0123456789")
KEYS = (
    "token", "access_token", "refresh_token", "client_secret", "secret", "password", "passwd", "ticket",
    "authorization", "Authorization", "cookie", "code_verifier",
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_network() -> None:
    """A journal is a datagram socket in a folder of the test's."""


@pytest.fixture(autouse=True)
def no_open_ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every log that a test made lets go of its journal."""
    made: list[Log] = []
    begin = Log.__init__

    def noting(self: Log, *args: Any, **kwargs: Any) -> None:
        made.append(self)
        begin(self, *args, **kwargs)

    monkeypatch.setattr(Log, "__init__", noting)
    yield
    for one in made:
        one.close()


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What stands in for journald."""
    path = tmp_path / "journal"
    monkeypatch.setattr(log, "JOURNAL_SOCKET", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))
        server.settimeout(5)
        yield server


def fields_of(datagram: bytes) -> dict[str, str]:
    """As journald reads it: KEY=value, or KEY, a length, and so many bytes."""
    found: dict[str, str] = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        if b"=" in line:
            key, _, value = line.partition(b"=")
        else:
            key, (size,) = line, struct.unpack("<Q", datagram[:8])
            value, datagram = datagram[8 : 8 + size], datagram[8 + size + 1 :]
        assert key.decode() not in found
        found[key.decode()] = value.decode()
    return found


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def pipe() -> tuple[int, io.TextIOWrapper]:
    """A reader that reads when the test says so, and a writer that waits as stderr does."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4 * 4096)
    return reader, io.TextIOWrapper(os.fdopen(writer, "wb", buffering=0), write_through=True)


def drain(reader: int) -> str:
    os.set_blocking(reader, False)
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(reader, 65536)
        except BlockingIOError:
            return b"".join(parts).decode()
        parts.append(part)


# -- forms ------------------------------------------------------------------------------------------------------------


def test_a_line_of_json_has_a_field_for_everything() -> None:
    stream = io.StringIO()
    Log("json", "info", stream).tell(
        Event("refresh.not-sent", "mail", {"reason": "no route", "in_a_row": 3, "odd": None})
    )
    [line] = lines_of(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "refresh.not-sent", "level": "notice", "account": "mail", "reason": "no route", "in_a_row": 3,
        "message": CATALOGUE["refresh.not-sent"].meaning,
    }  # fmt: skip


def test_remedies_name_the_account_and_what_ends_an_alert_is_said() -> None:
    stream = io.StringIO()
    out = Log("json", "info", stream)
    out.tell(Event("refresh.rejected", "mail"))
    out.tell(Event("account.parked", "mail", {}, "freshd enrol mail"))
    out.tell(Event("account.recovered", "mail"))
    first, second, third = lines_of(stream.getvalue())
    assert first["remedy"] == "freshd explain mail"
    assert second["remedy"] == "freshd enrol mail"
    assert "account.parked" in third["clears"].split()


def test_journald_gets_native_fields(journal: socket.socket) -> None:
    Log("journald").tell(Event("account.parked", "mail", {"code": "invalid_grant"}, "freshd enrol mail"))
    fields = fields_of(journal.recv(65536))
    assert fields["PRIORITY"] == "1"
    assert fields["SYSLOG_IDENTIFIER"] == "freshd"
    assert (fields["EVENT"], fields["ACCOUNT"], fields["CODE"]) == ("account.parked", "mail", "invalid_grant")
    assert fields["REMEDY"] == "freshd enrol mail"
    assert fields["MESSAGE"] == (
        "account.parked [mail]: only a person, a change of configuration or a date can help "
        "(code=invalid_grant) -> freshd enrol mail"
    )


@pytest.mark.parametrize("severity", list(Severity))
def test_severities_are_syslogs(severity: Severity) -> None:
    fields = fields_of(journal_datagram(severity, {"event": "bug", "message": "m", "level": "x"}))
    assert fields["PRIORITY"] == str(severity.value)


def test_a_value_of_many_lines_forges_no_field() -> None:
    evil = "a\nPRIORITY=7\nMESSAGE=forged\n\n"
    fields = fields_of(journal_datagram(Severity.ALERT, {"event": "bug", "message": "m", "detail": evil, "e.v-l": "="}))
    assert fields["DETAIL"] == evil
    assert fields["PRIORITY"] == "1"
    assert fields["E_V_L"] == "="


def test_json_and_a_terminal_show_one_line_whatever_somebody_else_wrote() -> None:
    evil = "x\n{}\r\x1b]0;title\x07\x1b[31m\u202e\u2028"
    for form in ("json", "console"):
        stream = io.StringIO()
        Log(form, "info", stream).tell(Event("access.denied", evil, {"detail": evil}))
        assert stream.getvalue().count("\n") == 1
        assert not set("\x1b\x07\r\u202e\u2028") & set(stream.getvalue())


def test_the_form_for_a_terminal_holds_all_that_json_does() -> None:
    stream = io.StringIO()
    Log("console", "info", stream).tell(Event("account.parked", "mail", {"code": "invalid_grant"}, "freshd enrol mail"))
    for part in ("account.parked", "mail", "invalid_grant", "freshd enrol mail"):
        assert part in stream.getvalue()


def test_bytes_that_are_no_text_are_written_all_the_same(journal: socket.socket) -> None:
    reader, writer = pipe()
    for out in (Log("json", "info", writer), Log("console", "info", writer), Log("journald")):
        out.tell(Event("config.refused", None, {"cause": "\udcff"}))
        assert out.lost == 0
    assert drain(reader).count("config.refused") == 2
    assert fields_of(journal.recv(65536))["CAUSE"] == "?"
    writer.close()
    os.close(reader)


def test_the_form_is_found_by_what_stderr_is(
    journal: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Format] = []
    with (tmp_path / "err").open("w") as stream:
        stat = os.fstat(stream.fileno())
        for value in ("", f"{stat.st_dev}:{stat.st_ino}", "1:1"):
            monkeypatch.setenv("JOURNAL_STREAM", value)
            found.append(detect(stream))
        assert found == ["json", "journald", "json"]
        assert detect(io.StringIO()) == "json"
    leader, follower = os.openpty()
    with os.fdopen(follower, "w") as terminal:
        assert detect(terminal) == "console"
    os.close(leader)


# -- how much ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_is_a_floor_and_can_be_changed_while_running(level: str) -> None:
    stream = io.StringIO()
    out = Log("json", "error", stream)
    out.set_level(level)
    for name in CATALOGUE:
        out.tell(Event(name, "mail"))
    assert {line["event"] for line in lines_of(stream.getvalue())} == {
        name for name, entry in CATALOGUE.items() if entry.severity <= LEVELS[level]
    }


# -- I10 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "console", "journald"])
def test_I10_no_canary_gets_through_any_field_of_any_event(form: Format, journal: socket.socket) -> None:
    fields: dict[str, Any] = {key: f"canary-{key}" for key in KEYS}
    fields |= {f"look{number}": f"the service said: {look}; and so on" for number, look in enumerate(LOOKS)}
    fields |= {
        "typed": Secret("canary-typed"), "nested": {"deep": [Secret("canary-deep"), LOOKS[0]]},
        "raw": LOOKS[3].encode(), "error": ValueError(LOOKS[3]), "pin_secret": 20260101, "flag": True, "nothing": None,
    }  # fmt: skip
    stream = io.StringIO()
    out = Log(form, "debug", stream)
    for name in CATALOGUE:
        out.tell(Event(name, "mail", MappingProxyType(fields), f"try {LOOKS[0]} again"))
        text = journal.recv(1 << 20).decode() if form == "journald" else stream.getvalue().splitlines()[-1]
        assert name in text
        leaks = [canary for canary in ("canary", "20260101", "Y2FuYXJ5") if canary in text]
        assert leaks == []


def test_masking_leaves_what_is_public() -> None:
    line = {
        "fingerprint": "0a1b2c3d4e5f", "code": "invalid_token", "cause": "the token endpoint said basic things",
        "tokens": 3, "is_token": True, "token": "x", "cookie": None, "seconds": 1.5,
    }  # fmt: skip
    assert mask(line) == {**line, "token": MASK}


def test_I10_a_tag_of_a_secret_tells_nothing_but_sameness() -> None:
    one, two = mask({"a": Secret("canary"), "b": Secret("canary")}).values()
    assert one == two
    assert str(one).startswith("Secret(#")


# -- nobody waits for a reader ----------------------------------------------------------------------------------------


def test_I11_a_reader_that_stopped_reading_holds_nobody_up_and_lines_are_lost_whole_and_counted() -> None:
    reader, writer = pipe()
    out = Log("json", "info", writer)
    for number in range(200):
        out.tell(Event("refresh.not-sent", "mail", {"reason": "x" * 100, "in_a_row": number}))
    lost = out.lost
    assert 0 < lost < 200
    seen = drain(reader)
    out.tell(Event("bug"))
    seen += drain(reader)
    out.tell(Event("bug"))
    seen += drain(reader)
    lines = lines_of(seen)
    assert [line["in_a_row"] for line in lines[:-2]] == list(range(200 - lost))
    assert lines[-2]["lines_lost"] == lost
    assert "lines_lost" not in lines[-1]
    assert out.lost == lost
    writer.close()
    os.close(reader)


def test_I11_a_line_longer_than_the_pipe_ends_when_there_is_room_and_nothing_comes_in_between() -> None:
    reader, writer = pipe()
    out = Log("json", "info", writer)
    out.tell(Event("config.refused", None, {"problems": "p" * 20_000}))
    seen = ""
    for _ in range(12):
        out.tell(Event("bug"))
        seen += drain(reader)
    first, *others = lines_of(seen)
    assert len(first["problems"]) == 20_000
    assert {line["event"] for line in others} == {"bug"}
    assert others[0]["lines_lost"] == out.lost > 0
    writer.close()
    os.close(reader)


def test_a_reader_that_is_gone_costs_lines_and_nothing_else() -> None:
    reader, writer = pipe()
    os.close(reader)
    out = Log("json", "info", writer)
    for _ in range(3):
        out.tell(Event("bug"))
    assert out.lost == 3
    writer.close()
    out.tell(Event("bug"))
    assert out.lost == 4


def test_stderr_stays_as_it_is_for_the_programs_that_share_it() -> None:
    reader, writer = pipe()
    Log("json", "info", writer).tell(Event("bug"))
    assert os.get_blocking(writer.fileno())
    writer.close()
    os.close(reader)


def test_I11_a_journal_that_reads_nothing_holds_nobody_up(journal: socket.socket) -> None:
    out = Log("journald")
    for _ in range(2000):
        out.tell(Event("bug", None, {"where": "x" * 1000}))
    assert out.lost > 0
    lost = out.lost
    journal.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while journal.recv(65536):
            pass
    out.tell(Event("bug"))
    assert fields_of(journal.recv(65536))["LINES_LOST"] == str(lost)
    assert out.lost == lost


def test_a_journal_that_was_started_anew_is_found_again(journal: socket.socket, tmp_path: Path) -> None:
    out = Log("journald")
    out.tell(Event("bug"))
    journal.close()
    (tmp_path / "journal").unlink()
    out.tell(Event("bug"))
    out.tell(Event("bug"))
    assert out.lost == 2
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as second:
        second.bind(str(tmp_path / "journal"))
        second.settimeout(5)
        out.tell(Event("bug"))
        assert fields_of(second.recv(65536))["LINES_LOST"] == "2"
    assert out.lost == 2


def test_a_bug_in_the_log_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError("canary")

    out = Log("json", "info", io.StringIO())
    out.tell(Event("bug", None, {"what": Unprintable()}))  # type: ignore[dict-item]
    assert out.lost == 1
