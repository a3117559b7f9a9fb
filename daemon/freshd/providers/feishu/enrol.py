"""Asking a person: authorization code with PKCE, always by S256, and device flow; what comes of it, `oauth2_enrol`.

The platform's own default for the challenge is `plain`, so the method is always named; the newest token endpoint
refuses a verifier without a challenge, so both are always sent.  A code lives five minutes and works once.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from freshd.core.outcome import Reply
from freshd.errors import FreshdError
from freshd.ports import Asked
from freshd.providers.feishu.client import Client
from freshd.providers.feishu.options import Options
from freshd.providers.feishu.service import AUTHORIZE_PATH, DEVICE_PATH
from freshd.providers.form import Foreign, object_of
from freshd.providers.oauth2.case import AUTHORIZE
from freshd.providers.oauth2.enrol import CODE_SECONDS, VERIFIER_BYTES, challenge_of, device_of, sealed

DEVICE_SECONDS: Final = 240.0
"""How long a device code counts if the service does not say."""


def ask_for_code(options: Options, redirect_uri: str | None) -> Asked:
    """Where a person grants access in a browser.  Nothing is sent.  Raises FreshdError."""
    back = options.redirect_uri or redirect_uri
    if back is None:
        raise FreshdError(
            "there is no address for the redirect",
            'write redirect_uri = "http://127.0.0.1:PORT/PATH", as it stands on the app\'s list in its console',
        )
    verifier, state = (secrets.token_urlsafe(VERIFIER_BYTES) for _ in range(2))
    query = urlencode(
        [
            ("client_id", options.app_id),
            ("response_type", "code"),
            ("redirect_uri", back),
            ("scope", " ".join(options.scope.split())),
            ("state", state),
            ("code_challenge", challenge_of(verifier)),
            ("code_challenge_method", "S256"),
        ]
    )
    material = {"code_verifier": verifier, "expected_state": state, "state": state, "redirect_uri": back}
    url = f"{options.at_accounts(AUTHORIZE_PATH)}?{query}"
    return Asked(url, sealed(material), expires_in=CODE_SECONDS, rung=AUTHORIZE)


async def ask_for_device(client: Client, options: Options) -> Asked:
    """A code for the person to type in.  Raises FreshdError."""
    call = await client.device_call(options.at_accounts(DEVICE_PATH), " ".join(options.scope.split()))
    performed = await client.http.call(call)
    if not isinstance(performed, Reply):
        raise FreshdError(f"the device cannot be announced: {performed.reason}", "try again later")
    asked, found = device_of(performed), object_of(performed)
    is_told = not isinstance(found, Foreign) and found.get("expires_in") is not None
    return asked if is_told else replace(asked, expires_in=DEVICE_SECONDS)
