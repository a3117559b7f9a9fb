"""The catalogue of events: every stable name, what it means, what helps, what it clears (design 9).

Every emit names an entry; a test compares both ways.  Alert rules and the README's table are rendered from here.
Severities: debug, info, notice (worth a line), warning (look within days), alert (a person is needed); edge-triggered.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

Fields = Mapping[str, str | int | float | bool | None]
"""What an event tells beside its name: plain values without secrets."""


class Severity(enum.IntEnum):
    """How loud, in syslog's numbers."""

    ALERT = 1
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the catalogue.  `clears`: names of events whose alert ends with this one."""

    severity: Severity
    meaning: str
    remedy: str = ""
    clears: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.  Fields are plain values without secrets."""

    name: str
    account: str | None = None
    fields: Fields = field(default_factory=lambda: MappingProxyType({}))
    remedy: str = ""

    @property
    def entry(self) -> Entry:
        """Its line in the catalogue."""
        return CATALOGUE[self.name]


def _entry(severity: Severity, meaning: str, remedy: str = "", clears: str = "") -> Entry:
    return Entry(severity, meaning, remedy, tuple(clears.split()))


_S = Severity
CATALOGUE: Final[Mapping[str, Entry]] = MappingProxyType(
    {
        # the daemon
        "daemon.started": _entry(_S.NOTICE, "freshd is up: accounts, placement, custodian, socket"),
        "daemon.stopping": _entry(_S.NOTICE, "freshd was asked to stop; flights are landing"),
        "daemon.stopped": _entry(_S.NOTICE, "freshd has stopped; every answer is durable"),
        "config.reloaded": _entry(_S.NOTICE, "a new configuration is in force", clears="config.refused"),
        "config.refused": _entry(_S.ALERT, "a new configuration has errors; the old one stays", "freshd check"),
        "config.needs-restart": _entry(_S.WARNING, "a change takes effect at the next start", "restart freshd"),
        "clock.resumed": _entry(_S.NOTICE, "the machine slept; due moments were looked at again"),
        "clock.stepped": _entry(_S.WARNING, "the wall clock jumped; lives go by the boot clock", "check time sync"),
        "bug": _entry(_S.ALERT, "freshd met something it does not understand; secrets are kept", "freshd doctor"),
        # renewing
        "refresh.succeeded": _entry(
            _S.INFO, "renewed, durable, published", clears="refresh.unable code.unknown refresh.without-token"
        ),
        "refresh.without-token": _entry(
            _S.WARNING,
            "answered, and what came is kept, but no new token to hand out was in it; asked again",
            "freshd explain ACCOUNT",
            clears="refresh.unable code.unknown",
        ),
        "answer.odd": _entry(_S.NOTICE, "renewed, though parts of the answer could not be used as they were"),
        "refresh.rejected": _entry(_S.WARNING, "the service itself said no", "freshd explain ACCOUNT"),
        "refresh.not-sent": _entry(_S.NOTICE, "nothing left this machine; tried again by pace"),
        "refresh.lost": _entry(
            _S.NOTICE, "no usable answer; what was sent works many times, so it is sent again by pace"
        ),
        "refresh.unable": _entry(_S.WARNING, "our own store, keyring or configuration was not ready; nothing was sent"),
        "code.unknown": _entry(_S.ALERT, "a refusal that no table knows; everything is kept", "freshd explain ACCOUNT"),
        "climb.started": _entry(_S.NOTICE, "trying the next way to renew"),
        "flight.late": _entry(_S.NOTICE, "an attempt ended after its account had moved on"),
        "record.newer": _entry(_S.NOTICE, "the record was newer than the attempt; nothing was sent"),
        # doubt
        "doubt.opened": _entry(_S.ALERT, "nobody knows whether the secret was spent; usable_for: seconds that remain"),
        "doubt.replayed": _entry(_S.WARNING, "the secret is presented once more, counted before it leaves"),
        "doubt.resolved": _entry(_S.NOTICE, "what happened is known again", clears="doubt.opened"),
        # durability
        "save.failed": _entry(
            _S.ALERT,
            "answered, and not durable: nothing is published, writing goes on",
            "make room in, or repair, the state directory",
        ),
        "save.recovered": _entry(_S.NOTICE, "durable after all", clears="save.failed"),
        "vault.locked": _entry(_S.ALERT, "the sealing key is not there; nothing is renewed", "unlock the keyring"),
        "vault.unlocked": _entry(_S.NOTICE, "the sealing key is there", clears="vault.locked vault.unusable"),
        "vault.unusable": _entry(_S.ALERT, "the vault cannot be opened; nothing was changed", "freshd doctor"),
        "vault.rolled-back": _entry(
            _S.ALERT,
            "the journal is older than its anchor, or of another machine: nothing that works once is presented",
            "freshd status; then freshd confirm or enrol",
        ),
        "keyring.unsettled": _entry(
            _S.WARNING,
            "the OS keyring does not hold the newest grant yet; the journal does",
            "unlock or repair the keyring",
        ),
        "keyring.settled": _entry(_S.INFO, "the OS keyring holds the newest grant", clears="keyring.unsettled"),
        # accounts
        "account.enrolled": _entry(
            _S.NOTICE, "a person gave the account a new grant", clears="grant.ending grant.gone"
        ),
        "enrolment.failed": _entry(
            _S.WARNING, "an enrolment came to nothing; the old grant is untouched", "freshd enrol ACCOUNT"
        ),
        "account.parked": _entry(
            _S.ALERT, "only a person, a change of configuration or a date can help", "freshd explain ACCOUNT"
        ),
        "account.recovered": _entry(_S.NOTICE, "renewing again", clears="account.parked code.unknown"),
        "account.paused": _entry(_S.NOTICE, "an operator paused renewing", "freshd resume ACCOUNT"),
        "account.resumed": _entry(_S.NOTICE, "an operator resumed renewing"),
        "account.retired": _entry(
            _S.NOTICE, "removed from the configuration; its record is kept", "freshd forget ACCOUNT"
        ),
        "account.forgotten": _entry(_S.NOTICE, "an operator had the record erased", clears="account.parked"),
        "identity.wrong": _entry(
            _S.ALERT, "the answer was for somebody else: kept, not published", "freshd enrol ACCOUNT"
        ),
        "grant.ending": _entry(_S.WARNING, "the grant itself ends; a person is needed by then", "freshd enrol ACCOUNT"),
        "grant.gone": _entry(
            _S.ALERT, "the service gave no new grant; the lease in hand is the last", "freshd enrol ACCOUNT"
        ),
        # readers
        "lease.refused": _entry(_S.NOTICE, "a consumer says that a service refused the lease"),
        "lease.healed": _entry(_S.NOTICE, "a refused lease was replaced without a restart", clears="heal.stopped"),
        "heal.stopped": _entry(_S.ALERT, "fresh leases are refused too; healing stops", "freshd explain ACCOUNT"),
        "access.granted": _entry(_S.INFO, "a caller was handed this generation for the first time"),
        "access.granted-again": _entry(_S.DEBUG, "how often a caller was handed the same generation again"),
        "access.denied": _entry(_S.NOTICE, "a caller was refused an account it may not read"),
        "access.denied-again": _entry(_S.DEBUG, "how often a caller was refused again"),
    }
)
