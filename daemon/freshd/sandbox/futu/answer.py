"""What Futu's HTTP operations are asked and what they answer: one JSON object with either ``result`` or ``error``.

Plain records. A yes is a Granted, a no a Refusal; ``Told`` is either of them in words, with what it changed.
"""

import dataclasses
from collections.abc import Mapping

from freshd.sandbox.tokens import Commit

Fields = dict[str, object]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request. Names of headers are in small letters; a body that was no JSON object arrives empty."""

    method: str
    path: str
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a text member of the body, empty if it is absent or no text."""
        value = self.body.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int | None:
        """Return a whole number of the body, None if it is absent or something else."""
        value = self.body.get(name)
        return value if type(value) is int else None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A no. ``extra`` are the further members that some codes bring."""

    code: int
    message: str
    extra: Fields = dataclasses.field(default_factory=dict)

    def envelope(self) -> Fields:
        """Return it in words; the text is for people and nothing to match on."""
        return {"result": None, "error": {"error_code": self.code, "error_msg": self.message, **self.extra}}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A yes. ``successor`` is the new secret's text; ``others`` are the entries of further labels that it changed."""

    result: Fields
    commit: Commit | None = None
    others: tuple[Commit, ...] = ()
    successor: str | None = None

    def envelope(self) -> Fields:
        """Return it in words."""
        return {"result": self.result}


@dataclasses.dataclass(slots=True, kw_only=True)
class Told:
    """What is said, and what it changed. ``outcome`` is the books' word for it: ``answered`` or the code."""

    answer: Fields
    status: int = 200
    outcome: str = "answered"
    commit: Commit | None = None
    others: tuple[Commit, ...] = ()
    successor: str | None = None

    @property
    def members(self) -> Fields:
        """The members of the result; an empty object of its own where there is none."""
        result = self.answer.get("result")
        return result if isinstance(result, dict) else {}


def whole(seconds: float) -> float:
    """Return a time as the service writes it: a whole number wherever it is one."""
    return int(seconds) if float(seconds).is_integer() else round(seconds, 3)
