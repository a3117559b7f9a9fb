"""How a person gives an account a grant: enrol-begin says what to do, enrol-finish takes what came of it.

Rules
-----
* What a person brought is exchanged once, however often it is handed in (I5).
* An answer is exchanged only for the session, and the account, that asked for it.
* Sessions live in memory, end by themselves, and are few; a restart ends them.
* A person's code goes in, nothing of it comes out: no answer and no error holds a secret (I8, I12).
* A key that is being registered, and all else that a step needs whatever becomes of its answer, is durable before the
  step is taken (`Asked.keeps`).
* A refusal that brought what another step of a person needs leads to that step ("next-step"); any other ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from freshd.core.events import Event
from freshd.core.happenings import Enrolling, Relieved
from freshd.core.model import EMPTY, Change, Grant, Record, Secret
from freshd.core.state import Enrolled
from freshd.errors import FreshdError, KeyringUnavailable, NotPossible
from freshd.ports import Asked, Line, Provider, Succeeding
from freshd.supervisor import Supervisor
from freshd.turn import STEP_WAIT_SECONDS, Verb, decided, landed, must_not_displace, quiet, under_way

SESSION_SECONDS: Final = 900.0
RETIRE_SECONDS: Final = 15.0
"""How long an enrolment waits for the end of the grant it replaced."""
MAX_SESSIONS: Final = 64
HELD_SECONDS: Final = 30.0
"""How long a step that asks nothing of a person waits for the pace."""
HELD_LOOK_SECONDS: Final = 0.25
PENDING: Final = frozenset({"authorization_pending", "slow_down", "held"})
"""Outcomes after which the same enrolment is asked for again; also where nothing was sent of what is no redirect."""
NEXT_STEP: Final = "next-step"


@dataclass(frozen=True, slots=True)
class Session:
    """An enrolment under way: what the person's answer will be checked against."""

    account: str
    asked: Asked
    ends: float


class Enrolment:
    """The sessions of one daemon.  `verbs`: by name; the account was checked by whoever calls."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._sessions: dict[str, Session] = {}
        self._finishing: set[str] = set()
        self.verbs: Mapping[str, Verb] = {"enrol-begin": self._begin, "enrol-finish": self._finish_once}

    async def _begin(self, account: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        provider: Provider = self._supervisor.keeper(account).provider(account)
        must_not_displace(self._supervisor, account, then="enrol")
        redirect = args.get("redirect_uri")
        record = await self._record(account)
        asked = await provider.ask(
            str(args.get("flow", "auto")), None if redirect is None else str(redirect), record,
            consent=args.get("consent") is True,
        )  # fmt: skip
        session = await self._opened(account, asked, record)
        return {
            "session": session, "step": asked.rung, "url": asked.url, "user_code": asked.user_code,
            "interval": asked.interval, "prompt": asked.prompt,
            "picture": None if asked.picture is None else b64encode(asked.picture).decode(),
            "expires_in": min(asked.expires_in, SESSION_SECONDS), "redirect_uri": _back(asked),
        }  # fmt: skip

    async def at_once(self, account: str, asked: Asked, record: Record) -> Mapping[str, Any]:
        """Take a step that asks nothing of a person, made for that record.  Raises NotPossible where it fails."""
        must_not_displace(self._supervisor, account, then="try again")
        session = await self._opened(account, asked, record)
        try:
            told = await self._finish_once(account, {"session": session})
            ends = self._supervisor.clock.boot() + HELD_SECONDS
            while told.get("pending") == "held" and self._supervisor.clock.boot() < ends:
                await asyncio.sleep(HELD_LOOK_SECONDS)
                told = await self._finish_once(account, {"session": session})
        finally:
            self._sessions.pop(session, None)
        if not told["done"]:
            raise NotPossible(f"nothing came of it: {told['pending']}", f"freshd explain {account}, then try again")
        return told

    async def _opened(self, account: str, asked: Asked, record: Record) -> str:
        """The key of a new session.  What the step needs whatever becomes of its answer is durable by then."""
        now = self._supervisor.clock.boot()
        self._sessions = {key: kept for key, kept in self._sessions.items() if kept.ends > now}
        if len(self._sessions) >= MAX_SESSIONS:
            raise NotPossible("too many enrolments are under way", "finish one, or wait until they expire")
        if asked.keeps:
            await self._keep(account, asked, record)
        session = secrets.token_urlsafe(24)
        self._sessions[session] = Session(account, asked, now + min(asked.expires_in, SESSION_SECONDS))
        return session

    async def _keep(self, account: str, asked: Asked, made_for: Record) -> None:
        """Commit what the step needs beside what is there: doubts, verdicts and the lease stand as they stood.

        What was made for another record is not written over a newer one: two steps would lose each other's keys.
        """
        supervisor = self._supervisor
        async with quiet(supervisor, account):
            record = await supervisor.vault.read(account)
            if (record.generation, record.lineage) != (made_for.generation, made_for.lineage):
                again = f"begin again: freshd enrol {account}"
                raise NotPossible("the account has changed meanwhile; nothing was sent", again)
            now, bound = supervisor.clock.now(), supervisor.keeper(account).provider(account).binding
            grant = record.grant or Grant(secrets.token_hex(16), bound, EMPTY, now, now)
            grant = replace(grant, secrets=MappingProxyType({**grant.secrets, **asked.keeps}))
            line = Line(now, asked.rung, "kept", record.generation + 1, ", ".join(sorted(asked.keeps)))
            change = Change(account, grant, adds=True)
            kept = (await supervisor.vault.commit(None, account, [change], {}, line))[account]
            if kept.generation == record.generation:
                raise NotPossible("an answer of the service waits to be finished", f"freshd explain {account}")
            supervisor.post(account, Relieved(kept, adds=True))

    async def _record(self, account: str) -> Record:
        """What is kept of the account; nothing where the keyring holds it back, for a person may enrol even then."""
        try:
            return await self._supervisor.vault.read(account)
        except KeyringUnavailable:
            return Record(account)

    async def _finish_once(self, account: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        key = str(args.get("session", ""))
        if key in self._finishing:
            return {"done": False, "account": account, "pending": "held"}
        self._finishing.add(key)
        try:
            return await self._finish(account, key, args)
        finally:
            self._finishing.discard(key)

    async def _finish(self, account: str, key: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        session = self._sessions.get(key)
        if session is None or session.account != account or session.ends < self._supervisor.clock.boot():
            raise NotPossible("this enrolment is unknown or over", f"begin again: freshd enrol {account}")
        given = {key: Secret(str(args[key])) for key in ("code", "state", "iss", "error") if args.get(key) is not None}
        _check_state(session, given, account)
        _check_typed(session, given, account)
        known = await self._record(account)
        ended = await self._taken(account, Enrolling(
            session.asked.rung, secrets.token_hex(16), {**session.asked.material, **given}
        ))  # fmt: skip
        if ended.outcome != "ok":
            return self._undone(account, key, session.asked, ended)
        self._sessions.pop(key, None)  # it may have come to its end meanwhile
        await decided(self._supervisor)
        await self._retire(account, known)
        return {"done": True, "account": account, "generation": self._supervisor.state(account).standing.generation}

    async def _taken(self, account: str, event: Enrolling) -> Enrolled:
        """What the step came to.  Nothing may come between the last look at the account and its beginning."""
        supervisor = self._supervisor
        await landed(supervisor, account)
        supervisor.post(account, event)
        begun = supervisor.state(account)
        if not begun.enrolling:
            raise NotPossible("another call of this account is under way", "try again in a moment")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STEP_WAIT_SECONDS):
                while (ended := supervisor.state(account).enrolled) is None or ended.attempt != begun.attempt:
                    await supervisor.keeper(account).changed(account)
                return ended
        raise under_way(account)

    async def _retire(self, account: str, old: Record) -> None:
        """End what was replaced, where the service would keep it alive beside the new grant."""
        provider, new = self._supervisor.keeper(account).provider(account), await self._record(account)
        if not isinstance(provider, Succeeding) or old.grant is None or new.grant is None:
            return
        try:
            async with asyncio.timeout(RETIRE_SECONDS):
                await provider.retire(old.grant, new.grant)
        except (FreshdError, TimeoutError) as error:
            why = error.cause if isinstance(error, FreshdError) else "no answer in time"
            self._supervisor.tell(Event("grant.left-behind", account, {"why": why}))

    def _undone(self, account: str, key: str, asked: Asked, ended: Enrolled) -> Mapping[str, Any]:
        outcome = ended.outcome
        may_repeat = asked.rung == "device" or not asked.url
        if outcome in PENDING or (may_repeat and outcome == "unsent"):
            return {"done": False, "account": account, "pending": outcome}
        self._sessions.pop(key, None)
        if ended.brought:
            return {"done": False, "account": account, "pending": NEXT_STEP, "outcome": outcome}
        if ended.excuse is not None:
            raise NotPossible(*ended.excuse)
        raise NotPossible(
            f"the service did not accept the enrolment: {outcome}", f"begin again: freshd enrol {account}"
        )


def _back(asked: Asked) -> str | None:
    """Where the browser comes back to: no secret, and needed by whoever waits there."""
    return asked.material["redirect_uri"].reveal() if "redirect_uri" in asked.material else None


def _check_typed(session: Session, given: Mapping[str, Secret], account: str) -> None:
    """What a person is to type in is there: an empty code would cost a try at the service."""
    if session.asked.prompt is not None and ("code" not in given or not given["code"].reveal().strip()):
        raise NotPossible("nothing was typed, so nothing was sent", f"begin again: freshd enrol {account}")


def _check_state(session: Session, given: Mapping[str, Secret], account: str) -> None:
    expected = session.asked.material.get("expected_state")
    if expected is not None and given.get("state") != expected:
        raise NotPossible(
            "the answer belongs to another enrolment (state differs)", f"begin again: freshd enrol {account}"
        )
