"""What a kill harness relies on: how far an answer got, and that no disappearance undoes a commit."""

import asyncio
import json
import signal
import sys

import aiohttp

from freshd.sandbox.server import Running, Settings, start
from freshd.sandbox.tokens import Commit
from tests.sandbox.conftest import Peer, request_bytes, until


async def settled(peer: Peer, label: str = "a") -> Commit:
    commits = peer.running.ledger.books.account(label).commits
    await until(lambda: commits and commits[0].delivery)
    return commits[0]


async def test_a_read_answer_was_delivered_whole_and_timed_in_order(peer: Peer) -> None:
    answer = await peer.refresh(await peer.mint())
    commit = await settled(peer)
    told = commit.delivery
    assert told is not None
    assert told.is_whole
    assert (told.peer_open_before, told.reason, commit.doubt) == (True, None, "unconfirmed")
    moments = [commit.received_ns, commit.committed_ns, told.write_started_ns, told.write_done_ns]
    assert moments == sorted(moments, key=lambda at: at or 0)
    await peer.userinfo(answer.json["access_token"])
    assert commit.doubt is None


async def test_a_client_that_hangs_up_before_the_commit_undoes_nothing(peer: Peer) -> None:
    token = await peer.mint()
    await peer.control("POST", "/faults", fault="slow", seconds=0.05, when="before")
    _, writer = await peer.dial()
    writer.write(request_bytes("/token", grant_type="refresh_token", client_id="freshd", refresh_token=token))
    calls = peer.running.ledger.books.account("a").calls
    await until(lambda: calls)
    writer.close()
    commit = await settled(peer)
    assert commit.doubt == "peer_gone"
    assert commit.delivery is not None
    assert commit.delivery.write_failed
    assert (await peer.refresh(token)).status == 400


async def test_a_client_that_hangs_up_after_the_commit_never_had_the_answer(peer: Peer) -> None:
    token = await peer.mint()
    await peer.control("POST", "/faults", fault="slow", seconds=0.05, when="after")
    _, writer = await peer.dial()
    writer.write(request_bytes("/token", grant_type="refresh_token", client_id="freshd", refresh_token=token))
    await until(lambda: peer.running.ledger.books.account("a").commits)
    writer.transport.abort()
    commit = await settled(peer)
    assert commit.delivery is not None
    assert (commit.delivery.is_whole, commit.doubt) == (False, "peer_gone")


async def test_half_a_request_commits_nothing(peer: Peer) -> None:
    token = await peer.mint()
    _, writer = await peer.dial()
    whole = request_bytes("/token", grant_type="refresh_token", client_id="freshd", refresh_token=token)
    writer.write(whole[:-1])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await peer.refresh(token)).status == 200
    assert len(peer.running.ledger.books.account("a").commits) == 1


async def test_a_connection_carries_many_answers(peer: Peer) -> None:
    token = await peer.mint()
    reader, writer = await peer.dial()
    for _ in range(3):
        form = {"grant_type": "refresh_token", "client_id": "freshd", "refresh_token": token}
        writer.write(request_bytes("/token", **form).replace(b"Connection: close\r\n", b""))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        token = json.loads(await reader.readexactly(length))["refresh_token"]
    writer.close()


async def test_closing_ends_every_wait_and_frees_the_ports(running: Running, peer: Peer) -> None:
    token = await peer.mint()
    await peer.control("POST", "/faults", fault="hang", seconds=3600, after_commit=True)
    reader, writer = await peer.dial()
    writer.write(request_bytes("/token", grant_type="refresh_token", client_id="freshd", refresh_token=token))
    await until(lambda: running.ledger.books.account("a").commits)
    await running.aclose()
    await running.aclose()
    assert await reader.read() == b""
    writer.close()
    port = int(running.base_url.rpartition(":")[2])
    async with await start(Settings(port=port)) as again:
        assert again.base_url == running.base_url


async def test_it_runs_as_a_process_of_its_own() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "freshd.sandbox", stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout is not None
    where = json.loads(await program.stdout.readline())
    async with aiohttp.ClientSession() as session, session.get(where["control_url"] + "/healthz") as reply:
        assert (await reply.json())["issuer"] == where["base_url"]
    program.send_signal(signal.SIGTERM)
    assert await program.wait() == 0
