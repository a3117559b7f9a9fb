"""Faults that speak Feishu: any code of its table on demand, and answers spoiled in the ways its clients have met.

Rules: as in ``faults`` and ``endings``; this file only names what can be wished for. ``feishu_code`` is put into words
by the service itself, because the form of a refusal differs from one generation of its endpoints to the next.
"""

import dataclasses
from typing import ClassVar

from freshd.sandbox.endings import Ending
from freshd.sandbox.faults import Edit
from freshd.sandbox.feishu.codes import RATE_CODE, Refusal, Strike
from freshd.sandbox.feishu.rate import slowed

_SHOWN_LIMIT = 50


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FeishuCode(Ending):
    """The service refuses with ``code``, before or after it has changed its books.

    ``status`` 0 takes the status that belongs to the code. 20050 commits first also where the constant
    ``FEISHU_SIM_20050_AFTER_COMMIT`` says so. ``reset`` is what the headers of 99991400 announce, in seconds.
    ``challenge_url`` and ``cli_hint`` stand in the body if given (21000 and 21001 bring them).
    """

    name: ClassVar[str] = "feishu_code"
    is_own_word: ClassVar[bool] = True
    code: int
    status: int = 0
    after_commit: bool = False
    reset: float = 1.5
    challenge_url: str = ""
    cli_hint: str = ""

    def strike(self) -> Strike:
        """Return it as the service takes it."""
        more = {name: getattr(self, name) for name in ("challenge_url", "cli_hint") if getattr(self, name)}
        refusal = slowed(_SHOWN_LIMIT, self.reset) if self.code == RATE_CODE else Refusal(self.code, more)
        return Strike(refusal=refusal, status=self.status, after_commit=self.after_commit)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EmptyFields(Edit):
    """Members that hold text are there and empty."""

    name: ClassVar[str] = "empty_fields"
    fields: tuple[str, ...] = ("access_token",)

    def edit(self, answer: dict[str, object]) -> None:
        """Empty each named member that is present."""
        for field in self.fields:
            if field in answer:
                answer[field] = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NarrowedScope(Edit):
    """The answer names a smaller scope than was granted."""

    name: ClassVar[str] = "narrowed_scope"
    scope: str = "auth:user.id:read"

    def edit(self, answer: dict[str, object]) -> None:
        """Replace the scope if the answer names one."""
        if "scope" in answer:
            answer["scope"] = self.scope
