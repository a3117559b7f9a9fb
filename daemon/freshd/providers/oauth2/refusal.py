"""Refusals: the one table from a token endpoint's error codes to what they call for.  Pure and total.

RFC 6749 section 5.2, RFC 8628 section 3.5, and what others added.  A code that stands in no table keeps every
secret and stops the round; only names are told of what came with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from freshd.core.outcome import Judged, Rejected, Remedy, Reply, Unreadable
from freshd.providers.form import number, retry_after
from freshd.providers.oauth2.case import AUTHORIZE, DEVICE, ISSUE, REFRESH, Case

REMEDIES: Final[Mapping[str, Remedy]] = MappingProxyType(
    {
        "invalid_grant": Remedy.CLIMB,
        "invalid_client": Remedy.CONFIG,
        "unauthorized_client": Remedy.CONFIG,
        "unsupported_grant_type": Remedy.CONFIG,
        "invalid_scope": Remedy.CONFIG,
        "invalid_request": Remedy.CONFIG,
        "invalid_target": Remedy.CONFIG,  # RFC 8707
        "invalid_dpop_proof": Remedy.CONFIG,  # RFC 9449: the client is registered for tokens we do not speak
        "use_dpop_nonce": Remedy.CONFIG,
        "temporarily_unavailable": Remedy.WAIT,
        "server_error": Remedy.WAIT,
        "authorization_pending": Remedy.WAIT,
        "slow_down": Remedy.WAIT,
        "access_denied": Remedy.PERSON,
        "expired_token": Remedy.PERSON,
        "interaction_required": Remedy.PERSON,  # OpenID Connect Core section 3.1.2.6; some send it on a refresh
        "login_required": Remedy.PERSON,
        "consent_required": Remedy.PERSON,
    }
)
CLIMBING: Final[Mapping[str, Remedy]] = MappingProxyType(
    {REFRESH: Remedy.CLIMB, ISSUE: Remedy.CONFIG, AUTHORIZE: Remedy.PERSON, DEVICE: Remedy.PERSON}
)
"""What `invalid_grant` calls for on each rung: below a person's there is only to ask that person again."""
SLOWER_BY_SECONDS: Final = 5.0
"""RFC 8628 section 3.5: what slow_down adds to the interval; also the interval where none was given."""
CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:/ -]{0,47}|-?[0-9]{1,12}")
"""What is shown of a code.  Anything else might be a piece of something that must not be seen."""
DRAWN: Final = re.compile(r"(?=[^ ]*[a-z])(?=[^ ]*[A-Z])(?=[^ ]*[0-9])[^ ]{8,}|(?=[a-f]*[0-9])[0-9a-fA-F]{16,}")
"""What somebody drew by lot rather than wrote: a client's secret said back, which is known only where it was sent."""
SHORTEST_SECRET: Final = 6
"""What is shorter among our own material (an interval) hides in every number."""


def code_of(answer: Mapping[str, Any]) -> str | None:
    """The error code, as text; numbers are codes too where they are not zero."""
    code = answer.get("error")
    if isinstance(code, bool) or not isinstance(code, str | int):
        return None
    return (str(code).strip() or None) if code != 0 else None


def refused(case: Case, code: str) -> Judged:
    name = code.lower()
    remedy = case.terms.remedies.get(name) or REMEDIES.get(name)
    if case.reply.status >= 500 and remedy is None:
        return unreadable(case.reply, "an error page in JSON")
    if name == "invalid_grant" and name not in case.terms.remedies:
        remedy = CLIMBING.get(case.rung, Remedy.CLIMB)
    if remedy is None:
        names = ", ".join(sorted(shown(key, case) for key in case.answer)[:16])
        detail = f"unknown code; status {case.reply.status}, fields: {names}"
        return Rejected(shown(code, case), Remedy.WAIT, retry_after(case.reply), known=False, detail=detail)
    return Rejected(shown(code, case), remedy, _pause(case, name))


def _pause(case: Case, code: str) -> float | None:
    """Seconds to wait: what the reply asks for, or the interval of the device flow."""
    if code not in {"authorization_pending", "slow_down"}:
        return retry_after(case.reply)
    given = case.intent.material.get("interval")
    interval = SLOWER_BY_SECONDS if given is None else number(given.reveal()) or SLOWER_BY_SECONDS
    return max(retry_after(case.reply) or 0.0, interval + (SLOWER_BY_SECONDS if code == "slow_down" else 0.0))


def shown(code: str, case: Case) -> str:
    """A name from the reply that can be shown: short, of harmless characters, and no secret of ours."""
    record = case.record
    held = {} if record.grant is None else record.grant.secrets
    lent = () if record.lease is None else (record.lease.token, *record.lease.more_secrets.values())
    secrets = (secret.reveal() for secret in (*held.values(), *case.intent.material.values(), *lent))
    is_safe = CODE.fullmatch(code) is not None and DRAWN.search(code) is None
    is_safe = is_safe and not any(len(secret) >= SHORTEST_SECRET and secret in code for secret in secrets)
    return code if is_safe else "(not shown)"


def unreadable(reply: Reply, reason: str) -> Unreadable:
    is_refusal = reply.complete and reply.status >= 300
    return Unreadable(f"{reason} (status {reply.status})", is_refusal, retry_after(reply) if is_refusal else None)
