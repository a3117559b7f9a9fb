"""The client for asyncio: the same calls, awaited; one connection, calls follow one another.

What a caller abandons (a time-out, a cancellation) costs the connection, for its answer may still be on the way.
"""

import asyncio
from types import TracebackType
from typing import Self

from freshd.client import wire
from freshd.client.address import find_socket, quoted, token_path
from freshd.client.errors import Temporary, Unreachable
from freshd.client.token import Token

TIMEOUT_SECONDS = 10.0
DEFAULT_WAIT_SECONDS = 10.0


class AsyncClient:
    """One daemon.  Belongs to one event loop."""

    def __init__(self, socket_path: str | None = None, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self.socket_path = socket_path or find_socket()
        self._timeout = timeout
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def token(self, account: str, *, min_ttl: float | None = None, wait: float | None = None) -> Token:
        """See sync.Client.token."""
        patience = self._timeout + (DEFAULT_WAIT_SECONDS if wait is None else wait)
        return Token(await self._call("GET", token_path(account, min_ttl, wait), None, patience))

    async def refused(self, token: Token, status: int | None = None, code: str | None = None) -> str:
        """See sync.Client.refused."""
        given = {"fingerprint": token.fingerprint, "status": status, "code": code}
        body = {name: value for name, value in given.items() if value is not None}
        path = f"/v1/tokens/{quoted(token.account)}/refused"
        return str((await self._call("POST", path, body, self._timeout))["outcome"])

    async def aclose(self) -> None:
        """Let go of the connection; the next call opens another."""
        async with self._lock:
            self._drop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _call(self, method: str, path: str, body: object, patience: float) -> dict[str, object]:
        data = wire.request(method, path, body)
        async with self._lock:
            was_kept = self._streams is not None
            try:
                async with asyncio.timeout(patience):
                    status, answer = await self._exchange(data, may_repeat=was_kept)
            except TimeoutError:
                raise Temporary("The daemon did not answer in time", "Ask again.", kind="late") from None
            except (OSError, EOFError) as error:
                reason = getattr(error, "strerror", None) or "it closed the connection"
                remedy = "Start it (freshd run, or systemctl start freshd), or name its socket in FRESHD_SOCKET."
                cause = f"No daemon answers on {self.socket_path}: {reason}"
                raise Unreachable(cause, remedy, kind="unreachable") from None
        return wire.members_of(status, answer)

    async def _exchange(self, data: bytes, *, may_repeat: bool) -> tuple[int, bytes]:
        try:
            return await self._once(data)
        except (ConnectionError, EOFError):
            if not may_repeat:
                raise
            return await self._once(data)

    async def _once(self, data: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(self.socket_path)
        reader, writer = self._streams
        try:
            writer.write(data)
            answer = wire.Answer((await reader.readuntil(b"\r\n\r\n"))[:-4])
            body = await (reader.read() if answer.length is None else reader.readexactly(answer.length))
        except BaseException:
            self._drop()
            raise
        if not answer.keep:
            self._drop()
        return answer.status, body

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
