"""What other programs use: the client library, `freshd token`, and curl, against the real server."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from freshd.client import AsyncClient, Client, Denied, Temporary, Token, Unreachable
from freshd.client.address import find_socket, quoted
from freshd.client.wire import Frames
from freshd.core.events import Event
from freshd.tokens import Shortfall
from tests.api.world import World

ENTRY = "import sys; from freshd.cli.entry import main; sys.exit(main())"


async def test_a_token_is_read_and_its_connection_kept(world: World) -> None:
    with Client(world.path) as client:
        first = await asyncio.to_thread(client.token, "calendar", min_ttl=60)
        await asyncio.to_thread(client.token, "calendar")
    assert (first.value, first.generation, first.fields) == ("token-1", 1, {"token_type": "Bearer"})
    assert 3590 < first.expires_in <= 3600
    assert len(world.peers) == 1


async def test_a_token_does_not_show_itself(world: World) -> None:
    with Client(world.path) as client:
        assert "token-1" not in repr(await asyncio.to_thread(client.token, "calendar"))


async def test_a_refusal_names_the_token_by_its_fingerprint(world: World) -> None:
    with Client(world.path) as client:
        token = await asyncio.to_thread(client.token, "calendar")
        assert await asyncio.to_thread(client.refused, token, 401, "invalid_token") == "healing"
    assert world.tokens.refusals == [("calendar", token.fingerprint, 401, "invalid_token")]


async def test_problems_become_errors_with_remedies(world: World) -> None:
    world.tokens.answers.put_nowait(Shortfall("not-yet", "d", "r", 504, 1.5))
    with Client(world.path) as client:
        with pytest.raises(Denied) as denied:
            await asyncio.to_thread(client.token, "nowhere")
        with pytest.raises(Temporary) as late:
            await asyncio.to_thread(client.token, "mail")
    assert (denied.value.kind, denied.value.status) == ("not-found", 404)
    assert (late.value.cause, late.value.remedy, late.value.retry_after) == ("d", "r", 1.5)


def test_no_daemon_is_said(tmp_path: Path) -> None:
    with Client(str(tmp_path / "none")) as client, pytest.raises(Unreachable, match="No such file"):
        client.token("calendar")


async def test_a_connection_closed_meanwhile_is_opened_again(world: World) -> None:
    with Client(world.path) as client:
        await asyncio.to_thread(client.token, "calendar")
        world.peers[0].alive = False
        with pytest.raises(Denied):
            await asyncio.to_thread(client.token, "calendar")
        assert (await asyncio.to_thread(client.token, "calendar")).value == "token-1"


async def test_a_watch_yields_changes(world: World) -> None:
    changes = Client(world.path).watch(["calendar"])
    seen = [await asyncio.to_thread(next, changes) for _ in range(3)]
    assert [change.kind for change in seen] == ["daemon", "account", "synced"]
    world.tell(Event("lease.published", "calendar"))
    change = await asyncio.to_thread(next, changes)
    assert (change.kind, change.data["account"]) == ("account", "calendar")
    await asyncio.to_thread(changes.close)  # type: ignore[attr-defined]


def test_frames_may_arrive_in_any_pieces() -> None:
    data = (
        b'retry: 1\n\n: beat\n\nid: e:1\nevent: account\ndata: {"account":"a"}\n\nid: e:2\nevent: synced\ndata: {}\n\n'
    )
    whole = [(one.kind, one.id) for one in Frames().feed(data)]
    pieces = Frames()
    assert [(one.kind, one.id) for byte in data for one in pieces.feed(bytes([byte]))] == whole
    assert whole == [("account", "e:1"), ("synced", "e:2")]


async def test_the_client_for_asyncio_does_the_same(world: World) -> None:
    async with AsyncClient(world.path) as client:
        token = await client.token("calendar")
        assert isinstance(token, Token)
        assert await client.refused(token, 401) == "healing"
        with pytest.raises(Denied):
            await client.token("secret")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await client.token("mail")
        assert (await client.token("calendar")).value == "token-1"


@pytest.mark.parametrize("name", ["a b", "ä", "a/b", "a?b", "a%b", "a#b"])
async def test_any_name_reaches_the_daemon_as_it_is(world: World, name: str) -> None:
    world.tokens.names.append(name)
    world.tokens.publish(name, "odd", 60.0)
    world.allow(name)
    async with AsyncClient(world.path) as client:
        assert (await client.token(name)).value == "odd"
    assert quoted("plain-name_1.2~") == "plain-name_1.2~"


def test_the_socket_is_found_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRESHD_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert find_socket() == "/run/freshd/freshd.sock"
    (tmp_path / "freshd").mkdir()
    (tmp_path / "freshd" / "freshd.sock").touch()
    assert find_socket() == str(tmp_path / "freshd" / "freshd.sock")
    monkeypatch.setenv("FRESHD_SOCKET", "/elsewhere")
    assert find_socket() == "/elsewhere"


# ----------------------------------------------------------------------------------------- freshd token


async def command(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ENTRY, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_token_alone_is_printed(world: World) -> None:
    assert await command("token", "calendar", "--socket", world.path) == (0, "token-1\n", "")


async def test_all_of_it_is_printed_as_json(world: World) -> None:
    code, out, _ = await command("token", "--json", f"--socket={world.path}", "--min-ttl=60", "calendar")
    assert code == 0
    assert '"access_token":"token-1"' in out


async def test_a_token_with_odd_characters_is_printed_as_it_is(world: World) -> None:
    world.tokens.publish("calendar", 'a"b\\c"access_token":"x', 60.0)
    assert (await command("token", "calendar", "--socket", world.path))[1] == 'a"b\\c"access_token":"x\n'


@pytest.mark.parametrize(
    ("short", "code"),
    [
        (Shortfall("not-yet", "the cause", "the remedy", 504, 1.0), 75),
        (Shortfall("account-parked", "the cause", "the remedy", 503, 60.0), 75),
        (Shortfall("min-ttl-too-long", "the cause", "the remedy", 422, maximum=9.0), 64),
        (Shortfall("account-parked", "the cause", "the remedy", 409), 1),
    ],
)
async def test_the_exit_code_says_what_kind_of_no_it_is(world: World, short: Shortfall, code: int) -> None:
    world.tokens.answers.put_nowait(short)
    got, out, err = await command("token", "mail", "--socket", world.path)
    assert (got, out) == (code, "")
    assert "the cause" in err
    assert "remedy: the remedy" in err


async def test_the_unreadable_and_the_absent_have_codes_of_their_own(world: World) -> None:
    assert (await command("token", "secret", "--socket", world.path))[0] == 77
    code, _, err = await command("token", "calendar", "--socket", world.path + "-none")
    assert (code, "remedy: start it" in err) == (69, True)


@pytest.mark.parametrize(
    "arguments",
    [(), ("a", "b"), ("--nope", "a"), ("a", "--min-ttl"), ("a", "--min-ttl", "x"), ("a", "--wait=-1"), ("",)],
)
async def test_wrong_usage_is_explained(arguments: tuple[str, ...]) -> None:
    code, out, err = await command("token", *arguments)
    assert (code, out) == (64, "")
    assert "usage: freshd token" in err


async def test_help_is_help() -> None:
    code, out, err = await command("token", "--help")
    assert (code, out.startswith("usage: freshd token"), err) == (0, True, "")


async def test_the_verb_token_imports_next_to_nothing(world: World) -> None:
    code = f"import sys; before = set(sys.modules); {ENTRY.replace('sys.exit(main())', 'main()')}; "
    code += "print(*sorted(set(sys.modules) - before))"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", code, "token", "calendar", "--socket", world.path, stdout=subprocess.PIPE
    )
    out, _ = await process.communicate()
    imported = set(out.decode().split("\n")[1].split())
    assert imported == {
        "_socket", "freshd", "freshd.cli", "freshd.cli.entry", "freshd.client", "freshd.client.address",
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------- curl


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on the PATH; get it with apt-get install curl")
async def test_curl_reads_refuses_and_is_refused(world: World) -> None:
    async def curl(*arguments: str) -> list[str]:
        process = await asyncio.create_subprocess_exec(
            "curl", "-sS", "--unix-socket", world.path, "-w", " %{http_code}\n", *arguments, stdout=subprocess.PIPE,
            env={**os.environ, "http_proxy": ""},
        )  # fmt: skip
        return (await process.communicate())[0].decode().splitlines()

    read = "http://freshd/v1/tokens/calendar"
    both = await curl(read, read)
    assert [line.endswith("} 200") for line in both] == [True, True]
    assert len(world.peers) == 1
    assert (await curl("-d", '{"fingerprint":"a"}', f"{read}/refused"))[0].endswith("} 200")
    assert (await curl("-H", "Transfer-Encoding: chunked", "-d", "{}", f"{read}/refused"))[0].endswith(" 411")
    assert (await curl("http://freshd/v1/tokens/secret"))[0].endswith("} 404")
    assert (await curl("-I", read))[0].startswith("HTTP/1.1 405")
