"""Of every trouble once, and once when it is over."""

from __future__ import annotations

import pytest

from freshd.core.alerts import DETAILS_MOST, LASTING, MORE, MOST_CAUSES, Book, Kind, Line, Message, note, standing
from freshd.core.catalogue import CATALOGUE
from freshd.core.events import Severity

START = 1_800_000_000.0
DAY = 86400.0


def told(*lines: Line, least: Severity = Severity.WARNING) -> list[Message]:
    """Everything a person is told of these lines."""
    book, messages = Book(), list[Message]()
    for line in lines:
        book, more = note(book, line, least)
        messages += more
    return messages


def kinds(*lines: Line) -> list[tuple[str, str | None]]:
    return [(message.kind.value, message.alert.account) for message in told(*lines)]


def parked(account: str = "mail", code: str = "invalid_grant", at: float = START, **fields: str) -> Line:
    return Line("account.parked", at, account, fields={"code": code, **fields}, remedy=f"freshd enrol {account}")


def recovered(account: str = "mail", at: float = START + 60) -> Line:
    return Line("account.recovered", at, account)


def test_a_trouble_is_told_when_it_begins_and_when_it_is_over() -> None:
    first, last = told(parked(), recovered())
    assert (first.kind, last.kind) == (Kind.RAISED, Kind.CLEARED)
    assert (last.alert.since, last.at, last.because) == (START, START + 60, "account.recovered")


def test_the_same_trouble_again_is_silent_until_it_was_over() -> None:
    assert kinds(parked(), parked(at=START + 9), recovered(), recovered(), parked()) == [
        ("raised", "mail"), ("cleared", "mail"), ("raised", "mail"),
    ]  # fmt: skip


def test_accounts_and_causes_are_troubles_of_their_own() -> None:
    lines = [parked(), parked("calendar"), parked(code="invalid_client"), recovered()]
    assert kinds(*lines) == [
        ("raised", "mail"), ("raised", "calendar"), ("raised", "mail"), ("cleared", "mail"), ("cleared", "mail"),
    ]  # fmt: skip


def test_what_is_not_loud_enough_raises_nothing_and_still_clears() -> None:
    lines = [Line("lease.withdrawn", START, "mail"), parked(), Line("refresh.succeeded", START, "mail")]
    assert [message.alert.event for message in told(*lines, least=Severity.ALERT)] == ["account.parked"] * 2


def test_the_level_of_the_line_wins_over_the_catalogue() -> None:
    assert told(Line("account.enrolled", START, "mail", level=Severity.ALERT))
    assert not told(Line("account.parked", START, "mail", level=Severity.INFO))


def test_a_lead_says_by_when() -> None:
    [message] = told(Line("grant.ending", START, "mail", fields={"seconds_left": str(7 * DAY), "which": "final"}))
    assert message.alert.by == START + 7 * DAY
    assert (message.alert.cause, message.alert.details) == ("final", "which=final")


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "1e99", "None"])
def test_a_lead_that_is_no_number_is_none(text: str) -> None:
    [message] = told(Line("grant.ending", START, "mail", fields={"seconds_left": text}))
    assert message.alert.by is None


def test_a_lead_that_has_passed_is_now() -> None:
    [message] = told(Line("doubt.opened", START, "mail", fields={"usable_for": "-5"}))
    assert message.alert.by == START


def ending(days: float, at: float = START) -> Line:
    return Line("grant.ending", at, "mail", fields={"seconds_left": str(days * DAY), "which": "final"})


def test_a_trouble_that_comes_nearer_is_told_again_at_each_half() -> None:
    days = [30, 29, 16, 14, 14, 7, 5, 3, 1]
    messages = told(*(ending(left, START + (30 - left) * DAY) for left in days))
    told_at = [round((message.alert.left or 0) / DAY) for message in messages]
    assert told_at == [30, 14, 7, 3, 1]
    assert [message.kind for message in messages] == [Kind.RAISED, *[Kind.REMINDER] * 4]
    assert {message.alert.since for message in messages} == {START}


def test_a_lead_that_becomes_known_is_told_and_one_that_is_over_is_not_told_again() -> None:
    lefts = [None, 50.0, None, -5.0, -50.0, 0.0]
    lines = (
        Line("doubt.opened", START, "mail", fields={} if left is None else {"usable_for": str(left)}) for left in lefts
    )
    assert [message.alert.left for message in told(*lines)] == [None, 50.0, 0.0]


def test_what_nothing_clears_merely_happened_and_is_told_once_an_hour() -> None:
    moments = [0, 10, 3599, 3601, 3700]
    messages = told(*(Line("clock.stepped", START + at) for at in moments))
    assert [(message.kind, message.at - START) for message in messages] == [
        (Kind.HAPPENED, 0), (Kind.HAPPENED, 3601),
    ]  # fmt: skip


def test_an_event_that_only_a_newer_freshd_knows_is_told_by_its_own_line() -> None:
    line = Line("moon.full", START, "mail", Severity.ALERT, "the moon is full", "look up, ACCOUNT")
    [message] = told(line)
    assert (message.kind, message.alert.meaning, message.alert.remedy) == (
        Kind.HAPPENED, "the moon is full", "look up, mail",
    )  # fmt: skip


def test_a_line_of_a_newer_freshd_clears_what_it_says_it_clears() -> None:
    assert kinds(parked(), Line("moon.new", START, "mail", clears=("account.parked",)))[-1] == ("cleared", "mail")


def test_one_account_clears_nothing_of_another_nor_of_the_daemon() -> None:
    locked = Line("vault.locked", START)
    assert len(told(parked(), locked, recovered("calendar"), Line("refresh.succeeded", START, "calendar"))) == 2


def test_what_tells_causes_apart_by_the_same_field_ends_only_its_own() -> None:
    def line(event: str, channel: str, at: float) -> Line:
        return Line(event, at, "mail", fields={"channel": channel})

    down = [line("channel.down", name, START) for name in ("one", "two")]
    assert len(told(*down, line("channel.connected", "one", START + 1))) == 3
    assert len(told(*down, line("channel.connected", "three", START + 1))) == 2
    assert len(told(*down, Line("account.retired", START + 1, "mail"))) == 4


def test_a_cause_may_be_cleared_alone() -> None:
    unused = Line("grant.ending", START, "mail", fields={"which": "unused"})
    messages = told(ending(7), unused, Line("refresh.succeeded", START, "mail"))
    assert [message.alert.cause for message in messages if message.kind is Kind.CLEARED] == ["unused"]


@pytest.mark.parametrize(("locked", "ends"), [("False", True), ("false", True), ("True", False), ("", False)])
def test_a_start_with_an_open_vault_ends_what_was_said_of_a_locked_one(locked: str, ends: bool) -> None:
    start = Line("daemon.started", START, fields={"locked": locked})
    assert (len(told(Line("vault.locked", START), start)) == 2) is ends


def test_a_success_after_a_restart_ends_what_nobody_said_was_over() -> None:
    assert kinds(parked(), Line("refresh.succeeded", START, "mail"))[-1] == ("cleared", "mail")


def test_the_catalogue_s_remedy_names_the_account() -> None:
    [message] = told(Line("grant.gone", START, "mail"))
    assert message.alert.remedy == "freshd enrol mail"


def test_a_service_that_invents_codes_fills_no_book() -> None:
    messages = told(*(parked(code=f"code-{number}") for number in range(100)))
    assert len(messages) == MOST_CAUSES + 1
    assert messages[-1].alert.cause == MORE


def test_texts_are_bounded_and_steer_no_terminal() -> None:
    [message] = told(Line("account.parked", START, "mail", fields={"code": "a\n\x1b[31m" * 900, "x": "y" * 9000}))
    alert = message.alert
    assert len(alert.details) <= DETAILS_MOST
    assert "\n" not in alert.cause + alert.details
    assert "\x1b" not in alert.cause + alert.details


def test_who_begins_to_listen_is_told_what_is_open() -> None:
    book = Book()
    for line in (parked(), recovered(), parked("calendar"), Line("clock.stepped", START)):
        book, _ = note(book, line)
    assert [(message.kind, message.alert.account) for message in standing(book)] == [(Kind.RAISED, "calendar")]


def test_a_line_that_changes_nothing_leaves_the_book_as_it_was() -> None:
    book, _ = note(Book(), parked())
    assert note(book, Line("access.granted", START, "mail"))[0] == book


def test_every_alert_of_an_account_ends_when_the_account_is_gone() -> None:
    momentary = {name for name, entry in CATALOGUE.items() if entry.severity <= Severity.WARNING} - LASTING
    assert momentary == {"clock.stepped", "outlet.dropped", "vault.rolled-back"}
    of_the_daemon = {"daemon.failed", "config.refused", "config.needs-restart", "vault.locked", "vault.unusable"} | {
        "outlet.refused",
        "service.refusing",
        "vault.key-kept",
        "vault.waiting",
    }
    of_accounts = {name for name in LASTING if CATALOGUE[name].severity <= Severity.WARNING} - of_the_daemon
    assert of_accounts == set(CATALOGUE["account.forgotten"].clears) == set(CATALOGUE["account.retired"].clears)
