"""Every event there is, with its severity, what it means and what helps.

A layout test compares it with all that is emitted, both ways, and `config/alerts/rules.toml` is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from freshd.core.events import Entry, Event, Severity


def _entry(
    severity: Severity, meaning: str, remedy: str = "", clears: str = "", lead: str = "", apart: str = ""
) -> Entry:
    return Entry(severity, meaning, remedy, tuple(clears.split()), lead, apart)


_OF_AN_ACCOUNT: Final = (
    "account.parked bug channel.down channel.kept-out channel.stopped code.unknown doubt.opened doubt.replayed "
    "enrolment.failed envfile.adopted envfile.not-adopted envfile.stale envfile.unusable grant.ending grant.gone "
    "heal.stopped identity.wrong keyring.bypassed keyring.unsettled lease.withdrawn refresh.unable "
    "refresh.without-token renewal.overdue save.failed"
)
"""Every alert that one account alone can have."""
_RENEWED: Final = (
    "account.parked bug code.unknown doubt.replayed grant.ending:unused identity.wrong lease.withdrawn "
    "refresh.unable refresh.without-token renewal.overdue save.failed"
)
"""What a success proves to be over, also where it came to pass while nobody listened: over a restart."""


_S = Severity
CATALOGUE: Final[Mapping[str, Entry]] = MappingProxyType(
    {
        # the daemon
        "daemon.started": _entry(
            _S.NOTICE,
            "freshd is up: accounts, placement, custodian, socket",
            clears="daemon.failed config.refused config.needs-restart vault.unusable vault.waiting bug outlet.refused",
        ),
        "daemon.stopping": _entry(_S.NOTICE, "freshd was asked to stop; flights are landing"),
        "daemon.stopped": _entry(_S.NOTICE, "freshd has stopped; every answer is durable"),
        "daemon.failed": _entry(
            _S.ALERT,
            "the service manager says that freshd ended unasked, or did not start",
            "journalctl -u freshd",
            apart="result",
        ),
        "config.reloaded": _entry(_S.NOTICE, "a new configuration is in force", clears="config.refused"),
        "config.refused": _entry(_S.ALERT, "a new configuration has errors; the old one stays", "freshd check"),
        "config.needs-restart": _entry(_S.WARNING, "a change takes effect at the next start", "restart freshd"),
        "clock.resumed": _entry(_S.NOTICE, "the machine slept; due moments were looked at again"),
        "clock.stepped": _entry(_S.WARNING, "the wall clock jumped; lives go by the boot clock", "check time sync"),
        "bug": _entry(
            _S.ALERT,
            "freshd met something it does not understand; secrets are kept",
            "freshd doctor",
            apart="kind",
        ),
        # renewing
        "refresh.succeeded": _entry(_S.INFO, "renewed, durable, published", clears=_RENEWED),
        "refresh.without-token": _entry(
            _S.WARNING,
            "answered, and what came is kept, but no new token to hand out was in it; asked again",
            "freshd explain ACCOUNT",
            clears="refresh.unable code.unknown",
        ),
        "answer.odd": _entry(_S.NOTICE, "renewed, though parts of the answer could not be used as they were"),
        "refresh.rejected": _entry(_S.NOTICE, "the service itself said no", "freshd explain ACCOUNT"),
        "refresh.not-sent": _entry(_S.NOTICE, "nothing left this machine; tried again by pace"),
        "refresh.lost": _entry(
            _S.NOTICE, "no usable answer; what was sent works many times, or is replaced, so freshd goes on by itself"
        ),
        "refresh.unable": _entry(
            _S.WARNING, "our own store, keyring or configuration was not ready; nothing was sent", apart="type"
        ),
        "code.unknown": _entry(
            _S.ALERT, "a refusal that no table knows; everything is kept", "freshd explain ACCOUNT", apart="code"
        ),
        "service.refusing": _entry(
            _S.ALERT,
            "a service refuses several accounts at once: every secret is kept, and it is asked again every 10 minutes",
            "look at the service: its token store, or an edit of groups there; then freshd status",
            apart="host",
        ),
        "service.accepting": _entry(
            _S.NOTICE, "the service answers these accounts again", clears="service.refusing", apart="host"
        ),
        "climb.started": _entry(_S.NOTICE, "trying the next way to renew"),
        "renewal.overdue": _entry(
            _S.ALERT,
            "readers have been without a lease for a while, and renewing goes on failing; it is tried again by pace",
            "freshd explain ACCOUNT",
        ),
        "renewal.recovered": _entry(_S.NOTICE, "readers have a lease again", clears="renewal.overdue"),
        "relative.asked": _entry(_S.NOTICE, "the account needs another of its family to renew first"),
        "relative.helped": _entry(_S.INFO, "another account of the family brought what this one needed"),
        "flight.late": _entry(_S.NOTICE, "an attempt ended after its account had moved on"),
        "record.newer": _entry(_S.NOTICE, "the record was newer than the attempt; nothing was sent"),
        # doubt
        "doubt.opened": _entry(
            _S.ALERT, "nobody knows whether the secret was spent; usable_for: seconds that remain", lead="usable_for"
        ),
        "doubt.replayed": _entry(_S.WARNING, "the secret is presented once more, counted before it leaves"),
        "doubt.resolved": _entry(_S.NOTICE, "what happened is known again", clears="doubt.opened doubt.replayed"),
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
            "the journal is old, copied or restored: of accounts held back nothing that works once is presented",
            "freshd status; then freshd confirm or enrol",
        ),
        "vault.key-rotating": _entry(_S.NOTICE, "a new sealing key takes the place of the old one"),
        "vault.key-rotated": _entry(
            _S.NOTICE,
            "everything that opens is sealed with the new key",
            clears="vault.key-kept vault.waiting:rotate-key",
        ),
        "vault.key-kept": _entry(
            _S.WARNING,
            "something in the journal does not open and still names an earlier sealing key, which is kept for it",
            "freshd enrol or freshd forget the damaged accounts; then freshd vault rotate-key",
        ),
        "vault.moving": _entry(_S.NOTICE, "grants and sealing key move to where the configuration says"),
        "vault.moved": _entry(
            _S.NOTICE,
            "grants and sealing key rest where the configuration says",
            clears="vault.waiting:move",
        ),
        "vault.waiting": _entry(
            _S.WARNING,
            "a rotation of the key or a move cannot go on now; everything is served, and it is tried again",
            "freshd vault status",
            apart="verb",
        ),
        "keyring.unsettled": _entry(
            _S.WARNING,
            "the OS keyring does not hold the newest grant yet; the journal does. No renewal before usable_for is over",
            "unlock or repair the keyring",
            lead="usable_for",
        ),
        "keyring.bypassed": _entry(
            _S.ALERT,
            "renewed while the OS keyring could not take a grant: the journal alone has the newest one",
            "unlock or repair the keyring; lose neither it nor the state directory",
        ),
        "keyring.settled": _entry(
            _S.INFO, "the OS keyring holds the newest grant", clears="keyring.unsettled keyring.bypassed"
        ),
        # accounts
        "account.enrolled": _entry(
            _S.NOTICE,
            "a person gave the account a new grant",
            clears="grant.ending grant.gone identity.wrong enrolment.failed heal.stopped",
        ),
        "enrolment.failed": _entry(
            _S.WARNING,
            "an enrolment came to nothing; the old grant is untouched",
            "freshd enrol ACCOUNT",
            apart="code",
        ),
        "account.parked": _entry(
            _S.ALERT,
            "only a person, a change of configuration or a date can help",
            "freshd explain ACCOUNT",
            lead="usable_for",
            apart="code",
        ),
        "account.recovered": _entry(_S.NOTICE, "renewing again", clears="account.parked code.unknown"),
        "account.paused": _entry(_S.NOTICE, "an operator paused renewing", "freshd resume ACCOUNT"),
        "account.resumed": _entry(_S.NOTICE, "an operator resumed renewing"),
        "account.retired": _entry(
            _S.NOTICE,
            "removed from the configuration; its record is kept",
            "freshd forget ACCOUNT",
            clears=_OF_AN_ACCOUNT,
        ),
        "account.forgotten": _entry(_S.NOTICE, "an operator had the record erased", clears=_OF_AN_ACCOUNT),
        "identity.wrong": _entry(
            _S.ALERT, "the answer was for somebody else: kept, not published", "freshd enrol ACCOUNT"
        ),
        "grant.ending": _entry(
            _S.WARNING,
            "the grant itself ends; a person is needed by then",
            "freshd enrol ACCOUNT",
            lead="seconds_left",
            apart="which",
        ),
        "grant.left-behind": _entry(
            _S.NOTICE, "the grant that an enrolment replaced could not be ended at the service; it ends by itself"
        ),
        "grant.gone": _entry(
            _S.ALERT,
            "the service gave no new grant; the lease in hand is the last",
            "freshd enrol ACCOUNT",
            lead="usable_for",
        ),
        # somebody's .env file
        "envfile.adopted": _entry(
            _S.ALERT,
            "another program renewed this account and wrote its refresh token into the file: taken over, and emptied",
            "find the program that still renews (fuser -v PATH), and let it use the access token or ask freshd",
            clears="envfile.not-adopted",
        ),
        "envfile.stale": _entry(
            _S.ALERT,
            "another program wrote back a refresh token that is spent or over: not taken over, and emptied",
            "find the program that still keeps it (fuser -v PATH), and let it use the access token or ask freshd",
            clears="envfile.not-adopted",
        ),
        "envfile.not-adopted": _entry(
            _S.ALERT,
            "a refresh token in the file cannot be taken over now; it stays there and is tried again",
            "freshd import-env ACCOUNT --file PATH",
        ),
        "envfile.unusable": _entry(
            _S.ALERT,
            "the file cannot be read or kept in step; programs that read it may find an old token",
            "ls -la PATH; df -h PATH",
        ),
        "envfile.usable": _entry(_S.NOTICE, "the file is kept in step again", clears="envfile.unusable"),
        "envfile.quiet": _entry(
            _S.NOTICE,
            "for a day no program wrote a refresh token into the file",
            clears="envfile.adopted envfile.stale envfile.not-adopted",
        ),
        "envfile.released": _entry(
            _S.NOTICE,
            "the file is not looked after any more, as the configuration says",
            clears="envfile.adopted envfile.stale envfile.not-adopted envfile.unusable",
        ),
        # readers
        "lease.refused": _entry(_S.NOTICE, "a consumer says that a service refused the lease"),
        "lease.withdrawn": _entry(
            _S.WARNING,
            "the service declared void what the lease was made of; another is made",
            "freshd explain ACCOUNT",
        ),
        "lease.healed": _entry(_S.NOTICE, "a refused lease was replaced without a restart", clears="heal.stopped"),
        "heal.stopped": _entry(_S.ALERT, "fresh leases are refused too; healing stops", "freshd explain ACCOUNT"),
        "access.granted": _entry(_S.INFO, "a caller was handed this generation for the first time"),
        "access.granted-again": _entry(_S.DEBUG, "how often a caller was handed the same generation again"),
        "access.denied": _entry(_S.NOTICE, "a caller was refused an account it may not read"),
        "access.denied-again": _entry(_S.DEBUG, "how often a caller was refused again"),
        # channels
        "channel.connected": _entry(
            _S.NOTICE,
            "a login that freshd itself holds is up",
            clears="channel.down channel.kept-out channel.stopped",
            apart="channel",
        ),
        "channel.lost": _entry(_S.NOTICE, "the login is down, or was not had; tried again by itself"),
        "channel.down": _entry(
            _S.WARNING,
            "the login has been down for minutes; tried again, no faster than once a minute",
            "look at the other side, and at the way there; freshd status ACCOUNT",
            apart="channel",
        ),
        "channel.refused": _entry(_S.NOTICE, "the service refused the login; the lease is healed, then tried again"),
        "channel.kept-out": _entry(
            _S.ALERT,
            "one lease after the other was refused at the login; tried slowly now",
            "see whether the other side knows the account's tokens; then: freshd refresh ACCOUNT",
            apart="channel",
        ),
        "channel.stopped": _entry(
            _S.ALERT,
            "the login was thrown out for another one, or will never be taken; freshd does not try again",
            "freshd status ACCOUNT",
            apart="channel",
        ),
        "channel.closed": _entry(
            _S.NOTICE,
            "the login is no longer configured for this account",
            clears="channel.down channel.kept-out channel.stopped",
            apart="channel",
        ),
        # outlets
        "outlet.refused": _entry(
            _S.ALERT,
            "the broker does not take what is published there; what it refuses is counted and let go",
            "let the broker allow the channel's login to publish below the prefix, and to read its status there",
        ),
        "outlet.accepted": _entry(
            _S.NOTICE,
            "the broker takes everything again, or nothing is published there any more",
            clears="outlet.refused",
        ),
        "outlet.dropped": _entry(
            _S.WARNING,
            "events made room for newer ones, or the broker hung up on them again and again; the log has them all",
            "look at the channel and its broker; a longer ring in [outlets.mqtt] bridges a longer time",
        ),
    }
)


def entry_of(event: Event) -> Entry:
    """Its line."""
    return CATALOGUE[event.name]
