"""What the vendor's own client library does against the sandbox: it is believed by it, and its storms are counted.

The second half is no judgement of freshd but the measure beside it: each test shows a case in which the library spends
calls without end, or stops for good. The numbers are bounds, reached in a second.
"""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freshd.sandbox.aun.levers import Kick, Thing
from freshd.sandbox.aun.pki import Curve, Flaw
from freshd.sandbox.endings import LostAfterCommit
from freshd.sandbox.fault_queue import Scope
from freshd.sandbox.server import Settings, start
from tests.flow.aun_client import AID, Reference, aun_core
from tests.flow.bed import soon

# The library reads close codes in a way that its own dependency calls old; as an error that would kill its reader.
pytestmark = pytest.mark.filterwarnings("ignore:ConnectionClosed.code is deprecated:DeprecationWarning")

STORM = 40
ATTEMPTS = 12
CUT_OFF = Kick(code=1006, event=False)
LEAD_S = 1800
"""How long before a token's end the library refreshes."""


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Reference]:
    settings = Settings(now=time.time, seed=1, stands=("freshd.sandbox.aun.service:mount",))
    async with await start(settings) as running, Reference(running, tmp_path) as reference:
        yield reference


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks every 30 s whether a token has to be refreshed."""
    monkeypatch.setattr("aun_core.client._TOKEN_REFRESH_CHECK_INTERVAL", 0.001)


def cut_off_with_a_revoked_token(client: Reference, what: Thing = Thing.ACCESS) -> None:
    client.stand.levers.revoke(AID, what, None, time.time())
    client.stand.levers.kick(CUT_OFF)


def refused_everywhere(client: Reference) -> None:
    line = {"operation": "auth.connect", "code": 4001, "message": "token revoked", "close": 4001}
    client.stand.aun.state.script.add_json(line)


async def test_it_registers_logs_in_and_connects(client: Reference) -> None:
    one = await client.ready()
    assert one.state == aun_core.ConnectionState.READY
    assert [one.aid for one in client.stand.aun.hub.sessions] == [AID]
    auth = {name: count for name, count in client.tally.calls.items() if name.startswith("auth.")}
    assert auth == {"auth.create_aid": 1, "auth.aid_login1": 1, "auth.aid_login2": 1, "auth.connect": 1}
    assert (await one.call("meta.ping", {}))["pong"] is True
    assert client.counters.commits == 2


async def test_it_refreshes_and_never_presents_a_spent_token(client: Reference) -> None:
    one = await client.ready()
    for _ in range(3):
        await one._auth.refresh_cached_tokens(client.url, one._identity)
    assert (client.counters.refreshes, client.counters.spent_uses, client.counters.doubtful_replays) == (3, 0, 0)


async def test_a_registration_that_is_repeated_changes_nothing(client: Reference) -> None:
    assert await client.register()
    assert await client.register()
    assert client.calls("auth.create_aid") == 1
    assert len(client.stand.aun.agent(AID).certificates) == 1


async def test_it_takes_a_renewed_certificate_and_a_new_key(client: Reference) -> None:
    await client.register()
    assert (await client.store.renew_cert(AID)).ok
    assert (await client.store.rekey(AID)).ok
    one = await client.ready()
    assert one.state == aun_core.ConnectionState.READY
    assert client.has_newest()


async def test_it_takes_the_certificate_that_a_login_brings(client: Reference) -> None:
    client.set(NEW_CERT="always")
    await client.ready()
    assert client.has_newest()


@pytest.mark.parametrize("flaw", ["wrong_key", "foreign"])
async def test_it_declines_a_certificate_that_is_no_good(client: Reference, flaw: str) -> None:
    client.set(NEW_CERT=flaw, ACTIVE_CERT=False)
    await client.ready()
    assert client.has_newest()


@pytest.mark.parametrize("kind", ["standard", "whole_key", "status", "not_der", "absent"])
async def test_it_connects_whatever_the_status_answer_is(client: Reference, kind: str) -> None:
    client.set(OCSP=kind)
    assert (await client.ready()).state == aun_core.ConnectionState.READY


@pytest.mark.parametrize("flaw", ["expired", "early", "foreign", "revoked"])
async def test_it_sends_no_signature_to_a_service_it_does_not_believe(client: Reference, flaw: str) -> None:
    await client.register()
    client.stand.levers.roll(time.time(), curve=Curve.P384, flaw=Flaw(flaw), retires_old=False)
    with pytest.raises(aun_core.AuthError):
        await client.start().connect({})
    assert client.calls("auth.aid_login2") == 0


async def test_it_believes_any_certificate_of_the_issuer_in_the_auth_services_place(client: Reference) -> None:
    await client.register()
    client.stand.levers.roll(time.time(), curve=Curve.P384, flaw=Flaw.OTHER_NAME, retires_old=False)
    assert (await client.ready()).state == aun_core.ConnectionState.READY


async def test_kicked_with_an_announcement_it_stays_away(client: Reference) -> None:
    one = await client.ready()
    client.stand.levers.kick(Kick(code=4015))
    await soon(lambda: one.state == aun_core.ConnectionState.CONNECTION_FAILED)
    assert client.calls("auth.connect") == 1


async def test_cut_off_it_comes_back_with_the_token_it_has(client: Reference) -> None:
    await client.ready()
    client.stand.levers.kick(CUT_OFF)
    await soon(lambda: client.tally.sessions == 2)
    assert (client.calls("auth.refresh_token"), client.calls("auth.aid_login2")) == (0, 1)
    assert list(client.tally.connected_with.values()) == [2]


# ------------------------------------------------------------------------------------------ storms


async def test_a_life_shorter_than_its_lead_makes_it_refresh_without_a_pause(client: Reference) -> None:
    client.set(ACCESS_TTL_S=LEAD_S - 600)
    await client.ready()
    await soon(lambda: client.calls("auth.refresh_token") >= STORM)
    assert client.counters.refreshes >= STORM - 1


async def test_so_a_chain_of_720_refreshes_is_used_up_at_once(client: Reference, hurried: None) -> None:
    client.set(ACCESS_TTL_S=LEAD_S - 600, CHAIN_REFRESHES=STORM)
    one = await client.ready()
    await soon(lambda: client.tally.refused.get("-32005", 0) >= STORM)
    assert client.counters.refreshes == STORM
    assert client.calls("auth.aid_login2") == 1, "the one thing that helps is never done"
    assert one.state == aun_core.ConnectionState.READY


async def test_a_dead_token_is_shown_at_every_attempt_and_each_time_a_fresh_one_is_thrown_away(
    client: Reference,
) -> None:
    one = await client.ready(retry_max_attempts=ATTEMPTS)
    cut_off_with_a_revoked_token(client)
    await soon(lambda: one.state == aun_core.ConnectionState.CONNECTION_FAILED)
    assert (client.calls("auth.connect"), client.tally.dead_tokens) == (1 + ATTEMPTS, ATTEMPTS - 1)
    assert client.counters.refreshes >= ATTEMPTS - 1
    assert (client.tally.sessions, client.calls("auth.aid_login2")) == (1, 1), "no new session, no new login"


async def test_where_every_token_is_refused_it_refreshes_at_every_attempt(client: Reference) -> None:
    one = await client.ready(retry_max_attempts=ATTEMPTS)
    refused_everywhere(client)
    client.stand.levers.kick(CUT_OFF)
    await soon(lambda: one.state == aun_core.ConnectionState.CONNECTION_FAILED)
    assert client.counters.refreshes >= ATTEMPTS - 1
    assert client.calls("auth.aid_login2") == 1


async def test_refused_without_an_answer_it_shows_the_dead_token_and_does_nothing_else(client: Reference) -> None:
    one = await client.ready(retry_max_attempts=4, call_timeout=0.2)
    client.set(CONNECT_DENIAL="close")
    cut_off_with_a_revoked_token(client)
    await soon(lambda: one.state == aun_core.ConnectionState.CONNECTION_FAILED)
    assert (client.calls("auth.connect"), client.tally.dead_tokens) == (5, 3)
    assert (client.calls("auth.refresh_token"), client.calls("auth.aid_login2")) == (0, 1)


async def test_only_on_a_connection_left_open_it_finds_its_way_back(client: Reference) -> None:
    await client.ready(retry_max_attempts=ATTEMPTS)
    client.set(CONNECT_DENIAL="answer")
    cut_off_with_a_revoked_token(client, Thing.TOKENS)
    await soon(lambda: client.tally.sessions == 2)
    assert (client.calls("auth.refresh_token"), client.calls("auth.aid_login2")) == (1, 2)


# --------------------------------------------------------------------------------------- dead ends


async def test_started_anew_with_a_revoked_token_it_fails_every_time(client: Reference) -> None:
    await (await client.ready()).close()
    client.stand.levers.revoke(AID, Thing.ACCESS, None, time.time())
    for _ in range(3):
        with pytest.raises(aun_core.AuthError):
            await client.start().connect({})
    assert (client.calls("auth.refresh_token"), client.calls("auth.aid_login2")) == (0, 1)
    assert client.tally.dead_tokens == 2


async def test_told_to_log_in_again_it_closes_its_socket_and_goes_on_saying_ready(
    client: Reference, hurried: None
) -> None:
    client.set(ACCESS_TTL_S=LEAD_S - 600, CHAIN_REFRESHES=0, CHAIN_END="result")
    one = await client.ready()
    await soon(lambda: client.calls("auth.refresh_token") == 1 and not client.stand.aun.hub.sessions)
    assert one.state == aun_core.ConnectionState.READY
    assert (client.calls("auth.connect"), client.calls("auth.aid_login2")) == (1, 1)


async def test_a_lost_answer_makes_it_post_the_spent_token_again(client: Reference, hurried: None) -> None:
    client.running.faults.add(LostAfterCommit(), Scope(endpoint="auth.refresh_token"), count=1)
    client.set(ACCESS_TTL_S=LEAD_S - 600)
    await client.ready()
    await soon(lambda: client.counters.doubtful_replays)
    assert client.counters.reasons == {"lost_after_commit": 1}
    assert client.counters.killed_by == {"reuse": 1}


async def test_an_expired_certificate_is_not_renewed_though_the_service_would(client: Reference) -> None:
    client.set(CERT_TTL_S=1)
    await client.register()
    await soon(lambda: not client.store.load(AID).ok)
    assert not (await client.store.renew_cert(AID)).ok
    assert client.calls("auth.aid_login1") == 0
