"""Ending a login at the service: the refresh token, all that share its record, and their access tokens, at once.

Rules
-----
* "Unknown to the service" is what was wanted, so it counts as done.
* Tokens of one login share a record: of two of them none is ended for the other's sake.
* The service does not look whose application a token is, so only one of ours is sent.
"""

from __future__ import annotations

from typing import Final

from freshd.core.model import Binding, Grant, Moment, Record
from freshd.errors import NotPossible
from freshd.providers.geniusauth.case import REFRESH_TOKEN, code_of
from freshd.providers.geniusauth.claims import claims
from freshd.providers.geniusauth.client import END, Client, answer_in, is_fine, why_not
from freshd.providers.geniusauth.refusal import DEAD

WHERE: Final = "try again, or end the session on the user's dashboard at the service"


def token_of(grant: Grant, binding: Binding) -> str | None:
    """The refresh token that may be sent under this binding; None where there is none.  Raises NotPossible."""
    token = grant.secrets.get(REFRESH_TOKEN)
    if token is None:
        return None
    if not grant.binding.fits(binding) or claims(token.reveal()).app_code not in (None, binding.client_id):
        raise NotPossible("the grant belongs to another service, application or user", "see freshd explain ACCOUNT")
    return token.reveal()


async def revoke(client: Client, record: Record, binding: Binding) -> str:
    """End the grant; says what was done.  Raises FreshdError."""
    token = None if record.grant is None else token_of(record.grant, binding)
    if token is None:
        return "there was nothing to revoke"
    return await _end(client, token)


async def retire(client: Client, old: Grant, new: Grant, binding: Binding, now: Moment) -> None:
    """End the login that another one replaced, where it still lives.  Raises FreshdError."""
    before, after = token_of(old, binding), token_of(new, binding)
    if before is None or before == after:
        return
    was, is_now = claims(before), claims(after)
    if was.ends is not None and was.ends <= now.wall:
        return
    if was.login is None or is_now.login is None:
        raise NotPossible("whether the older login still stands beside the new one cannot be told", WHERE)
    if was.login != is_now.login:
        await _end(client, before)


async def _end(client: Client, token: str) -> str:
    performed = await client.ask(END, {"token": token})
    if is_fine(performed):
        return "revoked: refresh token and access tokens of this login"
    if code_of(answer_in(performed)) == DEAD:
        return "revoked: the service knew nothing of the login any more"
    raise NotPossible(f"the service did not end the login: {why_not(performed)}", WHERE)
