"""One question and one answer in AUN's words: a JSON-RPC 2.0 request, a result, an error, and how a connection ends."""

import dataclasses
import json
from collections.abc import Mapping

from freshd.sandbox.tokens import Commit

Fields = dict[str, object]

BAD_REQUEST = -32600
NO_SUCH_METHOD = -32601
BAD_PARAMS = -32602
NO_COMMON_PROTOCOL = -32000
NOT_A_SESSION = -32013


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request. ``params`` are as they were sent."""

    method: str
    params: Mapping[str, object]

    def text(self, name: str) -> str:
        """Return a parameter that is text; a number counts as it was written; anything else is empty."""
        value = self.params.get(name)
        if isinstance(value, str):
            return value
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return json.dumps(value) if is_number else ""

    def needed(self, *names: str) -> list[str]:
        """Return parameters that must be there; raises Refusal."""
        found = [self.text(name) for name in names]
        if not all(found):
            absent = [name for name, text in zip(names, found, strict=True) if not text]
            raise Refusal(BAD_PARAMS, f"missing {', '.join(absent)}")
        return found

    def object(self, name: str) -> Fields:
        """Return a parameter that is an object, else an empty one."""
        value = self.params.get(name)
        return value if isinstance(value, dict) else {}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Farewell:
    """How the gateway ends a connection; ``event`` announces it first."""

    code: int
    reason: str = ""
    detail: Fields = dataclasses.field(default_factory=dict)
    event: bool = False


@dataclasses.dataclass(slots=True, kw_only=True)
class Told:
    """What is to be said. ``successor``: text without which the answer does not carry its new secret."""

    result: Fields | None = None
    error: Fields | None = None
    commit: Commit | None = None
    successor: str | None = None
    outcome: str = "ok"
    is_answered: bool = True
    farewell: Farewell | None = None

    def envelope(self, request_id: object) -> Fields:
        """Return the answer as it goes onto the wire."""
        body: Fields = {"error": self.error} if self.error is not None else {"result": self.result}
        return {"jsonrpc": "2.0", "id": request_id, **body}


class Refusal(Exception):
    """A request is refused. ``as_result``: with ``success`` false and these members, instead of an error."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        data: Fields | None = None,
        as_result: Fields | None = None,
        farewell: Farewell | None = None,
        is_answered: bool = True,
    ) -> None:
        """``code`` is what the books show in either form."""
        super().__init__(message)
        self.code = code
        self.data = data
        self.as_result = as_result
        self.farewell = farewell
        self.is_answered = is_answered

    def told(self) -> Told:
        """Return it as an answer."""
        end = Told(outcome=str(self.code), farewell=self.farewell, is_answered=self.is_answered)
        if self.as_result is not None:
            end.result = {"success": False, "error": str(self), **self.as_result}
            return end
        end.error = error_of(self.code, str(self), self.data)
        return end


def error_of(code: int, message: str, data: Fields | None = None) -> Fields:
    """Return a JSON-RPC error."""
    return {"code": code, "message": message, "data": {"trace_id": "sandbox", **(data or {})}}
