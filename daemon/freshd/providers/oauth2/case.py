"""One reply of a token endpoint, with everything that reading it needs to know.  Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from freshd.core.contract import Contract
from freshd.core.model import Binding, Grant, Intent, Record
from freshd.core.outcome import Remedy, Reply

REFRESH: Final = "refresh"
ISSUE: Final = "issue"
AUTHORIZE: Final = "authorize"
DEVICE: Final = "device"
REFRESH_TOKEN: Final = "refresh_token"


@dataclass(frozen=True, slots=True)
class Terms:
    """What reading needs to know of the account; the rest is in intent and record.

    token_types  what the service calls tokens that are used as bearer tokens, in lower case
    """

    binding: Binding
    contract: Contract = field(default_factory=Contract)
    lease_fields: tuple[str, ...] = ()
    token_types: frozenset[str] = frozenset({"bearer"})
    remedies: Mapping[str, Remedy] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Case:
    """One reply with everything that it is read against.  is_success: whole and 2xx, so that a lease may come of it."""

    rung: str
    record: Record
    intent: Intent
    reply: Reply
    terms: Terms
    answer: Mapping[str, Any]
    is_success: bool

    @property
    def old(self) -> Grant | None:
        """The grant that goes on; none when a new lineage begins."""
        return self.record.grant if self.rung == REFRESH else None
