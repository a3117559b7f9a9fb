"""What goes wrong at Futu: acts of `script`, each for one broker."""

from __future__ import annotations

import time
from typing import Final

from freshd.cli.demo.cast import BROKER, FUTU, Role
from freshd.cli.demo.openings import UID
from freshd.cli.demo.props import Props

EXPIRES: Final = "futu-hk"
TOLD: Final = "futu-us"
LOOK_S: Final = 0.02
READY_MOST_S: Final = 5.0
READY_LEFT_S: Final = 0.5
"""Life beyond what readers ask for: a new lease that is on its way would not be struck."""


def expire(props: Props) -> None:
    """The code in stock ends; freshd cannot know before it presents it."""
    role = _ready(props, EXPIRES)
    at = time.time()
    if props.stage.service.expire(UID, role.broker_id):
        props.expired[role.name] = at
    props.say(f"FAULT  the code that {role.name} has in stock has expired at the service, before its time")


def refuse_a_code(props: Props) -> None:
    """The next repull is told that there is no valid customer id."""
    role = _ready(props, TOLD)
    count = None if props.sabotage == "20029-for-ever" else 1
    wish = {"operation": "repull", "uid": UID, "broker_id": role.broker_id, "code": 20029, "count": count}
    at = time.time()
    props.stage.service.ask("POST", "/futu/script", wish)
    props.told_no_cid[role.name] = at
    props.say(f"FAULT  the next time that {role.name} asks for a code it will be told 20029: no valid customer id")


def cut(props: Props) -> None:
    """What is open is cut, and the signature that it was logged in with is refused."""
    role, service = _ready(props, EXPIRES), props.stage.service
    signature, at = service.signature(UID, role.broker_id), time.time()
    connections = service.cut(UID, role.broker_id)
    if signature is not None:
        props.voided[signature] = at
    props.cut[role.name] = at
    props.say(
        f"FAULT  {role.name} has cut its {connections} trading connections, and refuses the signature from now on"
    )


def log_in_twice(props: Props) -> None:
    """Sabotage: another program has a copy of the ticket."""
    grant = props.stage.openings[FUTU].grant
    device = {"device_alias": "x", "device_type": "x", "os_ver": "x"}
    wish = {"uid": UID, "device_id": grant["device_id"], "tgtgt": grant["tgtgt"], **device}
    for _ in range(2):
        props.stage.service.present_to("/authority/", wish)
    props.say("SABOTAGE  another program has logged in at Futu, twice in a row")


def _ready(props: Props, name: str) -> Role:
    """The broker, once it has a code in stock and a lease that nobody is about to replace; or READY_MOST_S later."""
    role = next(one for one in props.stage.roles if one.name == name and one.kind == BROKER)
    give_up_at = time.monotonic() + READY_MOST_S * props.scale
    while time.monotonic() < give_up_at and not _is_ready(props, role):
        time.sleep(LOOK_S)
    return role


def _is_ready(props: Props, role: Role) -> bool:
    monitor = props.monitor
    has_time = monitor.left(role.name) > role.asks_for_s + READY_LEFT_S
    return monitor.phase(role.name) == "live" and monitor.is_stocked(role.name) and has_time
