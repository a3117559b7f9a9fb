"""Every reason code comes to something, and a refused login to what every provider takes for a dead lease."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from freshd.channels.dialer import Why
from freshd.channels.mqtt import MqttDialer
from freshd.channels.mqtt_codes import of_goodbye, of_login, of_loss
from freshd.providers.aun.token import is_dead as aun
from freshd.providers.cloudbase.explain import is_dead as cloudbase
from freshd.providers.feishu.token import is_dead as feishu
from freshd.providers.futu.platform import is_refused as futu
from freshd.providers.geniusauth.provider import GeniusAuth
from freshd.providers.oauth2.provider import OAuth2

Judge = Callable[[int | None, str | None], bool]
JUDGES: list[Judge] = [
    aun, cloudbase, feishu, futu,
    lambda *words: OAuth2.is_dead(object.__new__(OAuth2), *words),
    lambda *words: GeniusAuth.is_dead(object.__new__(GeniusAuth), *words),
]  # fmt: skip


@pytest.mark.parametrize("code", range(256))
def test_every_code_comes_to_something_that_says_which(code: int) -> None:
    for ended in (of_login(code), of_goodbye(code)):
        assert ended.code == f"0x{code:02x}"
        assert ended.reason


@pytest.mark.parametrize(("code", "why"), [
    (0x86, Why.REFUSED), (0x87, Why.REFUSED), (0x85, Why.WRONG), (0x84, Why.WRONG), (0x88, Why.LOST), (0xEE, Why.LOST),
])  # fmt: skip
def test_a_refused_login(code: int, why: Why) -> None:
    assert of_login(code).why is why


@pytest.mark.parametrize(("code", "why"), [
    (0x87, Why.REFUSED), (0x8E, Why.KICKED), (0x98, Why.AGAIN), (0x8B, Why.LOST), (0x9D, Why.WRONG), (0xEE, Why.LOST),
])  # fmt: skip
def test_a_goodbye(code: int, why: Why) -> None:
    assert of_goodbye(code).why is why


def test_a_bare_close_may_be_a_kick_where_the_broker_has_no_words() -> None:
    assert of_loss().why is Why.LOST
    assert of_loss(may_be_kick=True).why is Why.AGAIN
    assert of_loss(late=True).code == "no-answer"


@pytest.mark.parametrize("code", [0x86, 0x87])
@pytest.mark.parametrize("is_dead", JUDGES)
def test_a_refused_login_means_a_dead_lease_to_every_provider(code: int, is_dead: Judge) -> None:
    assert MqttDialer.is_foreign
    assert is_dead(of_login(code).status, None)
