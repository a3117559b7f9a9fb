"""The vendor's own Python client of AUN against the sandbox: a home of its own, one identity, every call counted.

Its discovery asks https on port 443 only, so the gateway's address is put where the client keeps discovered ones.
"""

import asyncio
import importlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from freshd.sandbox.aun.books import Tally
from freshd.sandbox.aun.service import Stand
from freshd.sandbox.counters import Counters
from freshd.sandbox.server import Running

AID = "alice01.sandbox.test"
aun_core: Any = importlib.import_module("aun_core")


class Reference:
    """One installation of the client; ``clients`` are processes of it, as far as its code can tell."""

    def __init__(self, running: Running, home: Path) -> None:
        self.running = running
        self.stand: Stand = running.stands["aun"]
        self.home = home
        self.clients: list[Any] = []
        roots = home / "roots.pem"
        roots.write_text(self.stand.aun.state.pki.roots)
        self.url = running.base_url.replace("http", "ws", 1) + "/aun"
        self.store = aun_core.AIDStore(home, "a seed", verify_ssl=False, root_ca_path=str(roots))
        self.store._gateway_cache["sandbox.test"] = self.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self.clients:
            await client.close()
        self.store.close()

    def set(self, **over: object) -> None:
        self.stand.aun.state.constants.change({f"AUN_SIM_{name}": value for name, value in over.items()})

    async def register(self) -> bool:
        return bool((await self.store.register(AID)).ok)

    def start(self) -> Any:  # noqa: ANN401 - the library is not typed
        """A new process: nothing in memory, everything on disk."""
        loaded = self.store.load(AID)
        assert loaded.ok, loaded.error
        client = aun_core.AUNClient(loaded.data["aid"])
        client._reconnect_sleep = lambda _: asyncio.sleep(0)  # it would wait for up to 128 s
        self.clients.append(client)
        return client

    async def ready(self, **options: Any) -> Any:  # noqa: ANN401 - as above
        """Registered, logged in and connected."""
        if self.stand.aun.state.agents.find(AID) is None:
            assert await self.register()
        client = self.start()
        await client.connect(options)
        return client

    def has_newest(self) -> bool:
        """Whether the certificate on disk is the one in use at the service."""
        kept = str(self.store.load(AID).data["aid"].cert_pem)
        return kept.strip() == self.stand.aun.agent(AID).newest.pem.strip()

    def calls(self, method: str) -> int:
        return self.tally.calls.get(method, 0)

    @property
    def tally(self) -> Tally:
        return self.stand.aun.state.books.tally(AID)

    @property
    def counters(self) -> Counters:
        return self.running.ledger.books.account(AID).counters
