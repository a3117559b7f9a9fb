"""Lines of journald and of freshd become events; garbage becomes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freshd.cli.alerting.lines import UNIT_FAILED, Reader
from freshd.core.alerts import Line
from freshd.core.catalogue import CATALOGUE, entry_of
from freshd.core.events import Event, Severity
from freshd.log import journal_datagram

AT = "1800000000123456"


def native(**fields: Any) -> str:
    return json.dumps({"__REALTIME_TIMESTAMP": AT, "__CURSOR": "s=1;i=2", "_PID": "7", **fields})


def read(text: str) -> Line | None:
    return Reader().read(text)[0]


def test_an_event_of_the_journal_is_read_with_its_fields_and_its_place() -> None:
    text = native(
        EVENT="account.parked", ACCOUNT="mail", PRIORITY="1", MESSAGE="account.parked [mail]: …", CODE="invalid_grant",
        RETRIED="False", REMEDY="freshd enrol mail", CLEARS="a b", SYSLOG_IDENTIFIER="freshd", _COMM="freshd",
    )  # fmt: skip
    line, cursor = Reader().read(text)
    assert cursor == "s=1;i=2"
    assert line == Line(
        "account.parked", 1800000000.123456, "mail", Severity.ALERT, "account.parked [mail]: …", "freshd enrol mail",
        ("a", "b"), {"code": "invalid_grant", "retried": "False"},
    )  # fmt: skip


def test_an_own_json_line_is_read_alike() -> None:
    text = json.dumps(
        {"event": "grant.ending", "level": "warning", "message": "m", "account": "mail", "seconds_left": 86400,
         "retried": True, "timestamp": "2026-11-21T10:00:00.5Z"}
    )  # fmt: skip
    line = read(text)
    assert line is not None
    assert (line.severity, line.account, line.at % 60) == (Severity.WARNING, "mail", 0.5)
    assert line.fields == {"seconds_left": "86400", "retried": "True"}


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_what_the_log_writes_is_what_is_read(name: str) -> None:
    event = Event(name, "mail", {"code": "invalid grant", "seconds_left": 5})
    written = {"event": name, "message": entry_of(event).meaning, "account": "mail", **event.fields}
    datagram = journal_datagram(entry_of(event).severity, written).decode()
    fields = dict(part.split("=", 1) for part in datagram.splitlines())
    line = read(native(**fields))
    assert line is not None
    assert (line.event, line.account, line.severity) == (name, "mail", entry_of(event).severity)
    assert line.fields == {"code": "invalid grant", "seconds_left": "5"}


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[1]", "5", "null", '{"a":', "{}", '{"event": 5}', '{"event": "x", "timestamp": "soon"}', "[" * 999,
     '{"event": "x", "timestamp": "9999-99-99"}', '{"event": null, "timestamp": "2026-11-21T10:00:00Z"}',
     '{"__REALTIME_TIMESTAMP": "x", "EVENT": "a"}', '{"__REALTIME_TIMESTAMP": 5, "EVENT": "a"}',
     '{"__REALTIME_TIMESTAMP": "99999999999999999999999", "EVENT": "a"}'],
)  # fmt: skip
def test_garbage_is_no_event(text: str) -> None:
    assert read(text) is None


def test_fields_that_journald_cannot_write_as_text_are_left_out() -> None:
    line = read(native(EVENT="bug", KIND=[1, 2, 255], ACCOUNT=None, PRIORITY=["1", "2"], REMEDY=None))
    assert line == Line("bug", 1800000000.123456, fields={})


def test_other_lines_of_the_unit_are_no_events_and_move_the_cursor() -> None:
    assert Reader().read(native(MESSAGE="Traceback")) == (None, "s=1;i=2")


def test_a_failed_unit_is_told_with_the_daemon_s_last_words() -> None:
    reader = Reader()
    reader.read(native(MESSAGE="freshd: the sealing key is not the one of vault 1234"))
    reader.read(native(MESSAGE="  remedy: bring back the right key"))
    line, _ = reader.read(native(MESSAGE_ID=UNIT_FAILED, UNIT="freshd.service", UNIT_RESULT="exit-code", MESSAGE="…"))
    assert line is not None
    assert (line.event, line.remedy, line.severity) == (
        "daemon.failed", "bring back the right key", Severity.ALERT,
    )  # fmt: skip
    assert line.fields == {"result": "exit-code", "cause": "the sealing key is not the one of vault 1234"}


def test_a_daemon_that_ran_has_no_last_words() -> None:
    reader = Reader()
    reader.read(native(MESSAGE="freshd: the configuration is broken"))
    reader.read(native(MESSAGE="…", EVENT="daemon.started"))
    line, _ = reader.read(native(MESSAGE_ID=UNIT_FAILED, UNIT_RESULT="signal"))
    assert line is not None
    assert (line.remedy, line.fields) == ("", {"result": "signal", "cause": ""})


def test_garbage_is_counted_and_empty_lines_are_not() -> None:
    reader = Reader()
    for text in ("", "  ", "x", "y"):
        reader.read(text)
    assert reader.garbage == 2
