"""What an account of an agent may say, and what is told of what it must not."""

from pathlib import Path
from typing import Any

import pytest

from freshd.config import Surroundings, load
from freshd.core.problem import spell
from freshd.providers.aun.agent import ladder_of
from freshd.providers.aun.names import aid_problem
from freshd.providers.aun.options import Schema
from freshd.providers.profiles import packaged
from tests.config_schema import KINDS
from tests.unit.providers.aun_parts import KEYS, options
from tests.unit.providers.aun_pki import AID

CONFIG = Path(__file__).parents[3] / "config"


def problems(**keys: Any) -> dict[str, str]:
    return {spell(one.key): one.wrong for one in Schema().parse("a", {**KEYS, **keys}).problems}


def test_the_usual_account_says_two_things() -> None:
    made = options()
    assert made.auth_service == "auth.example.test"
    assert made.places == (
        "https://alice01.example.test/.well-known/aun-gateway",
        "https://gateway.example.test/.well-known/aun-gateway",
    )
    assert (made.binding.kind, made.binding.origin, made.binding.client_id) == ("aun", "https://example.test", AID)


def test_a_grant_belongs_to_the_place_it_is_used_at() -> None:
    fixed = options(gateway="ws://127.0.0.1:9000/aun").binding
    looked = options(discovery="http://127.0.0.1:9000/").binding
    assert {fixed.origin, looked.origin, options().binding.origin} == {
        "ws://127.0.0.1:9000", "http://127.0.0.1:9000", "https://example.test",
    }  # fmt: skip
    assert options(discovery="http://127.0.0.1:9000/").places == ("http://127.0.0.1:9000/.well-known/aun-gateway",)


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"aid": "alice01"}, "aid"),
        ({"aid": "Alice01.example.test"}, "aid"),
        ({"roots": "roots.pem"}, "roots"),
        ({"ca_file": "ca.pem"}, "ca_file"),
        ({"gateway": "ws://gw.example.test/aun"}, "gateway"),
        ({"gateway": "https://gw.example.test/aun"}, "gateway"),
        ({"discovery": "http://example.test"}, "discovery"),
        ({"discovery": "https://user@example.test"}, "discovery"),
        ({"gateway": "wss://gw.example.test/", "discovery": "https://example.test"}, "discovery"),
        ({"device_id": "dev 1"}, "device_id"),
        ({"slot": "/app"}, "slot"),
        ({"chain_refreshes": 0}, "chain_refreshes"),
        ({"deadline": 31.0}, "deadline"),
        ({"private_key": "secret"}, "private_key"),
    ],
)
def test_what_cannot_be_is_told_by_its_key_and_never_by_its_value(keys: dict[str, Any], key: str) -> None:
    found = problems(**keys)
    assert key in found
    assert not any(str(value) in " ".join(found.values()) for value in keys.values())


@pytest.mark.parametrize(
    ("aid", "is_good"),
    [
        ("alice01.example.test", True),
        ("a_b-c.example.test", True),
        ("abcd.example.co.uk", True),
        (f"{'a' * 64}.example.test", True),
        (f"{'a' * 65}.example.test", False),
        ("abc.example.test", False),
        ("-abcd.example.test", False),
        ("guest01.example.test", False),
        ("alice01.test", False),
        ("alice01..test", False),
        ("alice01.-x.test", False),
        ("alice01.example.test/x", False),
        ("", False),
    ],
)
def test_how_agents_are_called(aid: str, is_good: bool) -> None:
    assert (aid_problem(aid) is None) is is_good


def test_every_rung_has_a_pace_and_a_login_is_free() -> None:
    ladder = ladder_of(options())
    assert [rung.name for rung in ladder] == [
        "refresh", "login", "settle-key", "renew", "create", "adopt-certificate", "rekey",
    ]  # fmt: skip
    assert all(rung.pace.interval >= 30 for rung in ladder)
    assert [rung.name for rung in ladder if rung.is_free] == ["login", "settle-key", "renew"]
    assert all(rung.spends for rung in ladder)


def test_the_example_is_valid(tmp_path: Path) -> None:
    here = Surroundings({"XDG_STATE_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}, uid=1000)
    settings = load(CONFIG / "aun.toml", KINDS, packaged(), here)
    [account] = settings.accounts
    assert (account.kind, account.profile.name) == ("aun", "aun")
    lead = account.margins.fraction * (1 + account.margins.jitter)
    assert lead <= 0.5
