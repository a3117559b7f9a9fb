"""What nobody outside knows about AUN's servers, or what clients must survive: one value each, changed at run time.

Rules: a constant answers one question, and both answers are tested. An override is partial; an AID's values lie over
everybody's. What was issued keeps the ends it was given. Where the AID is not known yet (the challenge, the HTTP side)
everybody's hold.
"""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from freshd.sandbox.shape import checked

DAY_S = 86400


class Challenge(enum.StrEnum):
    """What is said first on a new connection."""

    WHOLE = "whole"
    EARLY_FRAME = "early_frame"
    NO_NONCE = "no_nonce"
    EMPTY_NONCE = "empty_nonce"
    NOT_JSON = "not_json"
    SILENT = "silent"


class Denial(enum.StrEnum):
    """How a refused ``auth.connect`` ends."""

    ANSWER_AND_CLOSE = "answer_and_close"
    ANSWER = "answer"
    CLOSE = "close"


class Form(enum.StrEnum):
    """In which form a refusal comes: a JSON-RPC error, or a result that says ``success`` false."""

    ERROR = "error"
    RESULT = "result"


class ExpiresIn(enum.StrEnum):
    """How a lifetime is told."""

    NUMBER = "number"
    TEXT = "text"
    MISSING = "missing"


class LoginTokens(enum.StrEnum):
    """What a login brings."""

    BOTH = "both"
    NO_REFRESH = "no_refresh"
    TOKEN_ONLY = "token_only"


class NewCert(enum.StrEnum):
    """When a login brings a new certificate, and of what kind."""

    HALF_LIFE = "half_life"
    ALWAYS = "always"
    NEVER = "never"
    WRONG_KEY = "wrong_key"
    FOREIGN = "foreign"


class ReuseKills(enum.StrEnum):
    """What a spent refresh token takes with it when it is presented again."""

    TOKEN = "token"
    CHAIN = "chain"
    CHAIN_AND_ACCESS = "chain_and_access"


class CreateAgain(enum.StrEnum):
    """The answer to ``auth.create_aid`` for an AID that has this very key."""

    SAME = "same"
    CONFLICT = "conflict"


class Kid(enum.StrEnum):
    """How a token names its key's serial number."""

    HEX = "hex"
    UPPER_HEX = "upper_hex"
    PADDED_HEX = "padded_hex"
    DECIMAL = "decimal"


class JwtSignature(enum.StrEnum):
    """How a token's signature is written."""

    RAW = "raw"
    DER = "der"


class AtExpiry(enum.StrEnum):
    """What happens to a session when its token ends."""

    KEEP = "keep"
    CLOSE = "close"


class Takeover(enum.StrEnum):
    """What a second long connection of one slot does: the older one goes, or it is refused itself."""

    EVICT = "evict"
    REFUSE = "refuse"


class Crl(enum.StrEnum):
    """What the revocation list's endpoint brings."""

    BOTH = "both"
    PEM = "pem"
    JSON = "json"
    ABSENT = "absent"


class Ocsp(enum.StrEnum):
    """What the status endpoint brings."""

    STANDARD = "standard"
    WHOLE_KEY = "whole_key"
    STATUS = "status"
    NOT_DER = "not_der"
    ABSENT = "absent"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AunConstants:
    """One resolved set; names end in their unit where there is one. The folder's README says what each one decides."""

    AUN_SIM_ACCESS_TTL_S: float = 3600
    AUN_SIM_EXPIRES_IN_S: float | None = None
    AUN_SIM_EXPIRES_IN_FORM: ExpiresIn = ExpiresIn.NUMBER
    AUN_SIM_LOGIN_TOKENS: LoginTokens = LoginTokens.BOTH
    AUN_SIM_REFRESH_TTL_S: float = 7 * DAY_S
    AUN_SIM_REFRESH_LIFE_SLIDES: bool = True
    AUN_SIM_CHAIN_REFRESHES: int = 720
    AUN_SIM_CHAIN_TTL_S: float = 30 * DAY_S
    AUN_SIM_ROTATES: bool = True
    AUN_SIM_REUSE_KILLS: ReuseKills = ReuseKills.CHAIN
    AUN_SIM_REFRESH_GRACE_S: float = 0
    AUN_SIM_REFRESH_BOUND_TO_DEVICE: bool = False
    AUN_SIM_REFRESH_DETAIL: bool = False
    AUN_SIM_REFRESH_REFUSAL: Form = Form.RESULT
    AUN_SIM_REFRESH_REFUSAL_TEXT: str = "invalid_or_expired_refresh_token"
    AUN_SIM_REFRESH_REFUSAL_CODE: int = -32001
    AUN_SIM_RELOGIN_FLAG: bool = True
    AUN_SIM_CHAIN_END: Form = Form.ERROR
    AUN_SIM_CHAIN_END_CODE: int = -32005
    AUN_SIM_REKEY_ENDS_CHAINS: bool = False
    AUN_SIM_REVOKED_CERT_ENDS_CHAINS: bool = True

    AUN_SIM_LOGIN_NONCE_TTL_S: float = 60
    AUN_SIM_LOGIN_REFUSAL: Form = Form.ERROR
    AUN_SIM_UNKNOWN_AID_CODE: int = -32008
    AUN_SIM_CERT_CODE: int = -32002
    AUN_SIM_LOGIN_NONCE_CODE: int = -32002
    AUN_SIM_SIGNATURE_CODE: int = -32003
    AUN_SIM_LOGIN_CERT_REQUIRED: bool = False
    AUN_SIM_OLD_CERT_REQUIRED: bool = False
    AUN_SIM_RENEW_TIMED_SIGNATURE: bool = False
    AUN_SIM_CERT_TTL_S: float = 730 * DAY_S
    AUN_SIM_RENEW_GRACE_S: float = 90 * DAY_S
    AUN_SIM_NEW_CERT: NewCert = NewCert.HALF_LIFE
    AUN_SIM_ACTIVE_CERT: bool = True
    AUN_SIM_CREATE_AGAIN: CreateAgain = CreateAgain.SAME
    AUN_SIM_CONFLICT_CODE: int = 4090

    AUN_SIM_JWT_KID: Kid = Kid.HEX
    AUN_SIM_JWT_SIGNATURE: JwtSignature = JwtSignature.RAW
    AUN_SIM_JWT_LEEWAY_S: float = 0
    AUN_SIM_JWT_JTI: bool = False
    AUN_SIM_REVOCATION_DELAY_S: float = 0
    AUN_SIM_REVOCATION_ENDS_SESSIONS: bool = False

    AUN_SIM_CHALLENGE: Challenge = Challenge.WHOLE
    AUN_SIM_CHALLENGE_CODE: int = 4010
    AUN_SIM_STRAY_FRAMES: bool = False
    AUN_SIM_UNKNOWN_FIELDS: bool = False
    AUN_SIM_CONNECT_DEADLINE_S: float = 30
    AUN_SIM_CONNECT_DENIAL: Denial = Denial.ANSWER_AND_CLOSE
    AUN_SIM_CONNECT_TWICE: bool = True
    AUN_SIM_TOKEN_CODE: int = 4001
    AUN_SIM_PROTOCOL_MIN: str = "1.0"
    AUN_SIM_PROTOCOL_MAX: str = "1.0"
    AUN_SIM_NAMESPACES: tuple[str, ...] = ("auth", "message", "meta")
    AUN_SIM_HEARTBEAT_S: float = 30
    AUN_SIM_HEARTBEAT_IN_PONG: bool = False
    AUN_SIM_KITE_TOKEN: bool = False
    AUN_SIM_PEER_PULL: bool = False
    AUN_SIM_SESSION_AT_EXPIRY: AtExpiry = AtExpiry.KEEP
    AUN_SIM_SESSION_EXPIRY_CODE: int = 4001
    AUN_SIM_DISCONNECT_EVENT: bool = True
    AUN_SIM_TAKEOVER: Takeover = Takeover.EVICT
    AUN_SIM_SLOTS_PER_DEVICE: int = 10
    AUN_SIM_DEVICES_PER_AID: int = 10
    AUN_SIM_SHORT_PER_SLOT: int = 10
    AUN_SIM_DELIVERY_CODE: int = 4000

    AUN_SIM_HEALTH_STATUS: int = 200
    AUN_SIM_CRL: Crl = Crl.BOTH
    AUN_SIM_OCSP: Ocsp = Ocsp.STANDARD
    AUN_SIM_PREAUTH_PER_MIN: int = 0
    AUN_SIM_RATE_CODE: int = -32029
    AUN_SIM_RETRY_AFTER_S: float | None = 5


class ConstantBook:
    """Everybody's constants, and what lies over them for single AIDs."""

    def __init__(self) -> None:
        self._default = AunConstants()
        self._over: dict[str, dict[str, Any]] = {}
        self._resolved: dict[str | None, AunConstants] = {}

    def of(self, aid: str | None = None) -> AunConstants:
        """Return the set in force for one AID; None is everybody's."""
        found = self._resolved.get(aid)
        if found is None:
            over = self._over.get(aid) if aid is not None else None
            if over is None:
                return self._default
            found = self._resolved[aid] = dataclasses.replace(self._default, **over)
        return found

    def change(self, over: Mapping[str, object], *, aid: str | None = None) -> AunConstants:
        """Lay ``over`` on top of what one AID, or everybody, has; return the result.

        Raises ValueError and changes nothing if a name is unknown or a value impossible.
        """
        fields = checked(AunConstants, over, partial=True)
        wrong = [f"{name}: negative" for name, value in fields.items() if name.endswith("_TTL_S") and value < 0]
        if not 200 <= fields.get("AUN_SIM_HEALTH_STATUS", 200) <= 599:
            wrong.append("AUN_SIM_HEALTH_STATUS: expected 200 to 599")
        if wrong:
            raise ValueError("; ".join(wrong))
        if aid is None:
            self._default = dataclasses.replace(self._default, **fields)
        else:
            self._over.setdefault(aid, {}).update(fields)
        self._resolved.clear()
        return self.of(aid)
