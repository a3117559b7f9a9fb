"""Profiles → `Profile`: packaged ones and those of the file, each laid over the one it is based on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from freshd.config.report import Report
from freshd.config.secret import references
from freshd.config.tables import ContractTable, MarginsTable, ProfileTable, read, tables
from freshd.core.contract import Contract, Kills, Omitted, Reuse
from freshd.core.problem import Problem, listed, nearest, unknown_key
from freshd.core.profile import Profile
from freshd.core.settings import KindSchema

GENERIC: Final = "generic"
"""The profile that says nothing: a server of the standard with the most careful contract."""
COMMON: Final = "oauth2"
"""The kind that a profile serves if nothing else is said."""


class Profiles:
    """All profiles of one reading.  A broken or unknown one is None: it was reported."""

    def __init__(
        self, report: Report, packaged: Mapping[str, Any], own: object, kinds: Mapping[str, KindSchema]
    ) -> None:
        self._report = report
        self._kinds = kinds
        self._keys: dict[str, frozenset[str]] = {}
        mine = tables(report, own, "profiles")
        taken = [
            Problem((name,), "a packaged profile has this name", f"choose another and add based_on = {name!r}")
            for name in sorted(mine.keys() & packaged.keys())
        ]
        report.add(taken, "profiles")
        self._raw: dict[str, Mapping[str, Any]] = {**mine, **packaged}
        self._made: dict[str, Profile | None] = {}
        for name in self._raw:
            self.named(name, "profiles", name)

    def named(self, name: str, *at: str | int) -> Profile | None:
        """The profile of that name; unknown is reported at `at`."""
        if name not in self._raw:
            meant = nearest(name, self._raw)
            write = f'did you mean "{meant}"?' if meant else f"known: {listed(self._raw)}"
            self._report.add([Problem(at, "no such profile", write)])
            return None
        if name not in self._made:
            self._made[name] = None  # Whoever comes back here while it is being made goes in circles.
            self._made[name] = self._make(name)
        return self._made[name]

    def default(self, kind: str) -> Profile:
        """The profile of an account that names none."""
        for name in (kind, GENERIC):
            made = self._made.get(name)
            if made is not None and made.kind == kind:
                return made
        return Profile(name=kind, kind=kind)

    def keys(self, kind: str) -> frozenset[str]:
        """The names of a kind's own keys.  A kind that nobody names is not asked: its file stays unread."""
        if kind not in self._keys:
            properties = self._kinds[kind].json_schema().get("properties")
            self._keys[kind] = frozenset(properties) if isinstance(properties, dict) else frozenset()
        return self._keys[kind]

    def _make(self, name: str) -> Profile | None:
        at = ("profiles", name)
        table = read(self._report, ProfileTable, self._raw[name], *at)
        base = self._base(table, *at)
        if base is None:
            return None
        kind = table.kind or base.kind
        if kind not in self._kinds:
            self._report.add([Problem((*at, "kind"), "no such kind", f"known: {listed(self._kinds)}")])
            return None
        options = self._options(table.options, kind, *at, "options")
        told = {key: getattr(table, key) for key in ("required_scope", "title", "source", "checked", "confidence")}
        return laid_over(
            self._report,
            replace(base, name=name, kind=kind, options={**base.options, **options})
            if table.based_on
            else Profile(name=name, kind=kind, options=options),
            table.contract,
            table.margins,
            *at,
            told={key: value for key, value in told.items() if value is not None},
        )

    def _base(self, table: ProfileTable, *at: str | int) -> Profile | None:
        if table.based_on is None:
            return Profile(name="", kind=table.kind or COMMON)
        if table.based_on in self._made and self._made[table.based_on] is None:
            self._report.add(
                [Problem((*at, "based_on"), "rests on a broken profile or on itself", "correct that one first")]
            )
            return None
        return self.named(table.based_on, *at, "based_on")

    def _options(self, raw: object, kind: str, *at: str | int) -> dict[str, object]:
        if raw is None:
            return {}
        if not isinstance(raw, dict):
            self._report.add([Problem(at, "must be a table", "write [profiles.NAME.options]")])
            return {}
        known = self.keys(kind)
        self._report.add((unknown_key((key,), known) for key in raw.keys() - known), *at)
        options, problems = references({key: raw[key] for key in raw.keys() & known}, self._kinds[kind].secrets)
        self._report.add(problems, *at)
        return options


def laid_over(
    report: Report, base: Profile, contract: object, margins: object, *at: str | int, told: Mapping[str, Any]
) -> Profile:
    """`base` with the keys of two raw tables changed.  Problems are reported; the rest holds."""
    if contract is None and margins is None and not told:
        return base  # as nearly every account: it is the same for all of them
    new_contract = _contract(base.contract, read(report, ContractTable, contract, *at, "contract"))
    report.add(_contract_problems(new_contract), *at, "contract")
    changed = read(report, MarginsTable, margins, *at, "margins").model_dump(exclude_none=True)
    return replace(base, contract=new_contract, margins=replace(base.margins, **changed), **dict(told))


def _contract(base: Contract, table: ContractTable) -> Contract:
    words: dict[str, Any] = table.model_dump(exclude_none=True)
    if "reuse" in words:
        words["reuse"] = Reuse(words["reuse"])
        if words["reuse"] is not Reuse.GRACE:
            words.setdefault("grace", 0.0)
    if "kills" in words:
        words["kills"] = Kills[words["kills"].upper()]
    if "omitted" in words:
        words["omitted"] = Omitted(words["omitted"])
    return replace(base, **words)


def _contract_problems(contract: Contract) -> list[Problem]:
    if contract.reuse is Reuse.GRACE and not contract.grace:
        return [Problem(("grace",), 'reuse = "grace" needs to know for how long', "write grace = SECONDS")]
    if contract.reuse is not Reuse.GRACE and contract.grace:
        return [Problem(("grace",), 'means something with reuse = "grace" only', 'write reuse = "grace", or remove it')]
    return []
