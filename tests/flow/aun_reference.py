"""What the vendor's own Python client does in ten cases, counted by the sandbox: the measure beside freshd's rows.

Rules
-----
* Both meet the same stand-in, with the same constants and the same strike; each case has a stand-in of its own.
* The client does not wait between two tries here, which only shortens the time: a case ends after so many tries, or
  when the client has come to rest.  freshd's row lasts until it was healed, or until a person was told.
* Nothing is judged here: what is expected stands in the tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from freshd.sandbox.aun.levers import Kick, Thing
from freshd.sandbox.endings import LostAfterCommit
from freshd.sandbox.fault_queue import Scope
from freshd.sandbox.server import Settings, start
from tests.flow.aun_client import AID, Reference, aun_core
from tests.flow.bed import soon
from tests.flow.scenarios import Row, counted

STORM: Final = 40
ATTEMPTS: Final = 12
LEAD_SECONDS: Final = 1800
SHORT_LIFE_SECONDS: Final = 1200
STARTS: Final = 5
CALLS: Final = {"auth.refresh_token": "refresh", "auth.aid_login2": "login", "auth.connect": "connect"}
HEAD: Final = ("case", "the client's calls", "how it ends there", "freshd's calls", "how it ends here", "row")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the client asked for since the strike, by method; sessions opened since; spent tokens presented."""

    calls: Mapping[str, int]
    sessions: int
    replays: int
    ends: str

    @property
    def text(self) -> str:
        calls = (call for name, call in CALLS.items() for _ in range(self.calls.get(name, 0)))
        return counted(calls)


Play = Callable[[Reference], Awaitable[str]]
CUT_OFF: Final = Kick(code=1006, event=False)


def revoked(client: Reference, what: Thing) -> None:
    client.stand.levers.revoke(AID, what, None, time.time())


async def given_up(client: Any) -> None:  # noqa: ANN401 - the library is not typed
    await soon(lambda: client.state == aun_core.ConnectionState.CONNECTION_FAILED)


async def short_life(client: Reference) -> str:
    client.set(ACCESS_TTL_S=SHORT_LIFE_SECONDS)
    await client.ready()
    began = time.monotonic()
    await soon(lambda: client.calls("auth.refresh_token") >= STORM)
    return f"goes on: {STORM} in {time.monotonic() - began:.1f} s"


async def chain_used_up(client: Reference) -> str:
    client.set(ACCESS_TTL_S=SHORT_LIFE_SECONDS, CHAIN_REFRESHES=0)
    await client.ready()
    await soon(lambda: client.tally.refused.get("-32005", 0) >= STORM)
    return "asks again for ever, says ready"


async def told_to_log_in(client: Reference) -> str:
    client.set(ACCESS_TTL_S=SHORT_LIFE_SECONDS, CHAIN_REFRESHES=0, CHAIN_END="result")
    await client.ready()
    await soon(lambda: client.calls("auth.refresh_token") == 1 and not client.stand.aun.hub.sessions)
    return "without a session, says ready"


async def both_revoked(client: Reference) -> str:
    one = await client.ready(retry_max_attempts=ATTEMPTS)
    revoked(client, Thing.TOKENS)
    client.stand.levers.kick(CUT_OFF)
    await soon(lambda: client.tally.sessions == 2 or one.state == aun_core.ConnectionState.CONNECTION_FAILED)
    return "back" if client.tally.sessions == 2 else f"gives up after {ATTEMPTS} tries"


async def dead_token(client: Reference) -> str:
    one = await client.ready(retry_max_attempts=ATTEMPTS)
    revoked(client, Thing.ACCESS)
    client.stand.levers.kick(CUT_OFF)
    await given_up(one)
    return f"the dead token at each of {ATTEMPTS} tries"


async def every_token_refused(client: Reference) -> str:
    one = await client.ready(retry_max_attempts=ATTEMPTS)
    line = {"operation": "auth.connect", "code": 4001, "message": "token revoked", "close": 4001}
    client.stand.aun.state.script.add_json(line)
    client.stand.levers.kick(CUT_OFF)
    await given_up(one)
    return f"a refresh at each of {ATTEMPTS} tries"


async def closed_without_answer(client: Reference) -> str:
    one = await client.ready(retry_max_attempts=4, call_timeout=0.2)
    client.set(CONNECT_DENIAL="close")
    revoked(client, Thing.ACCESS)
    client.stand.levers.kick(CUT_OFF)
    await given_up(one)
    return "the dead token at each of 4 tries, 35 s apart"


async def started_anew(client: Reference) -> str:
    await (await client.ready()).close()
    revoked(client, Thing.ACCESS)
    for _ in range(STARTS):
        with contextlib.suppress(aun_core.AuthError):
            await client.start().connect({})
    return f"each of {STARTS} starts fails"


async def login_without_refresh_token(client: Reference) -> str:
    client.set(LOGIN_TOKENS="no_refresh")
    for _ in range(STARTS):
        await (await client.ready()).close()
    return f"a login at each of {STARTS} starts"


async def lost_answer(client: Reference) -> str:
    client.running.faults.add(LostAfterCommit(), Scope(endpoint="auth.refresh_token"), count=1)
    client.set(ACCESS_TTL_S=SHORT_LIFE_SECONDS)
    await client.ready()
    await soon(lambda: client.counters.doubtful_replays)
    return "the spent token again, which ends the chain"


CASES: Final[Mapping[str, tuple[Play, str]]] = {
    "a life below the lead": (short_life, "life-below-a-usual-lead"),
    "the chain is used up, told as -32005": (chain_used_up, "chain-used-up"),
    "the chain is used up, told as a result": (told_to_log_in, "chain-used-up-as-result"),
    "both tokens revoked, session cut": (both_revoked, "both-revoked-session-cut"),
    "access token revoked; answered and closed": (dead_token, "revoked-answered-and-closed"),
    "every token refused": (every_token_refused, "every-token-refused"),
    "access token revoked; closed without an answer": (closed_without_answer, "revoked-closed-without-answer"),
    "started anew with a revoked token": (started_anew, "restart-with-a-revoked-token"),
    "a login brings no refresh token": (login_without_refresh_token, "login-without-refresh-token"),
    "a refresh's answer is lost": (lost_answer, "refresh-lost-after"),
}
"""Case → what the client does, and freshd's row."""
ROWS: Final = frozenset(name for _, name in CASES.values())


async def _seen(play: Play, home: Path) -> Seen:
    settings = Settings(now=time.time, seed=1, stands=("freshd.sandbox.aun.service:mount",))
    async with await start(settings) as running, Reference(running, home) as client:
        await client.register()
        ends = await play(client)
        calls = {name: client.calls(name) for name in CALLS}
        replays = client.counters.doubtful_replays + client.counters.spent_uses
        return Seen(calls, client.tally.sessions, replays, ends)


def lived() -> dict[str, Seen]:
    """All cases with the client, one after the other."""
    core = aun_core.client
    usual = core._TOKEN_REFRESH_CHECK_INTERVAL
    core._TOKEN_REFRESH_CHECK_INTERVAL = 0.001  # it looks every 30 s whether a token has to be refreshed
    try:
        talk = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(talk), contextlib.redirect_stderr(talk):
            warnings.filterwarnings("ignore", "ConnectionClosed.code is deprecated", DeprecationWarning)
            return {case: _alone(play) for case, (play, _) in CASES.items()}
    finally:
        core._TOKEN_REFRESH_CHECK_INTERVAL = usual


def _alone(play: Play) -> Seen:
    with TemporaryDirectory() as home:
        return asyncio.run(_seen(play, Path(home)))


def table(title: str, seen: Mapping[str, Seen], rows: Mapping[str, Row]) -> str:
    """Both beside each other, as Markdown.  The client's calls are those of its whole life, its first login too."""
    lines = [f"## {title}", "", _line(HEAD), _line("---" for _ in HEAD)]
    for case, (_, name) in CASES.items():
        row, one = rows[name], seen[case]
        *_, calls, gap, reason, _remedy, _spent, _sms = row.cells()
        here = f"healed by {row.healed}, gap {gap} s" if row.healed else f"told: {reason}"
        replays = f"; {one.replays} spent token presented" if one.replays else ""
        lines.append(_line((case, one.text, one.ends + replays, calls, here, name)))
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
