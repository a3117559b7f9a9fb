"""Whom a request to GeniusAuth is about, as faults, constants and books name it."""

import dataclasses

from freshd.sandbox.fault_queue import Scope
from freshd.sandbox.geniusauth.orders import Operation

_ENDPOINTS = {
    Operation.REVOKE: "revoke",
    Operation.VERIFY: "introspect",
    Operation.WHOAMI: "userinfo",
    Operation.KEYPAIR: "jwks",
    Operation.USERS: "users",
}
"""What fault rules call the operations; all others give out tokens and are the endpoint ``token``."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """``app_code`` as named, or that of the token; ``presented`` is a fingerprint."""

    operation: Operation
    app_code: str
    label: str
    presented: str | None

    @property
    def scope(self) -> Scope:
        """The request as fault rules name it."""
        endpoint = _ENDPOINTS.get(self.operation, "token")
        return Scope(
            endpoint=endpoint, client_id=self.app_code or None, label=self.label, grant_type=self.operation.value
        )
