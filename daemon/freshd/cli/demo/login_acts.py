"""What goes wrong where freshd logs in by itself, at AUN and at CloudBase: acts of `script`."""

from __future__ import annotations

import time
from typing import Final

from freshd.cli.demo.cast import AUN, CUSTOM, Role
from freshd.cli.demo.props import Props

DEAD_TOKEN: Final = 4001
TAKEN: Final = 4009
STRANGERS: Final = 3
"""Of a sabotage: so many within one life are not fought any more."""


def end_the_session(props: Props) -> None:
    """The gateway ends the agent's login and takes its access token for revoked; a refresh helps."""
    role = _agent(props)
    props.wait_for_calm(role.name)
    _revoke(props, role)
    _kick(props, role)
    props.say(f"FAULT  {role.name}'s access token is revoked, and the gateway has ended its login (4001)")


def end_the_chain(props: Props) -> None:
    """The gateway ends the login once more, and the refresh token is over: only a login with the key helps.

    The access token lives: a heal with two halves of a login takes longer than one with a refresh.
    """
    role = _agent(props)
    if props.sabotage == "slot-taken":
        props.stage.service.ask("POST", "/aun/kick", {"aid": role.aid, "code": TAKEN})
        props.say(f"SABOTAGE  somebody else has logged in at the gateway in the slot of {role.name} (4009)")
        return
    props.stage.service.ask("POST", "/aun/expire", {"aid": role.aid, "what": "refresh"})
    _kick(props, role)
    props.say(f"FAULT  {role.name}'s refresh token is over, and the gateway has ended its login again (4001)")


def sign_in_elsewhere(props: Props) -> None:
    """Somebody else signs in with the account: the service ends freshd's session, and tells nobody."""
    role = next(one for one in props.stage.roles if one.method == CUSTOM)
    props.strike("stranger", role.name)
    props.stage.service.ask("POST", "/cloudbase/stranger", {"label": role.label})
    props.say(f"FAULT  somebody else has signed in at CloudBase as {role.name}, which ends its session unseen")


def fight(props: Props) -> None:
    """Sabotage: whoever else signs in does so again whenever freshd has.

    The token goes with the session, so that a reader's refusal brings freshd's next sign-in at once, not its schedule.
    """
    role = next(one for one in props.stage.roles if one.method == CUSTOM)
    props.say(f"SABOTAGE  somebody else signs in at CloudBase as {role.name}, {STRANGERS} times in a row")
    for _ in range(STRANGERS):
        before = len(props.stage.service.page(role.label)["commits"])
        props.stage.service.ask("POST", "/cloudbase/stranger", {"label": role.label})
        token, at = props.stage.service.revoke(role.name), time.time()
        props.voided.update({} if token is None else {token: at})
        give_up_at = time.monotonic() + role.life_s
        while time.monotonic() < give_up_at and len(props.stage.service.page(role.label)["commits"]) == before:
            time.sleep(0.05)


def _agent(props: Props) -> Role:
    return next(role for role in props.stage.roles if role.kind == AUN)


def _revoke(props: Props, role: Role) -> None:
    commits = props.stage.service.page(role.label)["commits"]
    at = time.time()
    props.stage.service.ask("POST", "/aun/revoke", {"aid": role.aid, "what": "access"})
    props.voided.update({str(commit["access"]): at for commit in commits[-1:]})


def _kick(props: Props, role: Role) -> None:
    props.strike("session", role.name)
    props.stage.service.ask("POST", "/aun/kick", {"aid": role.aid, "code": DEAD_TOKEN})
