"""How a reader tries its token at each service, against the sandbox itself."""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from freshd.cli.demo.cast import FEISHU, FUTU, OAUTH2, Role, cast
from freshd.cli.demo.child import Child
from freshd.cli.demo.evidence import Met
from freshd.cli.demo.openings import open_all
from freshd.cli.demo.proofs import till_of
from freshd.cli.demo.service import Service
from freshd.client import Token

ROLES = cast(40)
START_SECONDS = 30.0


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    spoken: list[str] = []
    has_spoken = threading.Event()

    def hear(line: str) -> None:
        spoken.append(line)
        has_spoken.set()

    sandbox = Child([sys.executable, "-m", "freshd.sandbox"], hear)
    try:
        assert has_spoken.wait(START_SECONDS)
        told = json.loads(spoken[0])
        yield Service(told["base_url"], told["control_url"], told["trade_url"])
    finally:
        sandbox.stop()


def one_of(kind: str) -> Role:
    return next(role for role in ROLES if role.kind == kind)


def token(role: Role, value: str, **fields: object) -> Token:
    now = time.time()
    members = {"account": role.name, "access_token": value, "expires_at": int(now) + 60, "expires_in": 60.0}
    return Token({**members, "generation": 1, "fingerprint": "f", **fields})


def test_a_token_of_a_feishu_user_is_judged_by_the_code_in_the_answer(service: Service) -> None:
    role = one_of(FEISHU)
    open_all(service, [role], 1.0)
    pair = service.ask("POST", "/feishu/mint", {"label": role.label, "app_id": role.app_id})["grants"][0]
    held = token(role, pair["access_token"])
    with contextlib.closing(till_of(role, service)) as till:
        assert till.try_out(held).met is Met.GOOD
        service.ask("POST", "/revoke_access", {"label": role.label})
        refused = till.try_out(held)
    assert (refused.met, refused.code) == (Met.REFUSED, "99991668")


def test_a_token_that_nobody_gave_out_is_refused(service: Service) -> None:
    with contextlib.closing(till_of(one_of(OAUTH2), service)) as till:
        assert till.try_out(token(one_of(OAUTH2), "at-none")).met is Met.REFUSED


@pytest.mark.parametrize("fields", [{"uid": "90000001"}, {"broker_id": "1001", "customer_id": "7"}, {"broker_id": "x"}])
def test_a_signature_that_nobody_gave_out_is_refused_with_a_number(service: Service, fields: dict[str, str]) -> None:
    with contextlib.closing(till_of(one_of(FUTU), service)) as till:
        refused = till.try_out(token(one_of(FUTU), "c2ln", **fields))
    assert refused.met is Met.REFUSED
    assert refused.code not in (None, "0")


def test_what_does_not_answer_proves_nothing() -> None:
    nowhere = Service("http://127.0.0.1:9", "http://127.0.0.1:9", "tcp://127.0.0.1:9")
    for kind in (OAUTH2, FEISHU, FUTU):
        with contextlib.closing(till_of(one_of(kind), nowhere)) as till:
            assert till.try_out(token(one_of(kind), "x")).met is Met.UNSURE
