"""What is done to Futu accounts, scene by scene.  What is expected of it stands in `test_futu_scenarios`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.flow.bed import Bed, until
from tests.flow.door import call
from tests.flow.futu_stage import Scene, Stage, play
from tests.flow.scenarios import Rows
from tests.flow.trader import Trader, login

Strike = Callable[[Stage, str], None]
DIARIES: Final[dict[str, list[str]]] = {}
"""Scene → what its own consumer met."""
CODES_SPENT: Final = 2
"""No more than that: from the third on the daemon stops replacing them, which a test of its own shows."""
PARKED: Final = "account.parked"


def ordered(operation: str, broker: str = "hk", **line: object) -> Strike:
    def strike(stage: Stage, name: str) -> None:
        stage.order(name, operation, broker, **line)

    return strike


def harmed(how: str, what: str, broker: str = "hk", **more: object) -> Strike:
    def strike(stage: Stage, name: str) -> None:
        stage.harm(name, how, what, broker, **more)

    return strike


def answer_lost(operation: str) -> Strike:
    def strike(stage: Stage, name: str) -> None:
        stage.fault(name, operation)

    return strike


def login_answers(code: int) -> Strike:
    def strike(stage: Stage, name: str) -> None:
        stage.order(name, "authority", code=code)
        stage.log_in(name)

    return strike


def login_brings_no_signature(stage: Stage, name: str) -> None:
    stage.order(name, "authority", spoil="empty_web_sig")
    stage.log_in(name)


def login_lost(stage: Stage, name: str) -> None:
    stage.fault(name, "authority")
    stage.log_in(name)


def another_machine(stage: Stage, name: str) -> None:
    """The same record in a second daemon, which logs in first; the service looks at tickets that were replaced."""
    stage.service.ask("PATCH", "/futu/constants", {"uid": stage.uids[name], "FUTU_SIM_OLD_TICKET_CHECKED": True})
    folder = stage.bed.folder / "other"
    folder.mkdir()
    with Bed(folder) as other:
        scene = Scene(name, another_machine)
        other.write(*stage.lines(scene))
        process = other.up()
        process.operate("import", name, secrets=stage.record(name))
        until("the other's login", lambda: other.token(name, "--wait", "5").code == 0)
        stage.rest(name)
        process.operate("refresh", name)
        process.stop()
    stage.log_in(name)


def connection_refuses(stage: Stage, name: str) -> None:
    """A program holds the trading connection; its signature is spoilt and the line cut."""
    with Trader(str(stage.bed.socket), f"{name}-hk", stage.service.trade_url) as trader:
        until("the trader is in", lambda: "logged in" in trader.diary)
        stage.order(name, "trade_login", "hk", code=990005)
        stage.service.ask("POST", "/futu/kick", {"uid": stage.uids[name], "broker_id": 1001})
        until("the trader is in again", lambda: trader.diary.count("logged in") == 2 or None)
    DIARIES[name] = trader.diary


def consumer_spends(stage: Stage, name: str) -> None:
    """A program that exchanges codes itself: takes one, spends it, says so, and takes the next."""
    diary = DIARIES[name] = []
    for _ in range(CODES_SPENT):
        lease = stage.process.ask("GET", f"/v1/tokens/{name}-us?wait=10&min_ttl=0")
        wish = {
            "uid": int(lease["uid"]), "auth_code": lease["access_token"], "device_id": lease["device_id"],
            "broker_id": int(lease["broker_id"]),
        }  # fmt: skip
        _, answer = call(stage.service.issuer, "POST", "/broker_auth/client_auth", json.dumps(wish))
        made: dict[str, Any] = answer["result"]
        code, line = login(
            stage.service.trade_url, {**made, "broker_id": 1007, "access_token": made["broker_client_sig"]}
        )
        line.close()
        diary.append(f"login {code}")
        told = {"fingerprint": lease["fingerprint"], "code": "spent"}
        diary.append(str(stage.process.ask("POST", f"/v1/tokens/{name}-us/refused", told)["outcome"]))
        until("the next code", lambda lease=lease: _is_other(stage, name, lease["fingerprint"]))  # type: ignore[misc]


def _is_other(stage: Stage, name: str, fingerprint: str) -> bool:
    return bool(stage.process.view(f"{name}-us")["fingerprint"] != fingerprint)


SCENES: Final = (
    Scene("code-expired", harmed("expire", "auth_code"), trouble="refresh.rejected"),
    Scene("20029-once", harmed("void", "customer_id", count=1), trouble="lease.withdrawn"),
    Scene("20029-for-ever", harmed("void", "customer_id", count=None), ends=PARKED),
    Scene("no-web-signature", login_brings_no_signature, trouble="relative.asked"),
    Scene("code-empty", ordered("repull", spoil="empty_auth_code"), trouble="refresh.lost", rung="repull"),
    Scene("time-zero", ordered("repull", spoil="zero_invalid_time"), trouble="refresh.lost", rung="repull"),
    Scene("other-broker", ordered("repull", spoil="other_broker"), trouble="refresh.lost", rung="repull"),
    Scene("other-uid", ordered("repull", spoil="other_uid"), trouble="identity.wrong", ends=PARKED),
    Scene("repull-lost", answer_lost("repull"), trouble="refresh.lost", rung="repull"),
    Scene("exchange-lost", answer_lost("broker_auth"), trouble="climb.started"),
    Scene("login-lost", login_lost, "", "doubt.opened", "refresh.succeeded", "refresh"),
    Scene("login-20", login_answers(20), "", ends=PARKED),
    Scene("login-33", login_answers(33), "", ends=PARKED),
    Scene("login-2", login_answers(2), "", ends=PARKED),
    Scene("login-11", login_answers(11), "", ends=PARKED),
    Scene("two-machines", another_machine, "", ends=PARKED),
    Scene("signature-refused", harmed("void", "broker_client_sig"), trouble="lease.refused"),
    Scene("trading-connection", connection_refuses, trouble="lease.refused", readers=("us",)),
    Scene(
        "code-handed-out",
        consumer_spends,
        "us",
        "lease.refused",
        rung="repull",
        readers=("hk",),
        keys={"us": 'hand_out = "code"'},
    ),
)


def lived(folder: Path) -> Rows:
    """All of it."""
    return play(folder, SCENES)
