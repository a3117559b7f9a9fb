"""The trading stand-in: its commands on a line without sockets, then its socket."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from freshd.sandbox.futu.levers import FutuLevers, Opening, Thing
from freshd.sandbox.futu.trade import TradeLine
from tests.sandbox.conftest import Peer, until
from tests.sandbox.futu_bed import BROKERS, HK, UID, US, Bed


@pytest.fixture
def bed() -> Bed:
    made = Bed()
    made.login()
    made.auth()
    return made


def platform(bed: Bed) -> TradeLine:
    line = bed.trade()
    said = line.hear({"cmd": 6001, "uid": UID, "client_sig": bed.kept["client_sig"]}, bed.at)
    assert said == {"cmd": 6001, "ret": 0, "keep_alive": 30}
    return line


def broker(bed: Bed) -> TradeLine:
    line = bed.trade()
    assert bed.trade_login(line) == 0
    return line


def test_a_broker_login_tells_the_interval_of_heartbeats(bed: Bed) -> None:
    lease = bed.leases[HK]
    message = {"cmd": 1001, "broker_id": HK, **{n: lease[n] for n in ("customer_id", "broker_client_sig")}}
    assert bed.trade().hear(message, bed.at) == {"cmd": 1001, "ret": 0, "keep_alive": 30}


@pytest.mark.parametrize(
    "over", [{"broker_client_sig": "x"}, {"broker_client_sig": None}, {"customer_id": "x"}, {"broker_id": US}]
)
def test_a_broker_login_needs_the_right_three(bed: Bed, over: dict[str, Any]) -> None:
    assert bed.trade_login(bed.trade(), **over) == 990005


def test_a_broker_signature_ends_and_can_be_ended(bed: Bed) -> None:
    bed.pass_(1799)
    assert bed.trade_login(bed.trade()) == 0
    bed.pass_(1)
    assert bed.trade_login(bed.trade()) == 990005
    bed.repull()
    bed.auth()
    assert bed.levers.void(UID, Thing.BROKER_SIG, HK) == 1
    assert bed.trade_login(bed.trade()) == 990005
    assert bed.tally.trade_refusals == {HK: 2}


def test_a_line_that_is_up_outlives_its_signature(bed: Bed) -> None:
    line = broker(bed)
    bed.pass_(10_000)
    assert line.hear({"cmd": 1003}, bed.at) == {"cmd": 1003, "ret": 0}
    assert bed.tally.heartbeats == 1


@pytest.mark.parametrize("command", [1003, 6003, 20176, 20177, 9429, None, "1001", [1]])
def test_before_a_login_nothing_else_is_known(bed: Bed, command: object) -> None:
    assert bed.trade().hear({"cmd": command}, bed.at)["ret"] == -102


def test_a_command_of_the_other_channel_is_unknown(bed: Bed) -> None:
    for line, commands in ((broker(bed), (6001, 6003, 20176)), (platform(bed), (1001, 1003))):
        assert [line.hear({"cmd": command}, bed.at)["ret"] for command in commands] == [-102] * len(commands)
        assert not line.is_heartbeat({"cmd": commands[1]})


def test_the_platform_lists_the_brokers(bed: Bed) -> None:
    line = platform(bed)
    assert line.hear({"cmd": 6003}, bed.at) == {"cmd": 6003, "ret": 0}
    assert line.hear({"cmd": 20176}, bed.at) == {"cmd": 20176, "ret": 0, "broker_ids": [HK, US]}


def test_a_platform_login_needs_a_living_signature(bed: Bed) -> None:
    message = {"cmd": 6001, "uid": UID, "client_sig": bed.kept["client_sig"]}
    for over in ({"client_sig": "x"}, {"uid": 5}, {"uid": "x"}):
        assert bed.trade().hear({**message, **over}, bed.at)["ret"] == 15
    bed.pass_(172800)
    assert bed.trade().hear(message, bed.at)["ret"] == 15
    assert bed.tally.platform_refusals == 2


# -- the socket -------------------------------------------------------------------------------------------------------


class Phone:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, **message: Any) -> dict[str, Any]:
        self.writer.write(json.dumps(message).encode() + b"\n")
        return await self.hear()

    async def hear(self) -> dict[str, Any]:
        """The next object; raises ConnectionError once the other end has hung up."""
        text = await self.reader.readline()
        if not text:
            raise ConnectionResetError
        said: dict[str, Any] = json.loads(text)
        return said


class Home:
    """A running sandbox with an account whose leases are at hand, and the connections to it."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.futu = peer.running.futu
        self.now = peer.running.service.now()
        FutuLevers(self.futu.state).open(Opening(label="futu"), BROKERS, self.now)
        account = self.futu.state.accounts.find(UID)
        assert account is not None
        self.client_sig = account.client_sigs.issue("cs", self.now, 1000).text
        self.leases = {}
        for number, one in account.brokers.items():
            customer_id = self.futu.state.accounts.customer_id(one)
            sig = one.sigs.issue(f"bs{number}", self.now, 1000).text
            self.leases[number] = {"broker_id": number, "customer_id": customer_id, "broker_client_sig": sig}
        self.phones: list[Phone] = []

    async def dial(self) -> Phone:
        host, _, port = self.peer.running.trade.url.removeprefix("tcp://").rpartition(":")
        phone = Phone(*await asyncio.open_connection(host, int(port)))
        self.phones.append(phone)
        return phone

    async def broker(self, broker_id: int = HK) -> Phone:
        phone = await self.dial()
        assert (await phone.say(cmd=1001, **self.leases[broker_id]))["ret"] == 0
        return phone

    async def platform(self) -> Phone:
        phone = await self.dial()
        assert (await phone.say(cmd=6001, uid=UID, client_sig=self.client_sig))["ret"] == 0
        return phone


@pytest.fixture
async def home(peer: Peer) -> AsyncIterator[Home]:
    made = Home(peer)
    yield made
    for phone in made.phones:
        phone.writer.close()


async def test_lines_may_come_in_pieces_and_together(home: Home) -> None:
    phone = await home.broker()
    phone.writer.write(b'{"cmd": 10')
    phone.writer.write(b'03}\n{"cmd": 6003}\n')
    assert [(await phone.hear())["ret"], (await phone.hear())["ret"]] == [0, -102]


@pytest.mark.parametrize("text", [b"x\n", b"[]\n", b"\xff\n", b"\n", b" " * 100_000])
async def test_what_is_no_object_ends_the_connection(home: Home, text: bytes) -> None:
    phone = await home.broker()
    phone.writer.write(text)
    assert await phone.reader.read() == b""


async def test_a_change_of_the_brokers_is_pushed_to_the_platform_line_alone(home: Home) -> None:
    platform, broker = await home.platform(), await home.broker()
    answer = await home.peer.control("POST", "/futu/brokers", uid=UID, broker_id=1008, label="sg")
    assert answer == {"broker_ids": [HK, US, 1008]}
    assert await platform.hear() == {"cmd": 20177}
    answer = await home.peer.control("DELETE", f"/futu/brokers?uid={UID}&broker_id={US}")
    assert answer == {"broker_ids": [HK, 1008]}
    assert await platform.hear() == {"cmd": 20177}
    assert (await broker.say(cmd=1003))["cmd"] == 1003


async def test_three_heartbeats_missed_close_the_connection(home: Home) -> None:
    await home.peer.control("PATCH", "/futu/constants", uid=UID, FUTU_SIM_KEEPALIVE_S=0.001)
    phone = await home.broker()
    assert await phone.reader.read() == b""
    assert home.futu.state.books.tally(UID).lost_heartbeats == 1


async def test_a_heartbeat_of_the_other_channel_keeps_nothing_alive(home: Home) -> None:
    await home.peer.control("PATCH", "/futu/constants", uid=UID, FUTU_SIM_KEEPALIVE_S=0.01)
    phone = await home.broker()
    with contextlib.suppress(ConnectionError):  # the line may die between our words and its answer
        while (await phone.say(cmd=6003))["ret"] == -102:
            pass
    assert home.futu.state.books.tally(UID).lost_heartbeats == 1


async def test_connections_can_be_kicked(home: Home) -> None:
    hk, us, platform = await home.broker(HK), await home.broker(US), await home.platform()
    assert await home.peer.control("POST", "/futu/kick", uid=UID, broker_id=HK) == {"kicked": 1}
    assert await hk.reader.read() == b""
    assert (await us.say(cmd=1003))["ret"] == 0
    assert await home.peer.control("POST", "/futu/kick", uid=5) == {"kicked": 0}
    assert await home.peer.control("POST", "/futu/kick") == {"kicked": 2}
    assert await platform.reader.read() == b""
    assert home.futu.state.books.tally(UID).kicked == 3


async def test_logins_can_be_refused(home: Home) -> None:
    await home.peer.control("POST", "/futu/script", operation="trade_login", code=990005, count=1)
    phone = await home.dial()
    assert (await phone.say(cmd=1001, **home.leases[HK]))["ret"] == 990005
    assert (await phone.say(cmd=1001, **home.leases[HK]))["ret"] == 0


async def test_closing_the_sandbox_hangs_up(home: Home) -> None:
    phone = await home.broker()
    await home.peer.running.aclose()
    assert await phone.reader.read() == b""


async def test_a_caller_that_hangs_up_is_forgotten(home: Home) -> None:
    phone = await home.broker()
    phone.writer.close()
    await until(lambda: not home.peer.running.trade._wires)
