"""A message as a person reads it: what, since when, by when, and the command that helps.

Rules
-----
* The subject is one line that says enough on a telephone; it begins with "freshd", never with anything from elsewhere.
* The same things stand in the environment, one by one, for programs that sort messages.
* Nothing here is a secret: events hold none (I10).  Everything is bounded all the same.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from freshd.cli.output import moments, span, utc
from freshd.core.alerts import Alert, Kind, Message, bounded

SUBJECT_MOST = 200


def subject(message: Message) -> str:
    """One line: how loud or over, whose, what, and what helps."""
    alert = message.alert
    if message.kind is Kind.CLEARED:
        return bounded(f"freshd cleared {_whose(alert)}: {_what(alert)}", SUBJECT_MOST)
    helps = f" -> {alert.remedy}" if alert.remedy else ""
    return bounded(f"freshd {alert.severity.name} {_whose(alert)}: {_what(alert)}{helps}", SUBJECT_MOST)


def text(message: Message) -> str:
    """All that is known, a line each."""
    alert = message.alert
    lines = [
        (message.kind.value, f"{_whose(alert)}: {alert.meaning or alert.event}"),
        ("event", _what(alert)),
        ("details", alert.details),
        ("since", utc(alert.since)),
        *_end(message),
        ("host", platform.node()),
    ]
    return "".join(f"{name:<9} {value}\n" for name, value in lines if value)


def variables(message: Message) -> Mapping[str, str]:
    """The same for the environment."""
    alert = message.alert
    return {
        "FRESHD_ALERT": message.kind.value,
        "FRESHD_ALERT_SUBJECT": subject(message),
        "FRESHD_ALERT_EVENT": bounded(alert.event),
        "FRESHD_ALERT_ACCOUNT": bounded(alert.account or ""),
        "FRESHD_ALERT_CAUSE": alert.cause,
        "FRESHD_ALERT_SEVERITY": alert.severity.name.lower(),
        "FRESHD_ALERT_MEANING": alert.meaning,
        "FRESHD_ALERT_REMEDY": alert.remedy,
        "FRESHD_ALERT_SINCE": utc(alert.since),
        "FRESHD_ALERT_BY": "" if alert.by is None else utc(alert.by),
        "FRESHD_ALERT_AT": utc(message.at),
    }


def document(message: Message) -> dict[str, Any]:
    """The same as JSON; moments are wall-clock seconds."""
    alert = message.alert
    return {
        "alert": message.kind.value, "event": alert.event, "account": alert.account, "cause": alert.cause,
        "severity": alert.severity.name.lower(), "meaning": alert.meaning, "details": alert.details,
        "since": alert.since, "by": alert.by, "remedy": alert.remedy, "at": message.at, "because": message.because,
    }  # fmt: skip


def _whose(alert: Alert) -> str:
    return bounded(alert.account or "the daemon")


def _what(alert: Alert) -> str:
    return f"{bounded(alert.event)} ({alert.cause})" if alert.cause else bounded(alert.event)


def _end(message: Message) -> list[tuple[str, str]]:
    alert = message.alert
    if message.kind is Kind.CLEARED:
        lasted = span(message.at - alert.since)
        return [("cleared", f"{utc(message.at)}, after {lasted}, by {bounded(message.because)}")]
    by = "" if alert.by is None else moments(alert.by, message.at)
    return [("by", by), ("do", alert.remedy)]
