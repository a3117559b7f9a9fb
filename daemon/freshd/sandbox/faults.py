"""The faults that leave an answer standing: pauses, false dates and spoiled members. ``endings`` has the others.

Data only: ``fault_queue`` chooses which strike, ``turn`` carries them out. A Pause delays, a Stamp changes a header, an
Edit spoils the members of a good JSON answer. Each type's ``name`` is its name on the control port and in the counters.
"""

import dataclasses
import enum
from typing import ClassVar


class Fault:
    """What all faults share: the name under which the control port and the counters know it."""

    name: ClassVar[str]


class When(enum.StrEnum):
    """Whether a pause comes before or after the service has committed."""

    BEFORE = "before"
    AFTER = "after"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Slow(Fault):
    """The answer is right but comes ``seconds`` late, counted before or after the commit."""

    name: ClassVar[str] = "slow"
    seconds: float
    when: When = When.BEFORE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Skew(Fault):
    """The Date header is ``seconds`` away from the service's own clock."""

    name: ClassVar[str] = "skew"
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WrongSubject(Fault):
    """The answer speaks for another identity: the id_token's ``sub`` (or a ``sub`` member) and the access token's."""

    name: ClassVar[str] = "wrong_subject"
    subject: str = "somebody-else"


class Edit(Fault):
    """A fault that spoils the members of a successful JSON answer; error answers are left alone."""

    def edit(self, answer: dict[str, object]) -> None:
        """Change ``answer`` in place."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WrongTypes(Edit):
    """Members have the wrong JSON type: text becomes a number, a number becomes words."""

    name: ClassVar[str] = "wrong_types"
    fields: tuple[str, ...] = ("access_token", "expires_in")

    def edit(self, answer: dict[str, object]) -> None:
        """Swap the type of each named member that is present."""
        for field in self.fields:
            if field in answer:
                answer[field] = 12345 if isinstance(answer[field], str) else "in a while"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MissingFields(Edit):
    """Members are absent that RFC 6749 section 5.1 requires."""

    name: ClassVar[str] = "missing_fields"
    fields: tuple[str, ...] = ("access_token",)

    def edit(self, answer: dict[str, object]) -> None:
        """Drop each named member."""
        for field in self.fields:
            answer.pop(field, None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NoRefreshToken(Edit):
    """The answer omits the refresh token although the old one was spent."""

    name: ClassVar[str] = "no_refresh_token"

    def edit(self, answer: dict[str, object]) -> None:
        """Drop the refresh token."""
        answer.pop("refresh_token", None)


class Lifetime(enum.StrEnum):
    """Lifetimes no client should believe."""

    NEGATIVE = "negative"
    ZERO = "zero"
    VAST = "vast"
    NAN = "nan"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AbsurdLifetime(Edit):
    """``expires_in`` is negative, zero, 1e30 or NaN."""

    name: ClassVar[str] = "absurd_lifetime"
    lifetime: Lifetime = Lifetime.NEGATIVE

    def edit(self, answer: dict[str, object]) -> None:
        """Set the lifetime."""
        values = {Lifetime.NEGATIVE: -3600, Lifetime.ZERO: 0, Lifetime.VAST: 1e30, Lifetime.NAN: float("nan")}
        answer["expires_in"] = values[self.lifetime]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TokenTypeCase(Edit):
    """``token_type`` in another case: legal (RFC 6749 section 5.1 says case-insensitive) and often mishandled."""

    name: ClassVar[str] = "token_type_case"
    text: str = "bEaReR"

    def edit(self, answer: dict[str, object]) -> None:
        """Set the token type."""
        answer["token_type"] = self.text


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CodeAsText(Edit):
    """Numbers arrive as text, and text of digits as numbers."""

    name: ClassVar[str] = "code_as_text"

    def edit(self, answer: dict[str, object]) -> None:
        """Turn every member over that can be."""
        for field, value in answer.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                answer[field] = str(value)
            elif isinstance(value, str) and value.isdecimal():
                answer[field] = int(value)
