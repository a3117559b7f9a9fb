"""Captchas, as they are shown to an operator.  freshd solves none, and gives none to anybody who would.

Rules
-----
* A challenge is fetched when an operator asks for it, not when the service asks for one: it lives for minutes.
* One is open per account: whoever asks while it is gets the same one.
* Two variants: a page that the person opens, or a picture whose characters are typed in.  Which one an environment has
  is not known beforehand, so "auto" tries the picture first; a start that fails is no challenge.
* What was answered is checked by the step after it, under the same state: see `read` and `pasted`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from freshd.core.model import Record, Secret
from freshd.errors import FreshdError, NotPossible
from freshd.ports import Asked
from freshd.providers.cloudbase.case import CAPTCHA, CAPTCHA_CHECK, CAPTCHA_STEP
from freshd.providers.cloudbase.client import Client, NotDone
from freshd.providers.cloudbase.envelope import Said
from freshd.providers.cloudbase.flow import Flow
from freshd.providers.cloudbase.pasted import STATE, TOKEN, life_of
from freshd.providers.cloudbase.service import CAPTCHA_IMAGE, CAPTCHA_PAGE
from freshd.providers.cloudbase.unknowns import CAPTCHA_SECONDS, PAGE_SECONDS
from freshd.providers.form import bearer
from freshd.providers.http import url_problem

STATE_BYTES: Final = 32
PICTURE_TOKEN: Final = "picture_token"
USED: Final = "captcha_used"
"""Material: how many answers had been refused when the challenge was fetched."""
HERE: Final = "http://127.0.0.1/captcha"
"""Where the browser ends: nobody listens there, for its address is pasted."""
PICTURE_MOST: Final = 48 * 1024
KINDS: Final = (b"GIF87a", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
BUSY: Final = frozenset({"resource_exhausted", "aborted"})
CHARACTERS: Final = "the characters in the picture"
ADDRESS: Final = "pass the page's check, then paste the whole address at which the browser ends"


class Challenges:
    """The challenges of one account."""

    def __init__(self, name: str, client: Client) -> None:
        self._name = name
        self._client = client
        self._lock = asyncio.Lock()
        self._open: tuple[tuple[str, int], Asked, float] | None = None

    async def ask(self, flow: Flow, redirect_uri: str | None, record: Record) -> Asked:
        """The challenge that holds an operation up, as a step for a person.  Raises FreshdError."""
        clock, key = self._client.deps.clock, (flow.operation, flow.used)
        async with self._lock:
            if self._open is not None and self._open[0] == key and clock.boot() < self._open[2]:
                return replace(self._open[1], expires_in=self._open[2] - clock.boot())
            asked = await self._fetched(flow, redirect_uri, record)
            asked = replace(asked, keeps={CAPTCHA: replace(flow, passed=None, rests=None).secret})
            self._open = (key, asked, clock.boot() + asked.expires_in)
            return asked

    def close(self) -> None:
        """It is answered: nobody gets it any more."""
        self._open = None

    async def _fetched(self, flow: Flow, redirect_uri: str | None, record: Record) -> Asked:
        wanted, state = self._client.options.captcha, secrets.token_urlsafe(STATE_BYTES)
        base = {STATE: Secret(state), USED: Secret(str(flow.used))}
        device = self._client.device(record, is_new=True)
        if wanted != "page":
            said = await self._client.free(
                self._client.post(CAPTCHA_IMAGE, {"state": state, "redirect_uri": ""}, device)
            )
            if isinstance(said, Said):
                return self._picture(said, base)
            if wanted == "image" or not isinstance(said, NotDone) or said.code is None or said.code.lower() in BUSY:
                raise self._not_started(said)
        back = self._client.options.captcha_redirect_uri or redirect_uri or HERE
        page = await self._client.free(
            self._client.post(
                CAPTCHA_PAGE, {"redirect_uri": back, "state": state}, device, headers=await self._client.basic()
            )
        )
        if isinstance(page, FreshdError):
            raise self._not_started(page)
        return self._page(page, base)

    def _picture(self, said: Said, base: Mapping[str, Secret]) -> Asked:
        token, picture = bearer(said.members.get("token")), picture_in(said.members.get("data"))
        if token is None or picture is None:
            raise self._not_started(NotPossible("the service sent no picture that can be shown", ""))
        life = life_of(said.members.get("expires_in"), CAPTCHA_SECONDS)
        material = {**base, PICTURE_TOKEN: Secret(token)}
        return Asked(
            "", material, interval=1.0, expires_in=life, rung=CAPTCHA_CHECK, prompt=CHARACTERS, picture=picture
        )

    def _page(self, said: Said, base: Mapping[str, Secret]) -> Asked:
        """The page; or, where the service sees no need of one, the step behind it at once."""
        at_once = bearer(said.members.get("captcha_token"))
        life = life_of(said.members.get("expires_in"), PAGE_SECONDS)
        if at_once is not None:
            return Asked("", {**base, TOKEN: Secret(at_once)}, interval=1.0, expires_in=life, rung=CAPTCHA_STEP)
        url: Any = said.members.get("url")
        if not isinstance(url, str) or url_problem(url.partition("#")[0]) is not None:
            raise self._not_started(NotPossible("the service sent no page that can be opened", ""))
        return Asked(url, dict(base), interval=1.0, expires_in=life, rung=CAPTCHA_STEP, prompt=ADDRESS)

    def _not_started(self, error: FreshdError) -> NotPossible:
        return NotPossible(
            f"the service shows no captcha now: {error.cause}", f"wait some minutes, then: freshd enrol {self._name}"
        )


def picture_in(value: object) -> bytes | None:
    """The picture in a data URI; None for whatever is none of the usual kinds."""
    if not isinstance(value, str) or len(value) > 2 * PICTURE_MOST:
        return None
    head, _, coded = value.partition(",")
    if not (head.lower().startswith("data:image/") and head.lower().endswith(";base64")):
        return None
    try:
        picture = base64.b64decode(coded.encode(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return picture if picture.startswith(KINDS) and len(picture) <= PICTURE_MOST else None
