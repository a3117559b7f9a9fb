"""The service's own calls for operators: whose the token in hand is, what it carries, and another payload.

Looking spends nothing.  Another payload changes the grant, so it is a step like an enrolment.  No token is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from freshd.core.model import Record, Secret
from freshd.core.outcome import Performed
from freshd.errors import LeaseRefused, NotPossible
from freshd.ports import Asked, Facts
from freshd.providers.form import plain, text
from freshd.providers.geniusauth.case import PAYLOAD, REFRESH_TOKEN, SIGNED, USER_NAMES, code_of, first
from freshd.providers.geniusauth.client import VERIFY, WHO, Client, Endpoint, answer_in, data_in, is_fine, why_not
from freshd.providers.geniusauth.options import payload_problem
from freshd.providers.geniusauth.refusal import DEAD

OPERATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "verify": "ask whether the access token in hand is good, whose it is and what it carries",
        "whoami": "ask for the user's name, groups and picture",
        "payload": "let the tokens carry another text: payload=TEXT",
    }
)
STEP_SECONDS: Final = 60.0
MOST_ITEMS: Final = 100


async def operate(
    client: Client, account: str, operation: str, given: Mapping[str, Secret], record: Record
) -> Facts | Asked:
    """Do one of `OPERATIONS`.  Raises LeaseRefused, NotPossible and other FreshdErrors."""
    match operation:
        case "verify":
            told = await _looked(client, VERIFY, account, record)
            return {"uid": _user(told), "payload": text(told.get("payload")) or ""}
        case "whoami":
            told = await _looked(client, WHO, account, record)
            return {
                "uid": _user(told),
                "name": text(told.get("name")),
                "groups": _texts(told.get("groups")),
                "avatar_url": text(told.get("avatarUrl")),
            }
        case "payload":
            return await _change(client, account, given, record)
    raise NotPossible("the service has no such call", f"it has: {', '.join(sorted(OPERATIONS))}")


async def _looked(client: Client, endpoint: Endpoint, account: str, record: Record) -> Mapping[str, Any]:
    """What the service says to the token in hand."""
    if record.lease is None:
        raise LeaseRefused("there is no access token in hand", f"freshd refresh {account}")
    performed = await client.ask(endpoint, {"token": record.lease.token.reveal()})
    if is_fine(performed):
        return data_in(performed)
    if code_of(answer_in(performed)) == DEAD:
        raise LeaseRefused("the service refuses the access token in hand", f"freshd explain {account}")
    raise _no(performed, account)


async def _change(client: Client, account: str, given: Mapping[str, Secret], record: Record) -> Asked:
    """The step that changes the payload; application and clock are tried first, for that costs nothing."""
    payload = given[PAYLOAD].reveal() if PAYLOAD in given else ""
    wrong = payload_problem(payload)
    if wrong is not None:
        raise NotPossible(
            f"the payload {wrong}", f"freshd geniusauth payload {account} TEXT; none cannot be taken away"
        )
    if record.grant is None or REFRESH_TOKEN not in record.grant.secrets:
        raise NotPossible("there is no refresh token whose payload could be changed", f"freshd enrol {account}")
    material = {PAYLOAD: Secret(payload)}
    if await client.prove():
        material[SIGNED] = Secret("yes")
    return Asked("", MappingProxyType(material), interval=1.0, expires_in=STEP_SECONDS, rung=PAYLOAD)


def _no(performed: Performed, account: str) -> NotPossible:
    return NotPossible(f"the service did not answer the question: {why_not(performed)}", f"freshd doctor {account}")


def _user(told: Mapping[str, Any]) -> str | None:
    return plain(first(told, USER_NAMES))


def _texts(value: object) -> list[str]:
    found = value if isinstance(value, list) else []
    return [one for one in found[:MOST_ITEMS] if text(one) is not None]
