"""Why a family cannot renew: from the record, and from looks that spend nothing.

Rules
-----
* The platform is asked for the salt, which is what a client does before anything else; a login is never made, and no
  SMS asked for.
* What cannot be known without a login is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Iterator

from freshd.core.model import Moment, Record
from freshd.core.outcome import Lost, NotSent, Performed, Reply
from freshd.ports import Found
from freshd.providers.form import Foreign, date
from freshd.providers.futu.case import AUTH_CODE, TICKET, UID, WEB_SIG, due, held
from freshd.providers.futu.envelope import Refused, opened
from freshd.providers.futu.hosts import ATTRIBUTIONS, platform_of
from freshd.providers.futu.life import OFFSET_SECONDS, whole
from freshd.providers.futu.options import Options
from freshd.providers.futu.refusal import ADVICE, TOO_OLD, WRONG_ACCOUNT, WRONG_HOST

UNKNOWN: Found = Found(
    0,
    "cannot be known without a login: whether another client uses this device id or has renewed the ticket, whether "
    "the device id is spoilt, whether the account is on hold",
)
CLOCK_REMEDY = "set this machine's clock: timedatectl set-ntp true"


def explained(name: str, code: str) -> Found | None:
    """What a code of the history means; None for one of no table.  Pure."""
    advice = ADVICE.get(int(code)) if code.isdecimal() and code.isascii() else None
    return None if advice is None else Found(2, f"the service said {code}: {advice}", f"freshd explain {name}")


def of_record(name: str, record: Record, now: Moment, life: float | None) -> Iterator[Found]:
    """What the platform's own record tells; `life`: seconds that a ticket lives."""
    grant = record.grant
    if grant is None or held(record, TICKET) is None:
        yield Found(2, "there is no ticket", f"freshd enrol {name} --import < RECORD", "never-enrolled")
        return
    age, ends = now.wall - grant.obtained.wall, grant.valid_for or life
    if ends is not None and age > ends:
        yield Found(2, "the ticket is past its life", f"freshd enrol {name} --import < RECORD", "expired")
    step = due(record)
    if step is not None:
        text = f"the service asked for a person's step: {step.rung}"
        yield Found(2, text, f"freshd enrol {name}", "revoked")
    if held(record, WEB_SIG) is None:
        yield Found(1, "there is no web signature: brokers get codes from a new login only", f"freshd refresh {name}")
    if held(record, UID) is None:
        yield Found(1, "the account's number is not known yet; a login tells it", f"freshd refresh {name}")


def of_salt(options: Options, performed: Performed, now: Moment) -> Iterator[Found]:
    """What the answer to the question for the salt tells."""
    if isinstance(performed, NotSent | Lost):
        yield Found(1, f"the platform does not answer: {performed.reason}", "look at the network, and at auth_url")
        return
    yield from _clock(performed, now)
    said = opened(performed)
    if isinstance(said, Foreign):
        remedy = "look for a proxy in between, and at auth_url; the path of the salt is not known for certain"
        yield Found(1, f"what answers is not the platform: {said} (status {performed.status})", remedy, "gateway")
    elif isinstance(said, Refused):
        yield _refused(said.code)
    else:
        yield from _region(options, said.fields.get("user_attribution"))


def of_broker(name: str, record: Record, platform: Record, now: Moment) -> Iterator[Found]:
    """What a broker's record, and its platform's, tell."""
    grant = record.grant
    if grant is None and record.lease is None:
        yield Found(1, "the broker never got a code", f"freshd refresh {name}", "never-enrolled")
    elif held(record, AUTH_CODE) is None:
        yield Found(0, "no code is in stock")
    elif grant is not None and grant.valid_for is not None and now.wall - grant.obtained.wall > grant.valid_for:
        yield Found(1, "the code in stock is over", f"freshd refresh {name}", "expired")
    else:
        yield Found(0, "a code is in stock; whether it was spent elsewhere is only known once it is presented")
    if held(platform, WEB_SIG) is None:
        yield Found(1, "its platform holds no web signature: a new code takes a login there", "", "no-refresh-token")


def _refused(code: int) -> Found:
    if code == TOO_OLD:
        return Found(2, ADVICE[TOO_OLD], 'write client_version = "…" as a present client has it', "app-refused")
    if code in (WRONG_ACCOUNT, WRONG_HOST):
        return Found(2, ADVICE[code], "write attribution, and account as it logs in", "wrong-app")
    return Found(1, f"the platform refuses to tell the salt: code {code}", "", "unknown")


def _region(options: Options, number: object) -> Iterator[Found]:
    region = ATTRIBUTIONS.get(whole(number) or 0)
    if region is None:
        return
    if platform_of(region) != options.platform:
        write = f'write attribution = "{region}"'
        yield Found(2, f"the account belongs to the platform {platform_of(region)}", write, "wrong-app")
    else:
        yield Found(0, f"account and platform fit (region {region})")


def _clock(reply: Reply, now: Moment) -> Iterator[Found]:
    dated = date(reply.header("Date"))
    if dated is not None and abs(dated - now.wall) > OFFSET_SECONDS:
        yield Found(1, f"this machine's clock is {abs(dated - now.wall):.0f} s off", CLOCK_REMEDY, "clock")
