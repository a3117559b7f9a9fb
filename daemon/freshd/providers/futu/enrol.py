"""A person's part at the platform: bringing a ticket, checking the device by SMS, confirming a third factor.

Rules
-----
* A ticket is adopted from another client's record.  How the first one is built out of a password is nowhere written
  down, so freshd cannot make it.
* No SMS leaves without the person's consent, and none twice for one signature: its code is asked for again.
* A wrong code is counted in the record, and from the first one on every further try needs consent too: several spoil
  the device id for good.
* What a login had brought for a step is good for five minutes; then that login is made again, by the person's command.
* Names are compared in their one form, so that a phone written another way is no other account.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from freshd.core.model import Change, Grant, Moment, Record, Secret
from freshd.core.outcome import NotSent, Reply
from freshd.errors import NeedsConsent, NotPossible
from freshd.ports import Asked
from freshd.providers.deps import Deps
from freshd.providers.form import Foreign, object_of
from freshd.providers.futu import wire
from freshd.providers.futu.case import (
    DEVICE_CHECK,
    DEVICE_ID,
    DEVICE_SIG,
    DEVICE_VERIFY,
    LOGIN_AGAIN,
    PHONE_NO,
    RAND_KEY,
    THIRD_FACTOR,
    THIRD_VERIFY,
    TICKET,
    UID,
    WEB_SIG,
    WRONG_CODES,
    Due,
    due,
    held,
)
from freshd.providers.futu.envelope import Refused, opened
from freshd.providers.futu.hosts import ATTRIBUTIONS, identity, platform_of
from freshd.providers.futu.life import whole
from freshd.providers.futu.options import Options
from freshd.providers.futu.refusal import ADVICE
from freshd.providers.futu.sealed import is_key

CODE: Final = re.compile(r"[0-9A-Za-z]{2,16}")
"""What an SMS holds.  Anything else, above all nothing, is not sent."""
DEVICE: Final = re.compile(r"[0-9a-fA-F]{16}")
PHONE: Final = re.compile(r"[0-9+* -]{4,24}")
SMS_SECONDS: Final = 30.0
"""More SMS than this bring a refusal for everybody behind the same address."""
UNPROVEN_SECONDS: Final = 86_400.0
"""How long a ticket of unknown age is relied upon: within a day freshd has renewed it and knows."""
ADOPTED: Final = (DEVICE_ID, TICKET, RAND_KEY, WEB_SIG, DEVICE_SIG)
CONFIRMED: Final = "yes"


class Steps:
    """The steps of one account.  Remembers in memory for which signatures an SMS was sent, and when the last was."""

    def __init__(self, name: str, options: Options, deps: Deps) -> None:
        self._name = name
        self._options = options
        self._deps = deps
        self._sent: dict[Secret, float] = {}

    async def ask(self, record: Record, *, consent: bool) -> Asked:
        """The step that is due.  Raises NeedsConsent, NotPossible."""
        if held(record, TICKET) is None or held(record, DEVICE_ID) is None:
            raise NotPossible(
                "there is no ticket, and freshd cannot make the first one: how it is built is not known",
                f"log in once with another client, stop it, then: freshd enrol {self._name} --import < ITS-RECORD",
            )
        step, now = due(record), self._deps.clock.now()
        if step is None or step.left(now) <= 0:
            return Asked("", MappingProxyType({}), interval=1.0, expires_in=300.0, rung=LOGIN_AGAIN)
        if step.rung == THIRD_FACTOR:
            prompt = f"confirm the login in the vendor's app, then type {CONFIRMED}"
            return Asked(
                "", {THIRD_VERIFY: step.signature}, expires_in=step.left(now), rung=THIRD_FACTOR, prompt=prompt
            )
        return await self._device(record, step, now, consent=consent)

    async def _device(self, record: Record, step: Due, now: Moment, *, consent: bool) -> Asked:
        phone, before = shown_phone(held(record, PHONE_NO)), self._sent.get(step.signature)
        wrong = whole(held(record, WRONG_CODES)) or 0
        if not consent and (before is None or wrong):
            raise NeedsConsent(_price(phone, wrong, is_sent=before is not None), f"freshd enrol {self._name} --yes")
        if before is None:
            await self._send(step, now)
        ago = "" if before is None else f", sent {now.boot - before:.0f} s ago"
        prompt = f"code from the SMS to {phone}{ago}"
        return Asked("", {DEVICE_VERIFY: step.signature}, expires_in=step.left(now), rung=DEVICE_CHECK, prompt=prompt)

    async def _send(self, step: Due, now: Moment) -> None:
        """Have the SMS sent; counted before it leaves, so that a lost answer is no reason for another."""
        wait = max((at + SMS_SECONDS - now.boot for at in self._sent.values()), default=0.0)
        if wait > 0:
            raise NotPossible("an SMS was sent a moment ago", f"wait {wait:.0f} s, then: freshd enrol {self._name}")
        self._sent[step.signature] = now.boot
        performed = await self._deps.http.call(wire.sms(self._options, step.signature.reveal()))
        if isinstance(performed, NotSent):
            del self._sent[step.signature]
            raise NotPossible(f"no SMS was asked for: {performed.reason}", f"freshd enrol {self._name}, later")
        wrong = refusal_of(performed) if isinstance(performed, Reply) else None
        if wrong is not None:
            raise NotPossible(
                f"the service sends no SMS: {wrong}",
                f"leave it alone for some minutes, then: freshd enrol {self._name}",
            )


def refusal_of(reply: Reply) -> str | None:
    """Why an SMS will not come; None where it will.  What a success looks like is not known: no refusal is one."""
    said = opened(reply)
    if isinstance(said, Refused):
        return f"code {said.code}"
    if reply.status not in range(200, 300):
        return f"status {reply.status}"
    return str(said) if isinstance(said, Foreign) and isinstance(object_of(reply), Foreign) else None


def code_in(material: Mapping[str, Secret]) -> str | None:
    """The code that a person has typed in; None for what is none."""
    given = material["code"].reveal().strip() if "code" in material else ""
    return given if CODE.fullmatch(given) else None


def is_confirmed(material: Mapping[str, Secret]) -> bool:
    """Whether the person says that the third factor is confirmed."""
    return "code" in material and material["code"].reveal().strip().lower() == CONFIRMED


def shown_phone(number: str | None) -> str:
    """A phone number that can be shown: as the service masked it, or masked by us."""
    if number is None or PHONE.fullmatch(number) is None:
        return "the account's phone"
    if "*" in number:
        return number
    digits = number.replace(" ", "").replace("-", "")
    return f"{digits[:3]}****{digits[-4:]}" if len(digits) >= 9 else "the account's phone"


def adopt(name: str, given: Mapping[str, Secret], options: Options, now: Moment, lineage: str) -> Change:
    """The grant that another client's record comes to.  Raises NotPossible with everything that is wrong with it."""
    plain = {key: secret.reveal().strip() for key, secret in given.items()}
    wrong = [*_incomplete(plain), *_foreign(plain, options)]
    if wrong:
        raise NotPossible(
            "the record cannot be used: " + "; ".join(wrong), f"freshd enrol {name} --import < ITS-RECORD"
        )
    uid = whole(plain.get("uid")) or 0
    secrets = {key: Secret(plain[key]) for key in ADOPTED if plain.get(key)}
    secrets |= {UID: Secret(str(uid))} if uid else {}
    binding = replace(options.binding, subject=str(uid) if uid else None)
    grant = Grant(lineage, binding, MappingProxyType(secrets), now, now, valid_for=UNPROVEN_SECONDS)
    return Change(name, grant)


def _incomplete(plain: Mapping[str, str]) -> Iterator[str]:
    missing = [key for key in (DEVICE_ID, TICKET, RAND_KEY) if not plain.get(key)]
    if missing:
        yield f"it lacks {', '.join(missing)}"
    if plain.get(DEVICE_ID) and DEVICE.fullmatch(plain[DEVICE_ID]) is None:
        yield f"{DEVICE_ID} is not 16 hex digits"
    if plain.get(RAND_KEY) and not is_key(plain[RAND_KEY]):
        yield f"{RAND_KEY} is not 32 bytes in base64"
    if plain.get("uid") and whole(plain["uid"]) is None:
        yield "uid is no number of an account"


def _foreign(plain: Mapping[str, str], options: Options) -> Iterator[str]:
    """What shows that the record is another account's, or another platform's."""
    if plain.get("account") and identity(plain["account"]).name != options.identity.name:
        yield "it is another account's than the configuration names (compared without country code and blanks)"
    number = plain.get("user_attribution")
    region = ATTRIBUTIONS.get(whole(number) or 0)
    if region is not None and options.auth_url is None and platform_of(region) != options.platform:
        yield f'it belongs to another platform than the configured one: write attribution = "{region}"'


def _price(phone: str, wrong: int, *, is_sent: bool) -> str:
    """What the person is asked to agree to."""
    told = f"an SMS with a code will be sent to {phone}" if not is_sent else f"a code was sent to {phone} already"
    if not wrong:
        return f"{told}; it counts against the account's limit, and it is not sent by freshd of its own accord"
    return f"{told}; {wrong} wrong so far: {ADVICE[21]}"
