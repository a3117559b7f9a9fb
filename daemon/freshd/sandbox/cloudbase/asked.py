"""One request of a known kind on its way through the service: who asks, what holds for that account, and when."""

import dataclasses

from freshd.sandbox.cloudbase.constants import CloudbaseConstants
from freshd.sandbox.cloudbase.request import Answer, Request
from freshd.sandbox.cloudbase.session import Issue


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request. ``operation`` is its name in the books; ``now`` is wall seconds; ``presented`` a fingerprint.

    ``subject``: whom the answer is to speak for instead of the right one.
    """

    request: Request
    operation: str
    constants: CloudbaseConstants
    client_id: str
    now: float
    presented: str | None = None
    subject: str | None = None


def granted(issue: Issue, asked: Asked) -> Answer:
    """Put a yes into the flat object of all sign-ins and refreshes."""
    access, refresh = issue.access, issue.refresh
    body: dict[str, object] = {"token_type": "Bearer", "access_token": access.text}
    if refresh is not None:
        body["refresh_token"] = refresh.text
    body |= {"expires_in": seconds(access.expires_at - asked.now), "scope": access.holder.scope}
    body["sub"] = access.holder.subject
    if issue.groups:
        body["groups"] = list(issue.groups)
    return Answer(body=body, commit=issue.commit, successor=refresh.text if refresh is not None else access.text)


def seconds(value: float) -> float:
    """Return a life as the service writes it: whole seconds, unless a test has set a fraction."""
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded
