"""Which faults strike which request: rules with a scope and a budget, taken in the order in which they were added.

Pure: randomness is an argument. Pauses, stamps and edits add up; of the endings that match, only the first is used and
charged.
"""

import dataclasses
import itertools
import random
from collections.abc import Mapping

from freshd.sandbox import endings, faults
from freshd.sandbox.endings import Ending
from freshd.sandbox.faults import Edit, Fault, Skew, Slow, When, WrongSubject
from freshd.sandbox.feishu import faults as feishu
from freshd.sandbox.shape import ShapeError, checked, shaped
from freshd.sandbox.tokens import Delivery
from freshd.sandbox.wire import Manner

ANY = "*"
CATALOGUE: dict[str, type[Fault]] = {
    kind.name: kind
    for module in (faults, endings, feishu)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Fault) and "name" in vars(kind)
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whom a rule strikes; None means everybody. ``endpoint`` ``*`` means all of them."""

    endpoint: str = "token"
    client_id: str | None = None
    label: str | None = None
    grant_type: str | None = None

    def covers(self, call: "Scope") -> bool:
        """Whether ``call``, a fully named request, falls under this scope."""
        asked = (self.client_id, self.label, self.grant_type)
        got = (call.client_id, call.label, call.grant_type)
        fits = all(want is None or want == have for want, have in zip(asked, got, strict=True))
        return fits and self.endpoint in (ANY, call.endpoint)


@dataclasses.dataclass(slots=True, kw_only=True)
class Rule:
    """One fault with its scope. ``left`` None: until switched off. ``probability`` per matching request."""

    id: int
    fault: Fault
    scope: Scope
    left: int | None = None
    probability: float = 1.0
    struck: int = 0


@dataclasses.dataclass(slots=True)
class Plan:
    """All that goes wrong with one request."""

    wait_before: float = 0.0
    wait_after: float = 0.0
    date_offset: float = 0.0
    subject: str | None = None
    edits: list[Edit] = dataclasses.field(default_factory=list)
    ending: Ending | None = None

    @property
    def forestalls(self) -> bool:
        """Whether the ending comes before the service has done anything."""
        ending = self.ending
        return ending is not None and not ending.after_commit and not ending.is_own_word

    @property
    def manner(self) -> Manner:
        """How the bytes of the answer leave."""
        return self.ending.manner if self.ending is not None else Manner.WHOLE

    @property
    def cut_at(self) -> int:
        """How many bytes of a body leave where it is cut (negative: all but so many)."""
        return getattr(self.ending, "bytes", 0) if self.manner is Manner.CUT else 0

    def judge(self, delivery: Delivery, *, carried: bool) -> None:
        """Decide whether the client could read its new secret, and name what prevented it; ``carried``: it was said."""
        delivery.carried = delivery.complete and carried
        if not delivery.is_whole and delivery.reason is None:
            spoilers = ",".join(edit.name for edit in self.edits)
            delivery.reason = self.ending.name if self.ending is not None else spoilers or "not_carried"

    def add(self, fault: Fault) -> None:
        """Take one more fault in."""
        match fault:
            case Slow(seconds=seconds, when=When.BEFORE):
                self.wait_before += seconds
            case Slow(seconds=seconds):
                self.wait_after += seconds
            case Skew(seconds=seconds):
                self.date_offset += seconds
            case WrongSubject(subject=subject):
                self.subject = subject
            case Edit():
                self.edits.append(fault)
            case Ending():
                self.ending = fault


class FaultQueue:
    """All rules in force."""

    def __init__(self, chance: random.Random) -> None:
        """``chance`` decides about probabilities; seed it to repeat a run."""
        self._chance = chance
        self._ids = itertools.count(1)
        self.rules: list[Rule] = []

    def add(
        self, fault: Fault, scope: Scope | None = None, *, count: int | None = None, probability: float = 1.0
    ) -> Rule:
        """Put a fault in force; ``count`` None keeps it there until it is removed."""
        rule = Rule(id=next(self._ids), fault=fault, scope=scope or Scope(), left=count, probability=probability)
        self.rules.append(rule)
        return rule

    def add_json(self, wish: Mapping[str, object]) -> Rule:
        """Put the fault that a JSON object describes in force; raises ShapeError if it describes none."""
        kind = CATALOGUE.get(str(wish.get("fault")))
        if kind is None:
            message = f"fault: expected one of {', '.join(sorted(CATALOGUE))}"
            raise ShapeError(message)
        scoped = {field.name for field in dataclasses.fields(Scope)}
        scope = shaped(Scope, {name: value for name, value in wish.items() if name in scoped})
        budget = checked(_Budget, {k: v for k, v in wish.items() if k in ("count", "probability")}, partial=True)
        taken = scoped | {"fault", "count", "probability"}
        fault = shaped(kind, {name: value for name, value in wish.items() if name not in taken})
        return self.add(fault, scope, **budget)

    def remove(self, rule_id: int | None = None, *, label: str | None = None, name: str | None = None) -> int:
        """Switch rules off: one by id, those of a label or a fault name, or all; return how many."""

        def stays(rule: Rule) -> bool:
            wanted = ((rule_id, rule.id), (label, rule.scope.label), (name, rule.fault.name))
            return any(asked is not None and asked != have for asked, have in wanted)

        kept = [rule for rule in self.rules if stays(rule)]
        gone = len(self.rules) - len(kept)
        self.rules = kept
        return gone

    def plan(self, call: Scope) -> Plan:
        """Draw what goes wrong with ``call`` and charge the rules that strike."""
        plan = Plan()
        if not self.rules:
            return plan
        for rule in self.rules:
            idle = isinstance(rule.fault, Ending) and plan.ending is not None
            if idle or not rule.scope.covers(call) or self._chance.random() >= rule.probability:
                continue
            plan.add(rule.fault)
            rule.struck += 1
            if rule.left is not None:
                rule.left -= 1
        self.rules = [rule for rule in self.rules if rule.left is None or rule.left > 0]
        return plan


@dataclasses.dataclass(frozen=True)
class _Budget:
    count: int | None = None
    probability: float = 1.0
