"""Asking a person: a login at the service's page, whose callback brings a login token that works once.

The protocol has no `state`: any page in a browser could send a stranger's login token to an address it knows.  So a
listener on this machine takes one only where that can do no harm:

* whose login it must be is known (`subject`, or the user of the grant in hand), so a stranger's is withheld; or
* the callback's path holds a part that nobody can guess.

Else the person pastes the address at which the browser ended: what somebody pastes was meant.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from freshd.core.model import Record, Secret
from freshd.errors import NotPossible
from freshd.ports import Asked
from freshd.providers.form import bearer
from freshd.providers.geniusauth.case import LOGIN, SIGNED
from freshd.providers.geniusauth.options import Options
from freshd.providers.http import is_loopback

PERSON_SECONDS: Final = 600.0
"""How long a person may take; from the callback on the service leaves five minutes."""
UNGUESSABLE: Final = re.compile(r"[A-Za-z0-9_-]{22,}")
"""128 bits in base64url, or more."""
FLOWS: Final = ("auto", "code")
PROMPT: Final = "the whole address at which the browser ended"


def ask_for_login(options: Options, record: Record, flow: str, *, is_proven: bool) -> Asked:
    """Where a person logs in.  `is_proven`: a signed call has just worked.  Raises NotPossible."""
    if flow not in FLOWS:
        raise NotPossible("the service has no such way to log in", "leave the option out, or take --paste")
    url = f"{options.at('/')}?{urlencode([('appCode', options.app_code)])}"
    material = {SIGNED: Secret("yes")} if is_proven else {}
    if flow == "auto" and options.callback is not None and may_listen(options.callback, options, record):
        back = {"redirect_uri": Secret(options.callback)}
        return Asked(url, {**material, **back}, expires_in=PERSON_SECONDS, rung=LOGIN)
    return Asked(url, material, expires_in=PERSON_SECONDS, rung=LOGIN, prompt=PROMPT)


def login_token(given: Secret | None) -> str | None:
    """The login token that was brought, by itself or in the address at which a browser ended; None where none was."""
    brought = "" if given is None else given.reveal().strip()
    if "?" in brought or "://" in brought:
        try:
            named = parse_qs(urlsplit(brought).query).get("token", [])
        except ValueError:
            return None
        brought = named[0] if len(named) == 1 else ""
    return bearer(brought)


def may_listen(callback: str, options: Options, record: Record) -> bool:
    """Whether the callback leads to this machine, and what comes there may be taken."""
    place = urlsplit(callback)
    if place.scheme != "http" or not is_loopback(place.hostname or ""):
        return False
    known = options.subject or (None if record.grant is None else record.grant.binding.subject)
    return known is not None or any(UNGUESSABLE.fullmatch(part) for part in place.path.split("/"))
