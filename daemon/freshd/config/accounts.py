"""The tables [accounts.NAME] → `AccountSettings`, and what can only be seen with all of them side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from freshd.config.env_files import env_file_of, shared_lines
from freshd.config.places import Surroundings, secret_problem
from freshd.config.profiles import Profiles, laid_over
from freshd.config.readers import readers_of
from freshd.config.report import Report
from freshd.config.secret import references
from freshd.config.tables import AccountTable, read, tables
from freshd.core.policy import lead
from freshd.core.problem import MISSING, Path, Problem, listed, nearest, unknown_key
from freshd.core.profile import Profile
from freshd.core.settings import AccountSettings, KindSchema, Parsed, SecretRef

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
COMMON: Final = frozenset(AccountTable.model_fields)
RESTART_SECONDS: Final = 5.0
"""How long freshd may be away when it is restarted: what is renewed later than this before its end leaves a gap."""


class Accounts:
    """Reads all accounts of one file."""

    def __init__(self, report: Report, kinds: Mapping[str, KindSchema], profiles: Profiles, here: Surroundings) -> None:
        self._report = report
        self._kinds = kinds
        self._profiles = profiles
        self._here = here

    def read(self, raw: object) -> tuple[AccountSettings, ...]:
        """All of them, sorted by name; those with problems may be missing or incomplete."""
        named = tables(self._report, raw, "accounts")
        accounts = tuple(self._account(name, named[name]) for name in sorted(named))
        self._report.add(shared_grants(accounts), "accounts")
        self._report.add(shared_lines(accounts), "accounts")
        self._report.add(missing_heads(accounts, frozenset(named)), "accounts")
        return accounts

    def _account(self, name: str, raw: dict[str, object]) -> AccountSettings:
        at: Path = ("accounts", name)
        if NAME.fullmatch(name) is None:
            write = "use up to 64 of a-z 0-9 . _ - and begin with a letter or digit"
            self._report.add([Problem(at, "not a name for an account", write)])
        table = read(self._report, AccountTable, {key: raw[key] for key in raw.keys() & COMMON}, *at)
        kind = self._kind(table.kind, is_given="kind" in raw, at=at)
        known = self._keys(kind)
        self._report.add((unknown_key((key,), known | COMMON) for key in raw.keys() - known - COMMON), *at)
        base = self._profile(table.profile, kind, *at)
        profile = base or self._profiles.default(kind or "")
        profile = laid_over(self._report, profile, table.contract, table.margins, *at, told={})
        if not table.allow_short_lived:
            self._report.add(short_lives(profile), *at)
        own = {**profile.options, **{key: raw[key] for key in (raw.keys() & known) - COMMON}}
        parsed = self._parse(name, profile, own, is_complete=base is not None) if kind else Parsed()
        return AccountSettings(
            name=name,
            kind=kind or "",
            readers=readers_of(self._report, table.readers, *at, "readers"),
            profile=profile,
            options=parsed.options,
            binding=parsed.binding,
            grant=table.grant,
            family=parsed.family or name,
            head=parsed.head,
            paused=table.paused,
            env_file=env_file_of(self._report, table.env_file, self._here, *at, "env_file"),
            line=self._report.line(*at),
        )

    def _keys(self, kind: str | None) -> frozenset[str]:
        """The kind's own keys; those of every kind where it is not known which is meant."""
        kinds = self._kinds if kind is None else (kind,)
        return frozenset().union(*(self._profiles.keys(name) for name in kinds))

    def _kind(self, kind: str | None, *, is_given: bool, at: Path) -> str | None:
        """The kind if it is one of ours; else the problem is reported, unless its type was."""
        if kind is None and not is_given:
            self._report.add([Problem((*at, "kind"), MISSING, f"add kind = …; known: {listed(self._kinds)}")])
        if kind is None or kind in self._kinds:
            return kind
        meant = nearest(kind, self._kinds)
        write = f'did you mean "{meant}"? known' if meant else "known"
        self._report.add([Problem((*at, "kind"), "no such kind", f"{write}: {listed(self._kinds)}")])
        return None

    def _profile(self, name: str | None, kind: str | None, *at: str | int) -> Profile | None:
        """The profile named or the kind's own; None where the one named is broken, unknown or for another kind."""
        if name is None:
            return self._profiles.default(kind or "")
        profile = self._profiles.named(name, *at, "profile")
        if profile is not None and kind is not None and profile.kind != kind:
            write = f'write kind = "{profile.kind}", or another profile'
            self._report.add([Problem((*at, "profile"), "a profile for another kind", write)])
            return None
        return profile

    def _parse(self, name: str, profile: Profile, raw: Mapping[str, object], *, is_complete: bool) -> Parsed:
        """What the kind makes of it; what was reported already or rests on a broken profile is not said again."""
        schema = self._kinds[profile.kind]
        own, problems = references(raw, schema.secrets)
        self._report.add(problems, "accounts", name)
        self._report.add(self._absent(own), "accounts", name)
        self._report.add(missing_scope(profile, own), "accounts", name)
        parsed = schema.parse(name, own)
        told = {problem.key[:1] for problem in problems}
        rest = [
            problem
            for problem in parsed.problems
            if problem.key[:1] not in told and (is_complete or not problem.wrong.startswith(MISSING))
        ]
        self._report.add(rest, "accounts", name)
        return Parsed() if parsed.problems else parsed

    def _absent(self, own: Mapping[str, object]) -> Iterator[Problem]:
        """Referenced secrets that are certainly not there (keys relative to the account)."""
        for key, value in own.items():
            problem = secret_problem(value, self._here.environ) if isinstance(value, SecretRef) else None
            if problem is not None:
                yield problem.under(key)


def shared_grants(accounts: tuple[AccountSettings, ...]) -> Iterator[Problem]:
    """Two accounts with one grant would spend each other's secrets (keys relative to the table of accounts)."""
    first: dict[object, AccountSettings] = {}
    for account in sorted(accounts, key=lambda account: account.line):
        if account.binding is None:
            continue
        owner = first.setdefault((account.binding, account.grant), account)
        if owner is not account:
            wrong = f"has the same grant as {owner.name}: same server, client and subject"
            write = (
                "remove one of them and let its readers use the other; if they are two grants, "
                'say so: subject = "…" or grant = "NAME" in each'
            )
            yield Problem((account.name,), wrong, write)


def missing_heads(accounts: tuple[AccountSettings, ...], named: frozenset[str]) -> Iterator[Problem]:
    """Accounts that hang on one that is not there, or is none of its kind (keys relative to the table of accounts)."""
    kinds = {account.name: account.kind for account in accounts}
    for account in accounts:
        head = account.head
        if head is None or kinds.get(head.account) == head.kind:
            continue
        known = sorted(name for name, kind in kinds.items() if kind == head.kind)
        meant = nearest(head.account, known)
        write = f"did you mean {meant}?" if meant else f"name one of: {listed(known)}"
        wrong = "names no account" if head.account not in named else "names an account of another kind"
        yield Problem((account.name, head.key), wrong, f"{write}; it must be of kind {head.kind}")


def short_lives(profile: Profile) -> Iterator[Problem]:
    """Lives whose margin is shorter than a restart, at the key that makes it so (keys relative to the account)."""
    contract = profile.contract
    lives = {key: getattr(contract, key) for key in ("lease_life", "idle_life", "absolute_life")}
    late = {("contract", key) for key, life in lives.items() if life and lead(life, profile.margins) < RESTART_SECONDS}
    if late and profile.margins.cap < RESTART_SECONDS:
        late = {("margins", "cap")}
    if contract.reissue_left is not None and contract.reissue_left < RESTART_SECONDS:
        late.add(("contract", "reissue_left"))
    wrong = f"lets renewal wait until less than {RESTART_SECONDS:g} s before the end: a restart would leave a gap"
    write = "write a larger number, or allow_short_lived = true if gaps are acceptable"
    return (Problem(key, wrong, write) for key in sorted(late))


def missing_scope(profile: Profile, own: Mapping[str, object]) -> Iterator[Problem]:
    """Whether an enrolment would end without a refresh token (keys relative to the account)."""
    scope = own.get("scope", "")
    asks_again = own.get("grant_type") == "client_credentials"
    if (
        profile.required_scope
        and isinstance(scope, str)
        and not asks_again
        and profile.required_scope not in scope.split()
    ):
        wrong = f"lacks {profile.required_scope}, without which this server issues no refresh token"
        yield Problem(("scope",), wrong, f'write scope = "… {profile.required_scope}"')
