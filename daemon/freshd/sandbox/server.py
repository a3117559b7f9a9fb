"""Starting and stopping the sandbox: its listening sockets on the loopback interface, one event loop, no files.

``start`` returns when all sockets accept connections; ``aclose`` ends every wait that a fault still holds.
"""

import asyncio
import dataclasses
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from freshd.sandbox.clients import Client, Clients
from freshd.sandbox.control import Control, guard
from freshd.sandbox.fault_queue import FaultQueue
from freshd.sandbox.feishu.control import FeishuControl
from freshd.sandbox.feishu.front import FeishuFront
from freshd.sandbox.feishu.routes import FeishuRoutes
from freshd.sandbox.feishu.service import Feishu
from freshd.sandbox.front import Front
from freshd.sandbox.futu.control import FutuControl
from freshd.sandbox.futu.http import FutuEndpoints
from freshd.sandbox.futu.line import FutuLine
from freshd.sandbox.futu.service import FutuService
from freshd.sandbox.grants import Ledger
from freshd.sandbox.oauth2 import Service, TokenEndpoint
from freshd.sandbox.policy import Policies, Policy
from freshd.sandbox.resources import Resources
from freshd.sandbox.stands import STANDS, Ground, mount_all
from freshd.sandbox.turn import Stage

DEFAULT_CLIENTS = (
    Client(client_id="freshd"),
    Client(client_id="freshd-web", secret="sandbox-secret"),
)
_LARGEST_REQUEST = 64 * 1024
_BACKLOG = 1024  # a thousand accounts may start at the same moment
_KEEPALIVE_S = 75.0
_GOODBYE_S = 0.5  # how long answers in the making may take when the server stops


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to start. Port 0 takes a free one. ``seed`` makes the drawing of faults repeatable. ``history``
    bounds what is kept per label (a spent token beyond it is unknown, not reused). ``tls`` serves https. ``stands`` are
    the further services to be mounted, as ``module:function``.
    """

    host: str = "127.0.0.1"
    port: int = 0
    control_port: int = 0
    trade_port: int = 0
    clients: tuple[Client, ...] = DEFAULT_CLIENTS
    policy: Policy = dataclasses.field(default_factory=Policy)
    now: Callable[[], float] = time.time
    seed: int | None = None
    approves_at_once: bool = False
    history: int = 1024
    tls: ssl.SSLContext | None = None
    stands: tuple[str, ...] = STANDS


class Running:
    """A sandbox that is up. ``ledger``, ``faults``, ``policies`` and ``clients`` may be used directly in-process."""

    def __init__(self, service: Service, runners: list[web.AppRunner], base_url: str, control_url: str) -> None:
        """Keep what ``start`` has made."""
        self.service = service
        self.ledger = service.ledger
        self.policies = service.ledger.policies
        self.faults = service.stage.faults
        self.clients = service.clients
        self.feishu: Feishu
        self.base_url = base_url
        self.control_url = control_url
        self._runners = runners
        self.futu: FutuService
        self.trade: FutuLine
        self.stands: dict[str, Any] = {}
        self.farewells: list[Callable[[], Awaitable[None]]] = []

    async def aclose(self) -> None:
        """Stop listening, end all waits, close all connections; a second time does nothing."""
        self.service.stage.closing.set()
        await self.trade.aclose()
        farewells, self.farewells = self.farewells, []
        for farewell in farewells:
            await farewell()
        runners, self._runners = self._runners, []
        for runner in runners:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()


async def start(settings: Settings | None = None) -> Running:
    """Start the service and its control port; raises OSError if a port is taken."""
    settings = settings or Settings()
    faults = FaultQueue(random.Random(settings.seed))
    stage = Stage(faults, settings.now, asyncio.Event())
    service = Service(
        stage,
        Ledger(Policies(settings.policy), history=settings.history),
        Clients(settings.clients),
        approves_at_once=settings.approves_at_once,
    )
    public = web.Application(client_max_size=_LARGEST_REQUEST)
    token = web.post("/token", TokenEndpoint(service).answer)
    public.add_routes([token, *Resources(service).routes(), *Front(service).routes()])
    futu = FutuService(service.ledger.books, history=settings.history)
    line = FutuLine(futu.state, settings.now)
    service.vouchers.append(futu.state.books.escrowed)
    public.add_routes(FutuEndpoints(futu, stage).routes())
    control = web.Application(middlewares=[guard])
    control.add_routes(Control(service).routes())
    feishu = _mount_feishu(service, public, control)
    ground = Ground(service, public, control)
    stands = mount_all(ground, settings.stands)
    control.add_routes(FutuControl(futu, line, stage).routes())
    runners: list[web.AppRunner] = []
    try:
        service.issuer = await _listen(public, runners, settings.host, settings.port, settings.tls)
        control_url = await _listen(control, runners, settings.host, settings.control_port, None)
        await line.listen(settings.host, settings.trade_port)
    except BaseException:
        for runner in runners:
            await runner.cleanup()
        raise
    running = Running(service, runners, service.issuer, control_url)
    feishu.base_url = service.issuer
    running.feishu = feishu
    running.futu, running.trade = futu, line
    running.stands, running.farewells = stands, ground.farewells
    return running


def _mount_feishu(service: Service, public: web.Application, control: web.Application) -> Feishu:
    feishu = Feishu(service.ledger, service.consents)
    public.add_routes(FeishuRoutes(feishu, service.stage).routes())
    public.add_routes(FeishuFront(feishu, service.now, lambda: service.approves_at_once).routes())
    control.add_routes(FeishuControl(feishu, service.now).routes())
    return feishu


async def _listen(
    app: web.Application, runners: list[web.AppRunner], host: str, port: int, tls: ssl.SSLContext | None
) -> str:
    """Bind ``app`` and return its address."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GOODBYE_S, keepalive_timeout=_KEEPALIVE_S)
    runners.append(runner)
    await runner.setup()
    site = web.TCPSite(runner, host, port, ssl_context=tls, backlog=_BACKLOG)
    await site.start()
    bound = _port(runner.addresses)
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{bound}"


def _port(addresses: Iterable[object]) -> int:
    first = next(iter(addresses))
    if not isinstance(first, tuple):
        message = "not an internet address"
        raise TypeError(message)
    return int(first[1])
