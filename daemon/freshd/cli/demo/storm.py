"""The storm: for a while no service renews anything; an act of `script`.

Most answer 503, with a gateway's bare page or in their own words; AUN says that it is in trouble, which may come after
it acted.  GeniusAuth has lost sight of its store of logins
instead, and says of each that it is dead (31): what several accounts are told at once is not believed of any of them.
It comes back once each was told so, for a renewal that is not due during the storm would meet nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from freshd.cli.demo.cast import AUN, FEISHU, GENIUS, Role, lives_of
from freshd.cli.demo.props import Props
from freshd.cli.demo.service import Service

Undo = Callable[[], object]

STORM_S: Final = 4.0
"""In the usual run.  A strict account holds its one replay back for half of its margin, 4.2 s at the least."""
STORE_MOST_S: Final = 8.0
"""How long GeniusAuth waits for the last account's renewal: longer than any life is between two."""
DEAD: Final = 31
TROUBLE: Final = -32603
AUN_CALLS: Final = ("auth.refresh_token", "auth.aid_login1")
"""What an agent may ask for a token with."""
LOOK_S: Final = 0.05


def storm(props: Props) -> None:
    """No renewal works, then all do."""
    service, roles = props.stage.service, props.stage.roles
    length = STORM_S * lives_of(props.scale)
    since = time.time()
    ends = [undo for role in roles for undo in _break(service, role)]
    orders = [] if props.sabotage == "no-store" else _lose_the_store(props)
    props.say(f"FAULT  a storm: for {length:.1f} s nothing is renewed; GeniusAuth says of each login that it is dead")
    time.sleep(length)
    for undo in ends:
        undo()
    props.storms.append((since, time.time()))
    if props.sabotage != "store-for-ever":
        _wait_until_told(props)
        for order in orders:
            service.ask("DELETE", f"/geniusauth/orders?id={order}")
    props.say("       the storm is over")


def _break(service: Service, role: Role) -> Iterator[Undo]:
    """How the service itself, or something before it, says that it cannot just now; and how that ends."""
    if role.kind == AUN:
        for call in AUN_CALLS:
            wish = {"operation": call, "aid": role.aid, "code": TROUBLE}
            line = service.ask("POST", "/aun/script", wish)["id"]
            yield partial(service.ask, "DELETE", f"/aun/script?id={line}")
    elif role.kind != GENIUS:
        yield partial(service.mend, service.break_it(**_fault(role)))


def _fault(role: Role) -> dict[str, Any]:
    if role.kind == FEISHU:
        return {"fault": "feishu_code", "code": 20072, "label": role.label}
    if role.own_word:
        return {"fault": "oauth_error", "error": "temporarily_unavailable", "status": 503, "label": role.label}
    return {"fault": "status", "status": 503, "label": role.label}


def _lose_the_store(props: Props) -> list[int]:
    """GeniusAuth tells each of its accounts once, or for ever, that its login is dead; the orders' numbers."""
    count = None if props.sabotage == "store-for-ever" else 1
    orders = []
    for role in props.stage.roles:
        if role.kind == GENIUS:
            props.strike("store", role.name)
            wish = {"code": DEAD, "operation": "refresh", "label": role.label, "count": count}
            orders.append(int(props.stage.service.ask("POST", "/geniusauth/orders", wish)["id"]))
    return orders


def _wait_until_told(props: Props) -> None:
    waiting = {name: at[-1] for name, at in props.struck.get("store", {}).items()}
    give_up_at = time.monotonic() + STORE_MOST_S
    while waiting and not props.stage.is_down and time.monotonic() < give_up_at:
        time.sleep(LOOK_S)
        for event in list(props.stage.events):
            name = str(event.get("account"))
            if event.get("event") == "refresh.rejected" and event["at"] > waiting.get(name, event["at"]):
                del waiting[name]
