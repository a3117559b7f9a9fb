"""Verification codes by SMS or e-mail: sent when a person agrees, asked for until they are right or over.

Rules
-----
* An SMS costs something, so it leaves with the person's consent only, and none is sent while one is on its way.
* Codes go to users that exist; none is created.
* After some wrong ones a code is asked for no longer: the next one needs consent again.
* Where the service wants a captcha before it sends a code, the captcha comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from freshd.core.model import Record, Secret
from freshd.errors import FreshdError, NeedsConsent, NotPossible
from freshd.ports import Asked
from freshd.providers.cloudbase.case import CODE_CHECK, WRONG_CODES
from freshd.providers.cloudbase.checked import wrong_of
from freshd.providers.cloudbase.client import Captcha, Client, NotDone
from freshd.providers.cloudbase.flow import Flow
from freshd.providers.cloudbase.pasted import life_of
from freshd.providers.cloudbase.service import VERIFICATION
from freshd.providers.cloudbase.times import json_of
from freshd.providers.cloudbase.unknowns import CODE_SECONDS
from freshd.providers.form import bearer

WRONG_MOST: Final = 3
ID: Final = "verification_id"
CAPTCHA_CODES: Final = frozenset({"captcha_required", "captcha_invalid"})


class CaptchaFirst(FreshdError):
    """The service sends no code before a captcha is passed.  is_bad: the one that was presented was not taken."""

    def __init__(self, *, is_bad: bool) -> None:
        super().__init__("the service wants a captcha first", "freshd enrol ACCOUNT shows it")
        self.is_bad = is_bad


@dataclass(frozen=True, slots=True)
class Sent:
    """A code on its way; ends: second of boot time."""

    name: str
    ends: float


class Codes:
    """The codes of one account.  Remembers in memory which one is on its way."""

    def __init__(self, name: str, client: Client) -> None:
        self._name = name
        self._client = client
        self._sent: Sent | None = None

    async def ask(self, record: Record, flow: Flow | None, *, consent: bool) -> Asked:
        """Ask for the code, sent before or now.  Raises NeedsConsent, CaptchaFirst, NotPossible."""
        now, sent = self._client.deps.clock.boot(), self._sent
        wrong = 0 if sent is None else wrong_of(json_of(record, WRONG_CODES), sent.name)
        if sent is None or sent.ends <= now or wrong >= WRONG_MOST:
            if self._client.options.method == "sms" and not consent:
                cause = f"an SMS with a code will be sent to {self._to()}; it counts against the account's limit"
                raise NeedsConsent(cause, f"freshd enrol {self._name} --yes")
            sent, wrong = await self._send(record, flow), 0
        ago = f", {wrong} wrong so far" if wrong else ""
        prompt = f"the code that was sent to {self._to()}{ago}"
        return Asked("", {ID: Secret(sent.name)}, interval=1.0, expires_in=sent.ends - now, rung=CODE_CHECK,
                     prompt=prompt)  # fmt: skip

    async def _send(self, record: Record, flow: Flow | None) -> Sent:
        options = self._client.options
        to = {"phone_number": options.phone_number} if options.method == "sms" else {"email": options.email}
        passed = None if flow is None or flow.passed is None else Captcha(flow.passed.token, flow.way)
        call = self._client.post(
            VERIFICATION, {**to, "target": "USER"}, self._client.device(record, is_new=True), captcha=passed
        )
        said = await self._client.free(call)
        if isinstance(said, FreshdError):
            code = (said.code or "").lower() if isinstance(said, NotDone) else ""
            if code in CAPTCHA_CODES:
                raise CaptchaFirst(is_bad=passed is not None)
            raise NotPossible(f"no code was sent: {said.cause}", f"wait some minutes, then: freshd enrol {self._name}")
        name = bearer(said.members.get(ID))
        if name is None:
            raise NotPossible("the service named no verification", f"freshd enrol {self._name}, later")
        ends = self._client.deps.clock.boot() + life_of(said.members.get("expires_in"), CODE_SECONDS)
        self._sent = Sent(name, ends)
        return self._sent

    def _to(self) -> str:
        """Where a code goes, masked."""
        options = self._client.options
        if options.phone_number is not None:
            return f"{options.phone_number[:6]}****{options.phone_number[-2:]}"
        name, _, place = (options.email or "").rpartition("@")
        return f"{name[:1]}…@{place}"
