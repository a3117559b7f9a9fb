"""aiomqtt's client on a socket of ours, with what it leaves out: why a connection ended, and what a broker says of
a message.

Rules
-----
* One object, one connection; it is never used again.
* The socket is open before the library sees it (`tcp.py`), so nothing of the library's blocks, and none of its threads
  is used.
* The library drops the reason code of a PUBACK and does not notice while it waits for one that the connection has
  ended: callbacks are taken over here, and with them the waiting.
* The library plans for the next turn of the loop that the socket be watched, because it connects on a thread.  Here
  all is one thread, and by the next turn the socket may be closed, or its number another's: it is watched at once.
* A connection that did not answer in time has ended: a frozen broker is left at once, not at the end of the keepalive.
* Importing this file needs aiomqtt (the extra `mqtt`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.client import Client as Paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from freshd.channels.dialer import Ended
from freshd.channels.mqtt_codes import of_goodbye, of_login, of_loss
from freshd.errors import PublishRefused, WireDown

REFUSED_FROM: Final = 0x80
"""Reason codes from here on are failures (MQTT 5, section 2.4)."""
NO_TOPIC: Final = "#"
"""Stands for an empty topic: the library takes one, as MQTT 5 does beside an alias, and brokers hang up on it."""
GOODBYE_SECONDS: Final = 1.0
SILENT: Final = logging.getLogger("freshd.channels.mqtt.library")
SILENT.disabled = True
VERSIONS: Final = {"5": aiomqtt.ProtocolVersion.V5, "3.1.1": aiomqtt.ProtocolVersion.V311}


@dataclass(frozen=True, slots=True)
class Login:
    """What a CONNECT says.  `will`: topic and payload, kept by the broker (retained) when the connection is lost."""

    version: str
    client_id: str
    username: str | None
    password: str | None
    keepalive: int
    clean_start: bool
    deadline: float
    will: tuple[str, bytes] | None

    def __repr__(self) -> str:
        return f"Login(version={self.version})"


class Client(aiomqtt.Client):
    """One connection.  `gone`: resolved with how it ended."""

    def __init__(self, at: tuple[str, int], sock: socket.socket, login: Login) -> None:
        is_5 = login.version == "5"
        super().__init__(
            at[0], at[1], username=login.username, password=login.password, identifier=login.client_id,
            protocol=VERSIONS[login.version], timeout=login.deadline, keepalive=login.keepalive, logger=SILENT,
            will=None if login.will is None else aiomqtt.Will(*login.will, qos=1, retain=True),
            clean_session=None if is_5 else login.clean_start,
            clean_start=login.clean_start if is_5 else MQTT_CLEAN_START_FIRST_ONLY,
        )  # fmt: skip
        self._sock, self._is_wordless = sock, not is_5
        self._client._create_socket = lambda: sock  # type: ignore[method-assign]  # noqa: SLF001 - there is no other way in
        self._answer: asyncio.Future[int] = self._loop.create_future()
        self.gone: asyncio.Future[Ended] = self._loop.create_future()
        self._acks: dict[int, asyncio.Future[int]] = {}
        self._heard: dict[tuple[str, bytes], asyncio.Future[None]] = {}
        self._disconnected.add_done_callback(self._broke)

    async def log_in(self) -> Ended | None:
        """Send CONNECT and wait for the answer: None where we are in, else how it ended."""
        try:
            self._client_connect()
        except (OSError, ValueError) as error:
            return of_loss() if isinstance(error, OSError) else of_login(0x85)
        await self._either(self._answer)
        if self._answer.done():
            code = self._answer.result()
            return None if code == 0 else of_login(code)
        return self.gone.result() if self.gone.done() else of_loss(late=True)

    async def send(self, topic: str, payload: bytes, qos: int, *, retain: bool) -> None:
        """Publish and, at qos 1, wait for the acknowledgement.  Raises WireDown, PublishRefused."""
        if self.gone.done():
            raise WireDown(self.gone.result().reason, "sent again once the channel is connected")
        try:
            info = self._client.publish(topic or NO_TOPIC, payload, qos, retain)
        except ValueError:
            raise PublishRefused("not a topic that can be published to, or too much at once", _MEND) from None
        if info.rc != 0:
            self._end(of_loss())
            raise WireDown("the connection does not take messages", "sent again once the channel is connected")
        if qos:
            self._judge(await self._acknowledged(info.mid))

    async def _acknowledged(self, number: int) -> int:
        """The reason code of the acknowledgement.  Raises WireDown."""
        ack = self._acks[number] = self._loop.create_future()
        try:
            await self._either(ack)
        finally:
            del self._acks[number]
        if ack.done():
            return int(ack.result())
        self._end(of_loss(late=True))
        raise WireDown("a message was not acknowledged", "sent again once the channel is connected")

    def _judge(self, code: int) -> None:
        if code >= REFUSED_FROM:
            raise PublishRefused(f"the broker refused the message with 0x{code:02x}", _MEND)

    async def echoes(self, topic: str, payload: bytes) -> bool | None:
        """Whether a message that we send comes back to a subscription of ours; None where that cannot be told."""
        heard = self._heard[topic, payload] = self._loop.create_future()
        try:
            codes = await self.subscribe(topic, qos=1)
            if any(_number(code) >= REFUSED_FROM for code in codes):
                return None
            await self.send(topic, payload, 1, retain=False)
            await self._either(heard)
            return heard.done() or (None if self.gone.done() else False)
        except (aiomqtt.MqttError, ValueError, WireDown):
            return None
        except PublishRefused:
            return False
        finally:
            del self._heard[topic, payload]
            if not self.gone.done():
                self._client.unsubscribe(topic)

    async def close(self) -> None:
        """Say goodbye where there is somebody to say it to, and let go of the socket."""
        try:
            if self._client.is_connected() and not self.gone.done():
                with contextlib.suppress(Exception):
                    self._client.disconnect()
                    await asyncio.wait({self.gone}, timeout=GOODBYE_SECONDS)
        finally:  # also where a reload does not wait for the goodbye
            self._client._sock_close()  # noqa: SLF001 - nor out, while no answer has come
            self._sock.close()
            self._end(of_loss())
            if self._misc_task is not None:
                self._misc_task.cancel()

    async def _either(self, future: asyncio.Future[Any]) -> None:
        """Return once it is done, the connection has ended, or the deadline has come."""
        some: set[asyncio.Future[Any]] = {future, self.gone}
        await asyncio.wait(some, timeout=self.timeout, return_when=asyncio.FIRST_COMPLETED)

    def _end(self, ended: Ended) -> None:
        if not self.gone.done():
            self.gone.set_result(ended)

    # -- what the library calls ---------------------------------------------------------------------------------------

    def _on_connect(
        self, client: Paho, userdata: Any, flags: ConnectFlags,  # noqa: ANN401 - the library's own
        reason_code: ReasonCode, properties: Properties | None = None,
    ) -> None:  # fmt: skip
        if not self._answer.done():
            self._answer.set_result(reason_code.value)

    def _on_disconnect(
        self, client: Paho, userdata: Any, flags: DisconnectFlags,  # noqa: ANN401 - the library's own
        reason_code: ReasonCode, properties: Properties | None = None,
    ) -> None:  # fmt: skip
        if flags.is_disconnect_packet_from_server:
            self._end(of_goodbye(reason_code.value))
        else:
            self._end(of_loss(may_be_kick=self._is_wordless and self._answer.done()))

    def _on_publish(
        self, client: Paho, userdata: Any, mid: int,  # noqa: ANN401 - the library's own
        reason_code: ReasonCode, properties: Properties,
    ) -> None:  # fmt: skip
        ack = self._acks.get(mid)
        if ack is not None and not ack.done():
            ack.set_result(reason_code.value)

    def _on_unsubscribe(self, *_: object) -> None:
        """Nobody waits for it."""

    def _on_message(self, client: Paho, userdata: Any, message: MQTTMessage) -> None:  # noqa: ANN401 - the library's own
        heard = None if message.retain else self._heard.get((message.topic, bytes(message.payload)))
        if heard is not None and not heard.done():
            heard.set_result(None)

    def _on_socket_open(self, client: Paho, userdata: Any, sock: Any) -> None:  # noqa: ANN401 - the library's own
        self._loop.add_reader(sock.fileno(), self._attempt, self._read)
        self._misc_task = self._loop.create_task(self._misc_loop())

    def _on_socket_close(self, client: Paho, userdata: Any, sock: Any) -> None:  # noqa: ANN401 - the library's own
        if sock.fileno() >= 0:
            self._loop.remove_reader(sock.fileno())
        if self._misc_task is not None:
            self._misc_task.cancel()

    def _on_socket_register_write(self, client: Paho, userdata: Any, sock: Any) -> None:  # noqa: ANN401
        if sock.fileno() >= 0:
            self._loop.add_writer(sock.fileno(), self._attempt, self._client.loop_write)

    def _on_socket_unregister_write(self, client: Paho, userdata: Any, sock: Any) -> None:  # noqa: ANN401
        if sock.fileno() >= 0:
            self._loop.remove_writer(sock.fileno())

    def _attempt(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the connection is of no use any more
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    def _read(self) -> None:
        """All that has come, also what TLS has unwrapped already."""
        self._client.loop_read()
        while isinstance(self._sock, ssl.SSLSocket) and self._sock.fileno() >= 0 and self._sock.pending():
            self._client.loop_read()

    def _broke(self, disconnected: asyncio.Future[None]) -> None:
        """The library met bytes that are no MQTT."""
        if not disconnected.cancelled() and disconnected.exception() is not None:
            self._end(of_loss())


_MEND: Final = "let the broker's access rules allow the login to publish there, or change the prefix"


def _number(code: int | ReasonCode) -> int:
    return code if isinstance(code, int) else code.value
