"""What Futu's service does where nobody outside knows: one named constant for each open question.

Rules: the first group's names and values are agreed upon wherever these questions come up, so they are kept to the
letter; the second group holds questions that arose while this stand-in was built. The numbers from 990001 on are made
up and unlike real ones. All may be changed while the service runs, for everybody or for one uid; a lifetime counts for
what is issued afterwards.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from freshd.sandbox.shape import checked

AUTHORITY = "/authority/"
ROUTES = {
    ("POST", AUTHORITY): "authority",
    ("GET", "/authority/req_device_code"): "req_device_code",
    ("POST", "/authority/verify_device_code"): "verify_device_code",
    ("POST", "/authority/third_factor/auth"): "third_factor",
    ("POST", "/authority/repull_auth_code"): "repull",
    ("POST", "/broker_auth/client_auth"): "broker_auth",
}
"""Where each operation lives; the path of ``salt`` is one of the constants."""
_TAKEN_PATHS = frozenset(path for _, path in ROUTES)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FutuConstants:
    """One resolved set; names end in their unit, ``_S`` is seconds. The folder's README says what each one decides."""

    FUTU_SIM_HTTP_STATUS_ON_ERROR: int = 200
    FUTU_SIM_SALT_PATH: str = "/authority/salt"
    FUTU_SIM_AUTH_CODE_TTL_S: float = 2592000
    FUTU_SIM_INVALID_TIME_ABSOLUTE: bool = True
    FUTU_SIM_AUTH_CODE_SINGLE_USE: bool = True
    FUTU_SIM_REPULL_VOIDS_OLD_CODE: bool = True
    FUTU_SIM_REPULL_ROTATES_WEB_SIG: bool = False
    FUTU_SIM_LOGIN_VOIDS_OLD_WEB_SIG: bool = True
    FUTU_SIM_WEB_SIG_TTL_S: float = 2592000
    FUTU_SIM_ERR_WEB_SIG_REFUSED: int = 990001
    FUTU_SIM_REPULL_MIN_INTERVAL_S: float = 10
    FUTU_SIM_ERR_REPULL_TOO_FREQUENT: int = 990002
    FUTU_SIM_ERR_AUTH_CODE_EXPIRED: int = 990003
    FUTU_SIM_ERR_AUTH_CODE_USED: int = 990004
    FUTU_SIM_ERR_BROKER_SIG_REFUSED: int = 990005
    FUTU_SIM_AUTHORITY_MIN_INTERVAL_S: float = 60
    FUTU_SIM_TGTGT_TTL_S: float = 2592000
    FUTU_SIM_TGTGT_SINGLE_USE: bool = False
    FUTU_SIM_CLIENT_SIG_TTL_S: float = 172800
    FUTU_SIM_BROKER_SIG_TTL_S: float = 1800
    FUTU_SIM_DVS_TTL_S: float = 300
    FUTU_SIM_SMS_MIN_INTERVAL_S: float = 30
    FUTU_SIM_SMS_WRONG_LIMIT: int = 2
    FUTU_SIM_KEEPALIVE_S: float = 30
    FUTU_SIM_HEARTBEAT_MISSES: int = 3

    FUTU_SIM_ERR_SMS_TOO_FREQUENT: int = 990006
    FUTU_SIM_ERR_CHECK_REFUSED: int = 990007
    FUTU_SIM_ERR_MALFORMED: int = 990008
    FUTU_SIM_ERR_TICKET_REFUSED: int = 2
    FUTU_SIM_OLD_TICKET_CHECKED: bool = False
    FUTU_SIM_LOGIN_VOIDS_OLD_CODE: bool = True
    FUTU_SIM_BROKER_AUTH_VOIDS_OLD_SIG: bool = True
    FUTU_SIM_SECOND_SMS_SENT: bool = True
    FUTU_SIM_MIN_CLIENT_VERSION: int = 900
    FUTU_SIM_BROKER_SIG_FIELD: str = "broker_client_sig"
    FUTU_SIM_BROKER_KEY_FIELD: str = "broker_client_key"


class ConstantBook:
    """The constants of everybody, and what lies over them for single uids."""

    def __init__(self, default: FutuConstants | None = None) -> None:
        """Start with one set for everybody; None takes the defaults."""
        self._default = default or FutuConstants()
        self._over: dict[int, dict[str, Any]] = {}
        self._resolved: dict[int | None, FutuConstants] = {}

    def of(self, uid: int | None) -> FutuConstants:
        """Return the set in force for one uid; None is everybody's."""
        found = self._resolved.get(uid)
        if found is None:
            over = {} if uid is None else self._over.get(uid, {})
            found = self._resolved[uid] = dataclasses.replace(self._default, **over)
        return found

    def change(self, over: Mapping[str, object], *, uid: int | None = None) -> FutuConstants:
        """Lay ``over`` on top of what one uid, or everybody, has; return the result.

        Raises ValueError and changes nothing if a name is unknown or a value impossible.
        """
        fields = checked(FutuConstants, over, partial=True)
        wrong = _flaws(fields)
        if wrong:
            raise ValueError("; ".join(wrong))
        if uid is None:
            self._default = dataclasses.replace(self._default, **fields)
        else:
            self._over.setdefault(uid, {}).update(fields)
        self._resolved.clear()
        return self.of(uid)


def _flaws(fields: Mapping[str, Any]) -> list[str]:
    wrong = [f"{name}: negative" for name, value in fields.items() if name.endswith("_S") and value < 0]
    status = fields.get("FUTU_SIM_HTTP_STATUS_ON_ERROR", 200)
    if not 200 <= status <= 599:
        wrong.append("FUTU_SIM_HTTP_STATUS_ON_ERROR: expected 200 to 599")
    path = fields.get("FUTU_SIM_SALT_PATH", "/authority/salt")
    if not path.startswith(AUTHORITY) or path in _TAKEN_PATHS:
        wrong.append(f"FUTU_SIM_SALT_PATH: expected a free path below {AUTHORITY}")
    return wrong
