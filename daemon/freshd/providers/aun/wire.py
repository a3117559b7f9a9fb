"""What each step sends: method and parameters.  Pure.

Rules
-----
* A login signs `NONCE:SECONDS`, with the seconds as they are sent; a renewal signs the nonce alone; a change of the key
  signs the nonce and the new key's base64 with nothing in between.
* The moment sent is the intent's, so that the same call can be told again from its intent.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from freshd.core.model import Intent, Record
from freshd.core.outcome import NotSent
from freshd.providers.aun.case import (
    CANDIDATE_KEY,
    CERTIFICATE,
    CREATE,
    LOGIN,
    NONCE,
    PRIVATE_KEY,
    REFRESH,
    REFRESH_TOKEN,
    REKEY,
    RENEW,
    REQUEST_ID,
    held,
)
from freshd.providers.aun.options import Options
from freshd.providers.aun.signing import private_key_of, public_of, sign

CURVE: Final = "P-256"
Request = tuple[str, Mapping[str, Any]]


def request_of(options: Options, rung: str, record: Record, intent: Intent) -> Request | NotSent:
    """The call that a rung makes."""
    secrets = {} if record.grant is None else record.grant.secrets
    if rung == REFRESH:
        token = held(secrets, REFRESH_TOKEN)
        return NotSent("there is no refresh token") if token is None else _refresh(options, token)
    pem = held(secrets, PRIVATE_KEY)
    if private_key_of(pem) is None:
        return NotSent("there is no private key that can be used")
    if rung == CREATE:
        return "auth.create_aid", {"aid": options.aid, "public_key": public_text(pem), "curve": CURVE}
    nonce, request_id = held(intent.material, NONCE), held(intent.material, REQUEST_ID)
    certificate = held(secrets, CERTIFICATE)
    if nonce is None or request_id is None or certificate is None:
        return NotSent("the login was not begun, or there is no certificate")
    common = {"aid": options.aid, "request_id": request_id, "nonce": nonce}
    if rung == LOGIN:
        seconds = str(int(intent.sent.wall))
        signature = _signed(pem, f"{nonce}:{seconds}")
        return "auth.aid_login2", {**common, "client_time": seconds, "signature": signature, "cert": certificate}
    if rung == RENEW:
        return "auth.renew_cert", {**common, "signature": _signed(pem, nonce), "old_cert": certificate}
    new = public_text(held(secrets, CANDIDATE_KEY))
    if rung == REKEY and new is not None:
        signature = _signed(pem, nonce + new)
        return "auth.rekey", {**common, "new_public_key": new, "signature": signature, "old_cert": certificate}
    return NotSent(f"there is nothing to send on {rung}")


def public_text(pem: str | None) -> str | None:
    """The public half of a private key as it is sent: base64 of its SubjectPublicKeyInfo."""
    der = public_of(pem)
    return None if der is None else base64.b64encode(der).decode()


def _refresh(options: Options, token: str) -> Request:
    told = {"device_id": options.device_id, "slot_id": options.slot}
    return "auth.refresh_token", {REFRESH_TOKEN: token, **{name: value for name, value in told.items() if value}}


def _signed(pem: str | None, message: str) -> str | None:
    key = private_key_of(pem)
    return None if key is None else sign(key, message)
