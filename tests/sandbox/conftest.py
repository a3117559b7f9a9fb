"""A running sandbox whose clock stands still until told otherwise, and clients that speak to it."""

import asyncio
import dataclasses
import json
import urllib.parse
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from freshd.sandbox.server import Running, Settings, start

START = 1_800_000_000.0


class Clock:
    """Wall time that a test moves."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> float:
        return self.at


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.body)
        return answer


class Peer:
    """A client of the service and of its control port."""

    def __init__(self, running: Running, session: aiohttp.ClientSession) -> None:
        self.running = running
        self.session = session

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        url = self.running.base_url + path
        async with self.session.request(method, url, allow_redirects=False, **options) as reply:
            return Answer(reply.status, dict(reply.headers), await reply.read())

    async def token(self, grant_type: str, headers: dict[str, str] | None = None, /, **form: str) -> Answer:
        return await self.call("POST", "/token", data={"grant_type": grant_type, **form}, headers=headers)

    async def refresh(self, token: str) -> Answer:
        return await self.token("refresh_token", refresh_token=token, client_id="freshd")

    async def userinfo(self, token: str) -> Answer:
        return await self.call("GET", "/userinfo", headers={"Authorization": f"Bearer {token}"})

    async def control(self, method: str, path: str, **wish: Any) -> dict[str, Any]:
        status, answer = await self.try_control(method, path, **wish)
        assert status < 300, answer
        return answer

    async def try_control(self, method: str, path: str, **wish: Any) -> tuple[int, dict[str, Any]]:
        async with self.session.request(method, self.running.control_url + path, json=wish or None) as reply:
            return reply.status, await reply.json()

    async def mint(self, label: str = "a", **more: Any) -> str:
        answer = await self.control("POST", "/mint", client_id="freshd", label=label, **more)
        token: str = answer["grants"][0]["refresh_token"]
        return token

    async def raw(self, path: str, **form: str) -> bytes:
        """Post over a bare socket and return all bytes until the service closes; raises ConnectionResetError."""
        reader, writer = await self.dial()
        writer.write(request_bytes(path, **form))
        try:
            return await reader.read()
        finally:
            writer.close()

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urllib.parse.urlsplit(self.running.base_url)
        return await asyncio.open_connection(parts.hostname, parts.port)


async def until(holds: Callable[[], object]) -> None:
    """Let the other tasks of this loop run until ``holds``; the test's own deadline ends a vain wait."""
    while not holds():  # noqa: ASYNC110 - the service is watched from outside and rings no bell for its tests
        await asyncio.sleep(0)


def request_bytes(path: str, **form: str) -> bytes:
    body = urllib.parse.urlencode(form).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def running(clock: Clock) -> AsyncIterator[Running]:
    async with await start(Settings(now=clock, seed=1)) as sandbox:
        yield sandbox


@pytest.fixture
async def peer(running: Running) -> AsyncIterator[Peer]:
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(cookie_jar=jar, auto_decompress=False) as session:
        yield Peer(running, session)
