"""freshd explain: one account in sentences.  Everything comes from the daemon's memory and journal (I8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click

from freshd.cli.options import Scene, account, as_json, examples, on_scene
from freshd.cli.output import dump, moments, plain, say, span, until
from freshd.cli.status import phase_of
from freshd.clock import SystemClock

Health = Mapping[str, Any]
LINES: Final = 8
MEANING: Final = {
    "vacant": "It holds no grant and no token.",
    "live": "All is well: it holds what it renews with.",
    "spending": "A call that may spend its grant is under way.",
    "unsaved": "The service has answered, and the answer is not safely stored yet; nothing is published until it is.",
    "doubtful": "A call went out and its answer is lost: nobody knows whether the grant was spent.",
    "climbing": "The usual way to renew was refused; the next one is being taken.",
    "parked": "Nothing is tried until a person, a changed configuration or a date helps.  All secrets are kept.",
    "paused": "An operator paused it: what is there is served, nothing is renewed.",
    "retired": "It is no longer in the configuration.  Its record is kept.",
}


@click.command(epilog=examples("freshd explain work-mail", "freshd explain work-mail --lines 40"))
@account
@click.option("--lines", type=click.IntRange(0, 1000), default=LINES, show_default=True, help="Attempts to show.")
@as_json
@on_scene
def explain(scene: Scene, account: str, lines: int, json: bool) -> None:
    """Say why an account is as it is: state, reason, last attempts, next step, remedy.

    Nothing is spent and no service is asked.
    """
    daemon = scene.daemon()
    found = daemon.account(account)
    history = daemon.history(account)[-lines:] if lines else ()
    if json:
        dump({**found, "history": list(history)})
        return
    now = SystemClock().now().wall
    for title, text in sentences(found, now):
        say(f"{title:<9} {text}")
    for line in _attempts(history, now):
        say(line)
    say(f"{'remedy':<9} {plain(found.get('remedy') or 'nothing to do')}")


def sentences(found: Health, now: float) -> Iterator[tuple[str, str]]:
    """What there is to say about an account, with a word before each."""
    yield "account", f"{plain(found.get('account'))} ({plain(found.get('kind'))})"
    reason = f": {plain(found['reason'])}" if found.get("reason") else ""
    yield "state", phase_of(found) + reason
    flag = next((name for name in ("retired", "paused") if found.get(name)), found.get("phase"))
    yield "meaning", MEANING.get(str(flag), "")
    yield "token", _token(found, now)
    if found.get("deadline") is not None:
        yield "grant", _grant(found, now)
    if found.get("doubtful_since") is not None:
        yield "doubt", f"since {moments(found['doubtful_since'], now)}"
    if not found.get("settled", True):
        yield "keyring", "does not hold the newest grant yet; the journal does, sealed"
    yield "last", f"{plain(found.get('last_outcome') or '-')}; renewed {found.get('refreshes')} times since the start"
    if found.get("unproven"):
        yield "proof", plain(found["unproven"])
    if found.get("detail"):
        yield "detail", plain(found["detail"])
    for name, is_there in (found.get("stock") or {}).items():
        yield "stock", f"{plain(name)}: {'one, unspent' if is_there else 'none'}"
    yield "next", _next(found, now)


def _grant(found: Health, now: float) -> str:
    """When it ends, and whether renewing puts that off."""
    ends = f"ends {moments(found['deadline'], now)}"
    if found.get("deadline_is_final"):
        return f"{ends}, whatever is renewed; a person is needed by then"
    return f"{ends} if it is not renewed by then"


def _token(found: Health, now: float) -> str:
    at = found.get("usable_until")
    if at is None:
        return "none"
    if at <= now:
        return f"ended {until(at, now)}"
    return f"usable for {span(at - now)}, generation {found.get('generation')}"


def _next(found: Health, now: float) -> str:
    at = found.get("next_refresh_at")
    if at is None:
        return "nothing is planned"
    return f"renews {moments(at, now)}" if at > now else "renews as soon as its pace allows"


def _attempts(history: Sequence[Mapping[str, Any]], now: float) -> Iterator[str]:
    if history:
        yield "attempts"
    for line in history:
        detail = f"  {plain(line['detail'])}" if line.get("detail") else ""
        when = moments(float(line.get("at", 0.0)), now)
        yield (
            f"  {when}  {plain(line.get('rung'))}: {plain(line.get('outcome'))}"
            f", generation {line.get('generation')}{detail}"
        )
