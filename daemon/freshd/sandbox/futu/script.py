"""Answers that somebody ordered for Futu's stand-in: the next N of an operation, or all, for one uid and broker or any.

Rules: one line is taken for each request. A line with a code or an answer
stands in place of the operation, which then changes nothing, unless ``after_commit``: it is done, and a lie is told
about it. A line with a spoiler alone lets the operation be done and spoils what is said.
"""

import dataclasses
import enum
from collections.abc import Callable, Mapping

from freshd.sandbox.futu.answer import Fields
from freshd.sandbox.orders import Ordered, Orders
from freshd.sandbox.shape import shaped

OPERATIONS = (
    "salt",
    "authority",
    "req_device_code",
    "verify_device_code",
    "third_factor",
    "repull",
    "broker_auth",
    "trade_login",
    "platform_connect",
)


class Spoiler(enum.StrEnum):
    """Ways to spoil an answer; ``_SPOILED`` below says how."""

    EMPTY_AUTH_CODE = "empty_auth_code"
    ZERO_INVALID_TIME = "zero_invalid_time"
    OTHER_BROKER = "other_broker"
    OTHER_UID = "other_uid"
    NO_CODE_LIST = "no_code_list"
    EMPTY_WEB_SIG = "empty_web_sig"
    NO_WEB_SIG = "no_web_sig"
    NO_TICKET = "no_ticket"
    NO_DEVICE_SIG = "no_device_sig"
    SHORT_RAND_KEY = "short_rand_key"
    NO_LIFETIME = "no_lifetime"
    EMPTY_BROKER_SIG = "empty_broker_sig"
    NO_CUSTOMER_ID = "no_customer_id"
    NO_KEYS = "no_keys"
    NULL_RESULT = "null_result"
    LIST_RESULT = "list_result"
    ZERO_CODE = "zero_code"
    ZERO_CODE_BESIDE = "zero_code_beside"
    CODE_BESIDE = "code_beside"
    CODE_AS_TEXT = "code_as_text"


@dataclasses.dataclass(slots=True, kw_only=True)
class Line(Ordered):
    """One order; None means any uid, any broker. ``answer`` is said word for word."""

    operation: str
    uid: int | None = None
    broker_id: int | None = None
    code: int | None = None
    spoil: Spoiler | None = None
    answer: Fields | None = None
    after_commit: bool = False

    @property
    def stands_in(self) -> bool:
        """Whether the operation is not done at all."""
        return not self.after_commit and (self.code is not None or self.answer is not None)

    def fits(self, operation: str, uid: int | None, broker_id: int | None) -> bool:
        """Whether it is about such a request."""
        wanted = ((self.uid, uid), (self.broker_id, broker_id))
        return self.operation == operation and all(want is None or want == have for want, have in wanted)

    def spoiled(self, answer: Fields) -> Fields:
        """Return what is said in place of ``answer``."""
        said = answer
        if self.code is not None and self.after_commit:
            said = {"result": None, "error": {"error_code": self.code, "error_msg": "on demand"}}
        if self.answer is not None:
            said = dict(self.answer)
        return said if self.spoil is None else _SPOILED[self.spoil](said)


class Script(Orders[Line]):
    """All lines in force."""

    def add_json(self, wish: Mapping[str, object]) -> Line:
        """Put the line that a JSON object describes in force; raises ValueError if it describes none."""
        line = shaped(Line, wish)
        if line.operation not in OPERATIONS:
            raise ValueError(f"operation: expected one of {', '.join(OPERATIONS)}")
        if line.code is None and line.spoil is None and line.answer is None:
            raise ValueError("code, spoil, answer: expected one of them")
        return self.add(line)

    def take(self, operation: str, uid: int | None, broker_id: int | None) -> Line | None:
        """Return the line for a request, charged, or None."""
        return self.charge(lambda line: line.fits(operation, uid, broker_id))


def _sets(name: str, value: object) -> Callable[[Fields], Fields]:
    """Return a spoiler that sets a member wherever the result has it, in the list of codes too."""

    def spoil(answer: Fields) -> Fields:
        for part in _parts(answer):
            if name in part:
                part[name] = value
        return answer

    return spoil


def _adds(name: str) -> Callable[[Fields], Fields]:
    """Return a spoiler that makes a number one greater wherever the result has it."""

    def spoil(answer: Fields) -> Fields:
        for part in _parts(answer):
            number = part.get(name)
            if isinstance(number, int):
                part[name] = number + 1
        return answer

    return spoil


def _drops(name: str) -> Callable[[Fields], Fields]:
    """Return a spoiler that leaves a member of the result out."""

    def spoil(answer: Fields) -> Fields:
        for part in _parts(answer):
            part.pop(name, None)
        return answer

    return spoil


def _parts(answer: Fields) -> list[Fields]:
    """Return the result and the entries of its list of codes."""
    result = answer.get("result")
    if not isinstance(result, dict):
        return []
    listed = result.get("auth_code_list")
    return [result, *(listed if isinstance(listed, list) else ())]


def _code_as_text(answer: Fields) -> Fields:
    error = answer.get("error")
    if isinstance(error, dict):
        error["error_code"] = str(error.get("error_code"))
    return answer


_ZERO: Fields = {"error_code": 0, "error_msg": ""}
_SPOILED: dict[Spoiler, Callable[[Fields], Fields]] = {
    Spoiler.EMPTY_AUTH_CODE: _sets("auth_code", ""),
    Spoiler.ZERO_INVALID_TIME: _sets("invalid_time", 0),
    Spoiler.OTHER_BROKER: _adds("broker_id"),
    Spoiler.OTHER_UID: _adds("uid"),
    Spoiler.NO_CODE_LIST: _drops("auth_code_list"),
    Spoiler.EMPTY_WEB_SIG: _sets("web_sig_new", ""),
    Spoiler.NO_WEB_SIG: _drops("web_sig_new"),
    Spoiler.NO_TICKET: _drops("tgtgt_new"),
    Spoiler.NO_DEVICE_SIG: _drops("device_sig_new"),
    Spoiler.SHORT_RAND_KEY: _sets("rand_key_new", "c2hvcnQ="),
    Spoiler.NO_LIFETIME: _drops("cltsig_invalidtime"),
    Spoiler.EMPTY_BROKER_SIG: _sets("broker_client_sig", ""),
    Spoiler.NO_CUSTOMER_ID: _drops("customer_id"),
    Spoiler.NO_KEYS: lambda _: {},
    Spoiler.NULL_RESULT: lambda _: {"result": None},
    Spoiler.LIST_RESULT: lambda _: {"result": []},
    Spoiler.ZERO_CODE: lambda _: {"result": None, "error": dict(_ZERO)},
    Spoiler.ZERO_CODE_BESIDE: lambda answer: {**answer, "error": dict(_ZERO)},
    Spoiler.CODE_BESIDE: lambda answer: {**answer, "error": {"error_code": 15, "error_msg": "on demand"}},
    Spoiler.CODE_AS_TEXT: _code_as_text,
}
