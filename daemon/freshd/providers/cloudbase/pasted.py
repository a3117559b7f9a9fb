"""What a person brings back from a captcha's page: the address at which the browser ended, or the token alone.  Pure.

An address counts only with the state that was drawn for this challenge, compared in constant time.  A token alone has
no state: whoever types it in has it from the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from freshd.core.model import Moment, Secret
from freshd.providers.cloudbase.flow import Flow, Ticket
from freshd.providers.cloudbase.unknowns import CAPTCHA_SECONDS
from freshd.providers.form import bearer, number
from freshd.providers.oauth2.refusal import CODE

STATE: Final = "captcha_state"
TOKEN: Final = "captcha_token"
LONGEST_SECONDS: Final = 3600.0
SHORTEST: Final = 8
"""A token of fewer characters is none; a word typed by mistake is."""


def problem_of(material: Mapping[str, Secret]) -> str | None:
    """Why what was typed in cannot be used; None where it can, or where nothing was to be typed in."""
    if "code" not in material or STATE not in material:
        return None
    typed = material["code"].reveal().strip()
    if not _is_address(typed):
        fits = bearer(typed) is not None and len(typed) >= SHORTEST
        return None if fits else "this is neither the address at which the browser ended nor a token"
    found = _query(typed)
    if Secret(found.get("state", "")) != material[STATE]:
        return "the answer belongs to another challenge (state differs)"
    if found.get("error"):
        said = found["error"]
        return f"the page says {said}" if CODE.fullmatch(said) else "the page says that it was not passed"
    return None if bearer(found.get(TOKEN)) is not None else "the address holds no captcha_token"


def token_in(material: Mapping[str, Secret], flow: Flow, at: Moment) -> Ticket | None:
    """The token to present: of the page, of the start of the challenge, or of the step before."""
    if TOKEN in material:
        return Ticket(material[TOKEN].reveal(), at, CAPTCHA_SECONDS)
    if "code" in material and STATE in material:
        typed = material["code"].reveal().strip()
        found = _query(typed) if _is_address(typed) else {TOKEN: typed}
        token = bearer(found.get(TOKEN))
        return None if token is None else Ticket(token, at, life_of(found.get("expires_in")))
    return flow.passed if flow.is_passed(at) else None


def life_of(stated: object, otherwise: float = CAPTCHA_SECONDS) -> float:
    """Seconds of life as stated, where that is believable."""
    life = number(stated)
    return min(life, LONGEST_SECONDS) if life is not None and 0 < life < float("inf") else otherwise


def _is_address(typed: str) -> bool:
    return typed.startswith(("http://", "https://")) or "?" in typed


def _query(typed: str) -> Mapping[str, str]:
    """The parameters of an address, behind the question mark or behind the fragment's."""
    try:
        parts = urlsplit(typed)
        return dict(parse_qsl(parts.query or parts.fragment, keep_blank_values=True, max_num_fields=32))
    except ValueError:
        return {}
