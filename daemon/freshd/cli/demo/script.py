"""What goes wrong, and when: one act after the other over the length of the run.

| share of the run | act |
|---|---|
| 5 % | the code that `futu-hk` has in stock ends; the next time that `futu-us` asks for one it is told 20029 |
| 5 % | an answer each is lost after the service's commit: `chat`, `photos`, `deploy-bot` can recover, `bank` cannot |
| 28 % | `futu-hk` cuts its trading connections and refuses the signature in use |
| 28 % | somebody else signs in as `cloud-bot`, which ends its session |
| 29 % | the services revoke the tokens of `mail` and `backup`, then of `metrics-bot` and `feishu-user` |
| 31 % | `agent`'s access token is revoked, and its gateway login is ended |
| 32 % | the services revoke the tokens of `kiosk` and `cloud-guest` |
| 38 % | kill -9 while `crm` is waiting for an answer that the service has committed; restart |
| 60 % | a storm: nothing is renewed anywhere, see `storm` |
| 88 % | `agent`'s refresh token is over, and its gateway login is ended once more |
| 88 % | the service revokes the token of `files`: the restarted daemon heals too |

These are the earliest moments.  A fault begins when the one before it is over and every account that is still at work
has been renewed since: on a busy machine the run takes longer, and no two troubles add up to one that nobody survives.
Where leases are made on demand, that means a lease in hand and a code in stock.  Two faults at one moment strike
different accounts.

The kill waits, for at most three seconds, until no strict account that only a person could help is about to renew, nor
the login at Futu: between the service's commit and the escrow there is a window that no order of writes can close.  How
wide it is, the kill table measures (`scripts/crash`); here it would add a second parked account to one run in some
hundred, and teach nothing.

A sabotage leaves an act out, or adds one that must turn the verdict.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from freshd.cli.demo import broker_acts, login_acts
from freshd.cli.demo.cast import CLIENT, FEISHU, GENIUS, OAUTH2, Role
from freshd.cli.demo.monitor import Monitor
from freshd.cli.demo.props import Act, Props
from freshd.cli.demo.storm import storm
from freshd.client import ClientError

SABOTAGE: Final = {
    "no-kill": "the daemon is not killed",
    "no-restart": "the killed daemon is not started again",
    "no-storm": "there is no storm",
    "no-loss": "no answer is lost for good",
    "no-revocation": "no token is revoked",
    "pause": "an operator pauses photos, whose lease then ends",
    "second-writer": "another program presents calendar's first refresh token, which is long spent",
    "no-expiry": "no broker's code expires",
    "no-20029": "no broker is told 20029",
    "20029-for-ever": "the broker that is told 20029 never gets a code again",
    "no-cut": "no trading connection is cut",
    "deaf": "the programs that hold trading connections do not report what is refused",
    "second-login": "another program logs in at Futu, twice in a row",
    "second-feishu": "another program presents feishu-user's first refresh token, which is long spent",
    "no-store": "GeniusAuth's store does not fail",
    "store-for-ever": "GeniusAuth's store fails for good",
    "no-session": "no gateway ends a login",
    "slot-taken": "somebody else logs in at the gateway in the agent's slot",
    "no-stranger": "nobody else signs in at CloudBase",
    "no-rotation": "the MQTT broker's password does not change with the token",
    "wrong-password": "the MQTT broker's password changes into something else than the token",
    "fight": "somebody else signs in at CloudBase again whenever freshd has",
}
QUIET_S: Final = 0.4
QUIET_MOST_S: Final = 3.0
FLIGHT_S: Final = 6.0
SAME_TOKEN_S: Final = 1.1
"""GeniusAuth gives the same token out again within a second."""
APART_S: Final = 1.0
"""As long as a heal may take: not everybody heals at one and the same moment."""
LOOK_S: Final = 0.02
DOWN_S: Final = 0.3
"""As long as a service manager takes to start a daemon again."""

OFTEN_S: Final = 6.0
"""Nobody waits for the next renewal of an account that is renewed more seldom."""
RECOVERY_S: Final = 12.0
"""Longer than any life: what has not been renewed by then never will be."""


def acts(sabotage: str) -> Sequence[Act]:
    """The programme."""
    whole = [
        Act(0.05, "expiry", broker_acts.expire, settles=False),
        Act(0.05, "20029", broker_acts.refuse_a_code, settles=False),
        Act(0.05, "answers", lose_answers),
        Act(0.28, "cut", broker_acts.cut, settles=False),
        Act(0.28, "stranger", login_acts.sign_in_elsewhere, settles=False),
        Act(0.29, "revocation", _revoking("mail", "backup"), settles=False, apart=APART_S),
        Act(0.30, "revocation", _revoking("metrics-bot", "feishu-user"), settles=False, apart=APART_S),
        Act(0.31, "session", login_acts.end_the_session, settles=False, apart=APART_S),
        Act(0.32, "revocation", _revoking("kiosk", "cloud-guest"), apart=APART_S),
        Act(0.38, "kill", kill),
        Act(0.60, "storm", storm),
        Act(0.88, "session", login_acts.end_the_chain, settles=False),
        Act(0.88, "revocation", _revoking("files")),
    ]
    extra = {
        "pause": pause,
        "second-writer": present_again,
        "second-login": broker_acts.log_in_twice,
        "second-feishu": present_to_feishu,
        "fight": login_acts.fight,
    }
    if sabotage in extra:
        whole.append(Act(0.10, sabotage, extra[sabotage]))
    kept = [act for act in whole if sabotage != f"no-{act.name}"]
    return sorted(kept, key=lambda act: act.at)


def lose_answers(props: Props) -> None:
    """The service commits, and the connection closes without a byte."""
    service, names = props.stage.service, []
    for role in props.stage.roles:
        if role.name in ("chat", "photos", "deploy-bot") or (role.is_lost and props.sabotage != "no-loss"):
            service.break_it("lost_after_commit", label=role.name, count=1)
            names.append(role.name)
    props.say(f"FAULT  the service will commit the next renewal of {_and(names)} and lose its answer")


def _revoking(*names: str) -> Callable[[Props], None]:
    """The act that revokes the tokens of these."""
    return lambda props: revoke(props, names)


def revoke(props: Props, names: Sequence[str]) -> None:
    """The service refuses tokens that it gave out."""
    kinds = {role.name: role.kind for role in props.stage.roles}
    for name in names:
        if kinds[name] != OAUTH2:
            props.wait_for_calm(name, SAME_TOKEN_S if kinds[name] == GENIUS else 0.0)
        at = time.time()
        token = props.stage.service.revoke(name)
        if token is not None:
            (props.revoked if kinds[name] == OAUTH2 else props.voided)[token] = at
    props.say(f"FAULT  the service has revoked the tokens of {_and(names)}: their readers will meet 401 and report it")


def kill(props: Props) -> None:
    """SIGKILL with an exchange in the air, then a new daemon over the same state."""
    stage = props.stage
    _wait_for_quiet(props)
    _put_in_the_air(props, "crm")
    pid = stage.pid
    stage.kill_daemon()
    props.say(f"FAULT  kill -9 of the daemon, pid {pid}, while the answer to crm's renewal is on its way")
    if props.sabotage == "no-restart":
        return
    time.sleep(DOWN_S)
    stage.start_daemon()
    since, until = stage.downs[-1]
    props.say(f"       a new daemon, pid {stage.pid}, answers {until - since:.1f} s after the kill")


def pause(props: Props) -> None:
    """Sabotage: nobody renews, and the lease ends."""
    with contextlib.closing(props.stage.client()) as client:
        client.call("POST", "/v1/accounts/photos/pause", {})
    props.say("SABOTAGE  photos is paused")


def present_again(props: Props) -> None:
    """Sabotage: a second program owns a copy of the refresh token, and uses it."""
    status = props.stage.service.present(CLIENT, props.stage.openings["calendar"].grant["refresh_token"])
    props.say(f"SABOTAGE  another program has presented calendar's first refresh token: {status}")


def present_to_feishu(props: Props) -> None:
    """Sabotage: the same at Feishu, where it ends the whole grant."""
    role = next(role for role in props.stage.roles if role.kind == FEISHU)
    opening = props.stage.openings[role.name]
    wish = {"grant_type": "refresh_token", "client_id": role.app_id, "client_secret": opening.secret, **opening.grant}
    status = props.stage.service.present_to("/oauth/v3/token", wish)
    props.say(f"SABOTAGE  another program has presented {role.name}'s first refresh token: {status}")


def wait_for_renewals(props: Props, since: float) -> None:
    """Return when every account at work has been renewed after a moment, or RECOVERY_S later.

    Accounts that are renewed seldom, or on demand, have recovered when there is a lease, and a code in stock where one
    is kept.
    """
    waiting = {role.name for role in props.stage.roles if not role.is_on_demand and role.renews_every <= OFTEN_S}
    seldom = [role.name for role in props.stage.roles if role.name not in waiting]
    give_up_at = time.monotonic() + RECOVERY_S
    while not props.stage.is_down and time.monotonic() < give_up_at:
        time.sleep(LOOK_S)
        events = [event for event in props.stage.events if event["at"] > since]
        waiting -= {str(event.get("account")) for event in events if event.get("event") == "refresh.succeeded"}
        waiting -= {name for name in waiting if not props.monitor.is_at_work(name)}
        if not waiting and all(_has_recovered(props.monitor, name) for name in seldom):
            return


def _has_recovered(monitor: Monitor, account: str) -> bool:
    """Whether it has what it needs; also where nobody but a person can help."""
    is_whole = monitor.phase(account) == "live" and monitor.left(account) > 0 and monitor.is_stocked(account)
    return is_whole or not monitor.is_at_work(account)


def _wait_for_quiet(props: Props) -> None:
    strict = [role for role in props.stage.roles if role.contract in ("strict", "ticket") and not role.signs_in]
    give_up_at = time.monotonic() + QUIET_MOST_S
    while time.monotonic() < give_up_at and not all(_is_quiet(props.monitor, role) for role in strict):
        time.sleep(LOOK_S)


def _is_quiet(monitor: Monitor, role: Role) -> bool:
    if role.is_on_demand:
        return monitor.phase(role.name) == "live" and monitor.left(role.name) - role.asks_for_s > QUIET_S
    due = monitor.due(role.name)
    return monitor.phase(role.name) != "spending" and (due is None or due - time.time() > QUIET_S)


def _put_in_the_air(props: Props, name: str) -> None:
    """Have an account renewed with an answer that takes its time; return when the service has committed."""
    stage = props.stage
    before = len(stage.service.page(name)["commits"])
    stage.service.break_it("slow", seconds=FLIGHT_S, when="after", label=name, count=1)

    def force() -> None:
        with contextlib.closing(stage.client()) as client, contextlib.suppress(ClientError):
            client.call("POST", f"/v1/accounts/{name}/refresh", {}, wait=FLIGHT_S)

    threading.Thread(target=force, name="operator", daemon=True).start()
    give_up_at = time.monotonic() + FLIGHT_S / 2
    while len(stage.service.page(name)["commits"]) == before and time.monotonic() < give_up_at:
        time.sleep(LOOK_S)


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
