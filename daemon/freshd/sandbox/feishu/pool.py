"""Tokens of apps and tenants: always to be had again from the app's secret, and the same one while it is young. Pure.

Rule: with ``FEISHU_SIM_TENANT_REISSUE_BELOW_S`` or more left the call repeats the newest token with the life that
remains; with less it makes a new one, and both are good until their own ends. A token that was revoked on the control
port is never repeated.
"""

import base64
import dataclasses
import enum
import json

from freshd.sandbox.feishu.apps import App
from freshd.sandbox.feishu.constants import ConstantsBook
from freshd.sandbox.feishu.ledger import Issue, padded
from freshd.sandbox.grants import Ledger
from freshd.sandbox.tokens import AccessToken, Holder


class Kind(enum.StrEnum):
    """What a token without a person stands for, and in which form it comes; the value is its name in the books."""

    TENANT = "tenant_access_token"
    APP = "app_access_token"
    TENANT_OAUTH = "client_credentials"


_PREFIX = {Kind.TENANT: "t", Kind.APP: "a"}


class Pool:
    """The newest token of each kind for each app; the app's id is the label in the books."""

    def __init__(self, ledger: Ledger, constants: ConstantsBook) -> None:
        """Keep the books in ``ledger``."""
        self._ledger = ledger
        self._constants = constants
        self._newest: dict[tuple[str, Kind], AccessToken] = {}

    def issue(self, app: App, kind: Kind, now: float) -> Issue:
        """Return the token that a call gets now; ``commit`` is None where it is one that was out already."""
        constants = self._constants.of(app.app_id, app.app_id)
        newest = self._newest.get((app.app_id, kind))
        repeats = kind is not Kind.TENANT_OAUTH or constants.FEISHU_SIM_TENANT_OAUTH_REISSUES
        is_young = newest is not None and newest.expires_at - now >= constants.FEISHU_SIM_TENANT_REISSUE_BELOW_S
        if newest is not None and repeats and is_young and newest.is_alive(now):
            self._ledger.books.count(app.app_id, "early")
            return Issue(access=newest, refresh=None, commit=None)
        holder = Holder(client_id=app.app_id, label=app.app_id, subject=kind)
        text = _jwt(app, now) if kind is Kind.TENANT_OAUTH else padded(_PREFIX[kind], 0)
        access = self._ledger.shelf.new_access(holder, None, now, constants.FEISHU_SIM_TENANT_TTL_S, text=text)
        self._newest[app.app_id, kind] = access
        commit = self._ledger.commit(kind, access, now, spent=None, successor=None)
        return Issue(access=access, refresh=None, commit=commit)


@dataclasses.dataclass(frozen=True, slots=True)
class _Claims:
    app_id: str
    tenant_key: str
    iat: int


def _jwt(app: App, now: float) -> str:
    """Return something with the looks of a signed JWT; nobody here checks signatures."""
    claims = _Claims(app.app_id, app.tenant_key, int(now))
    parts = ({"alg": "ES256", "typ": "JWT"}, dataclasses.asdict(claims))
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return f"{head}.{body}.{padded('s', 86)}"
