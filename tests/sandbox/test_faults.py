"""Every fault, seen from the other end of a real socket."""

import asyncio
import email.utils
import json
import math
import time
import zlib
from typing import Any

import pytest

from freshd.sandbox.fault_queue import CATALOGUE
from tests.sandbox.conftest import START, Answer, Clock, Peer, request_bytes, until

SPOILED: list[tuple[str, dict[str, Any]]] = [
    ("wrong_types", {}),
    ("missing_fields", {"fields": ["refresh_token"]}),
    ("no_refresh_token", {}),
    ("absurd_lifetime", {}),
    ("token_type_case", {}),
    ("code_as_text", {}),
    ("wrong_subject", {}),
    ("skew", {"seconds": 90}),
    ("slow", {"seconds": 0.02}),
]
REPLACED: list[tuple[str, dict[str, Any]]] = [
    ("status", {}),
    ("oauth_error", {}),
    ("html", {}),
    ("bad_gateway", {}),
    ("gzip_bomb", {"mebibytes": 2}),
    ("huge", {"bytes": 300_000}),
    ("redirect", {}),
    ("rate_limited", {}),
    ("reset", {}),
    ("hang", {"seconds": 0.01}),
]
LOST: list[tuple[str, dict[str, Any]]] = [("lost_before_commit", {}), ("lost_after_commit", {}), ("cut_short", {})]


async def struck(peer: Peer, fault: str, **settings: Any) -> Answer:
    """Refresh once under a fault that leaves an HTTP answer."""
    token = await peer.mint()
    await peer.control("POST", "/faults", fault=fault, count=1, **settings)
    return await peer.refresh(token)


async def page(peer: Peer, label: str = "a") -> dict[str, Any]:
    return await peer.control("GET", f"/ledger/{label}")


def test_every_fault_of_the_catalogue_is_shown_here_or_with_its_service() -> None:
    elsewhere = {"feishu_code", "empty_fields", "narrowed_scope"}  # test_feishu_wire
    assert {name for name, _ in SPOILED + REPLACED + LOST} | elsewhere == CATALOGUE.keys()


@pytest.mark.parametrize(("fault", "settings"), REPLACED + LOST[:1])
async def test_before_the_commit_nothing_is_spent(peer: Peer, fault: str, settings: dict[str, Any]) -> None:
    token = await peer.mint()
    await peer.control("POST", "/faults", fault=fault, count=1, **settings)
    try:
        reply = await peer.raw("/token", grant_type="refresh_token", client_id="freshd", refresh_token=token)
    except ConnectionResetError:
        reply = b""
    assert b"at-" not in reply
    seen = await page(peer)
    assert (seen["commits"], seen["calls"][0]["outcome"]) == ([], fault)
    assert (await peer.refresh(token)).status == 200


@pytest.mark.parametrize(("fault", "settings"), REPLACED + LOST[1:])
async def test_after_the_commit_the_secret_is_spent_and_a_replay_is_doubtful(
    peer: Peer, fault: str, settings: dict[str, Any]
) -> None:
    token = await peer.mint()
    after = {} if (fault, settings) in LOST else {"after_commit": True}
    await peer.control("POST", "/faults", fault=fault, count=1, **settings, **after)
    try:
        await peer.raw("/token", grant_type="refresh_token", client_id="freshd", refresh_token=token)
    except ConnectionResetError:
        assert fault == "reset"
    commit = (await page(peer))["commits"][0]
    assert (commit["doubt"], commit["delivery"]["carried"]) == (fault, False)
    assert commit["received_ns"] < commit["committed_ns"] <= commit["delivery"]["write_started_ns"]
    assert (await peer.refresh(token)).json["error"] == "invalid_grant"
    assert (await page(peer))["counters"]["reasons"] == {fault: 1}


@pytest.mark.parametrize(("fault", "settings"), [*LOST[:2], ("hang", {"seconds": 0.01})])
async def test_a_lost_answer_has_not_one_byte(peer: Peer, fault: str, settings: dict[str, Any]) -> None:
    token = await peer.mint()
    await peer.control("POST", "/faults", fault=fault, **settings)
    assert await peer.raw("/token", grant_type="refresh_token", client_id="freshd", refresh_token=token) == b""


async def test_reset_is_a_reset(peer: Peer) -> None:
    token = await peer.mint()
    await peer.control("POST", "/faults", fault="reset")
    with pytest.raises(ConnectionResetError):
        await peer.raw("/token", grant_type="refresh_token", client_id="freshd", refresh_token=token)


@pytest.mark.parametrize(("cut", "left"), [(10, 10), (-1, None), (0, 0)])
async def test_cut_short_announces_more_than_it_sends(peer: Peer, cut: int, left: int | None) -> None:
    token = await peer.mint()
    await peer.control("POST", "/faults", fault="cut_short", bytes=cut)
    raw = await peer.raw("/token", grant_type="refresh_token", client_id="freshd", refresh_token=token)
    head, _, body = raw.partition(b"\r\n\r\n")
    announced = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert len(body) == (announced - 1 if left is None else left)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_slow_is_late_and_right(peer: Peer, when: str) -> None:
    begun = time.monotonic()
    answer = await struck(peer, "slow", seconds=0.03, when=when)
    assert time.monotonic() - begun >= 0.03
    assert answer.status == 200


async def test_slow_says_when_the_commit_was(peer: Peer) -> None:
    for label, when in (("early", "after"), ("late", "before")):
        token = await peer.mint(label)
        await peer.control("POST", "/faults", fault="slow", seconds=0.05, when=when, count=1)
        await peer.refresh(token)
    early = (await page(peer, "early"))["commits"][0]
    late = (await page(peer, "late"))["commits"][0]
    assert early["delivery"]["write_started_ns"] - early["committed_ns"] >= 40_000_000
    assert late["committed_ns"] - late["received_ns"] >= 40_000_000


async def test_hang_is_silent_for_as_long_as_it_says(peer: Peer) -> None:
    token = await peer.mint()
    await peer.control("POST", "/faults", fault="hang", seconds=3600)
    reader, writer = await peer.dial()
    writer.write(request_bytes("/token", grant_type="refresh_token", client_id="freshd", refresh_token=token))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(), 0.03)
    await peer.running.aclose()
    assert await reader.read() == b""
    writer.close()


async def test_status_is_not_in_the_services_own_words(peer: Peer) -> None:
    answer = await struck(peer, "status", status=500)
    assert (answer.status, answer.headers["Content-Type"]) == (500, "text/plain")


async def test_oauth_error_is_in_the_services_own_words(peer: Peer) -> None:
    answer = await struck(peer, "oauth_error", error="temporarily_unavailable", status=503)
    assert (answer.status, answer.json["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("fault", "status"), [("html", 200), ("bad_gateway", 502)])
async def test_pages_are_html(peer: Peer, fault: str, status: int) -> None:
    answer = await struck(peer, fault)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")


async def test_a_gzip_bomb_is_small_until_it_is_unpacked(peer: Peer) -> None:
    token = await peer.mint()
    await peer.control("POST", "/faults", fault="gzip_bomb", mebibytes=200)
    plain = {"Accept-Encoding": "identity"}
    answer = await peer.token("refresh_token", plain, refresh_token=token, client_id="freshd")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body) < 2 * 1024 * 1024
    opener = zlib.decompressobj(31)
    assert len(opener.decompress(answer.body, 3 * 1024 * 1024)) == 3 * 1024 * 1024


async def test_huge_goes_on_until_the_client_has_had_enough(peer: Peer) -> None:
    token = await peer.mint()
    await peer.control("POST", "/faults", fault="huge", after_commit=True)
    reader, writer = await peer.dial()
    writer.write(request_bytes("/token", grant_type="refresh_token", client_id="freshd", refresh_token=token))
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"Content-Length: 209715200" in head
    await reader.readexactly(200_000)
    writer.close()
    commit = peer.running.ledger.books.account("a").commits[0]
    await until(lambda: commit.delivery)
    assert commit.delivery is not None
    assert commit.delivery.write_failed
    assert commit.delivery.bytes_written < 200 * 1024 * 1024


async def test_a_secret_that_follows_a_redirect_is_counted(peer: Peer) -> None:
    answer = await struck(peer, "redirect")
    assert (answer.status, answer.headers["Location"]) == (307, "/elsewhere")
    await peer.call("POST", answer.headers["Location"], data={"refresh_token": "rt-x"})
    assert (await peer.control("GET", "/counters"))["leaked_posts"] == 1


@pytest.mark.parametrize("as_date", [False, True])
async def test_rate_limited_says_when_to_come_again(peer: Peer, as_date: bool) -> None:
    answer = await struck(peer, "rate_limited", retry_after=7, as_date=as_date)
    late = email.utils.formatdate(START + 7, usegmt=True) if as_date else "7"
    assert (answer.status, answer.headers["Retry-After"]) == (429, late)


async def test_skew_moves_only_the_date(peer: Peer, clock: Clock) -> None:
    answer = await struck(peer, "skew", seconds=-86400)
    assert email.utils.parsedate_to_datetime(answer.headers["Date"]).timestamp() == clock() - 86400
    plain = await peer.refresh(answer.json["refresh_token"])
    assert email.utils.parsedate_to_datetime(plain.headers["Date"]).timestamp() == clock()


async def test_wrong_types(peer: Peer) -> None:
    answer = (await struck(peer, "wrong_types")).json
    assert isinstance(answer["access_token"], int)
    assert isinstance(answer["expires_in"], str)


async def test_missing_fields(peer: Peer) -> None:
    answer = (await struck(peer, "missing_fields", fields=["access_token", "token_type"])).json
    assert answer.keys() == {"expires_in", "refresh_token"}


async def test_an_answer_without_its_refresh_token_leaves_the_client_in_doubt(peer: Peer) -> None:
    assert "refresh_token" not in (await struck(peer, "no_refresh_token")).json
    assert (await page(peer))["commits"][0]["doubt"] == "no_refresh_token"


@pytest.mark.parametrize(("lifetime", "value"), [("negative", -3600), ("zero", 0), ("vast", 1e30), ("nan", math.nan)])
async def test_absurd_lifetime(peer: Peer, lifetime: str, value: float) -> None:
    answer = (await struck(peer, "absurd_lifetime", lifetime=lifetime)).json
    assert answer["expires_in"] == pytest.approx(value, nan_ok=True)


async def test_token_type_in_another_case(peer: Peer) -> None:
    assert (await struck(peer, "token_type_case", text="BEARER")).json["token_type"] == "BEARER"


async def test_numbers_arrive_as_text(peer: Peer) -> None:
    assert (await struck(peer, "code_as_text")).json["expires_in"] == "3600"


@pytest.mark.parametrize("scope", ["", "openid"])
async def test_wrong_subject_speaks_for_somebody_else(peer: Peer, scope: str) -> None:
    token = await peer.mint(scope=scope, subject="ann")
    await peer.control("POST", "/faults", fault="wrong_subject", subject="bob", count=1)
    answer = (await peer.refresh(token)).json
    assert (await peer.userinfo(answer["access_token"])).json["sub"] == "bob"
    assert ("id_token" in answer) is (scope == "openid")
    assert answer.get("sub") == (None if scope else "bob")
    again = (await peer.refresh(answer["refresh_token"])).json
    assert (await peer.userinfo(again["access_token"])).json["sub"] == "ann"


async def test_faults_add_up(peer: Peer) -> None:
    await peer.control("POST", "/faults", fault="skew", seconds=60)
    await peer.control("POST", "/faults", fault="token_type_case")
    answer = await struck(peer, "absurd_lifetime", lifetime="zero")
    assert email.utils.parsedate_to_datetime(answer.headers["Date"]).timestamp() == START + 60
    assert json.loads(answer.body)["token_type"] == "bEaReR"


@pytest.mark.parametrize("endpoint", ["userinfo", "*"])
async def test_faults_strike_other_endpoints_too(peer: Peer, endpoint: str) -> None:
    access = (await peer.refresh(await peer.mint())).json["access_token"]
    await peer.control("POST", "/faults", fault="status", status=502, endpoint=endpoint, label="a")
    assert (await peer.userinfo(access)).status == 502
