"""Channels of kind `mqtt`: a login at a broker, MQTT 5 or 3.1.1, with a lease.  What is said over it is an outlet's.

Rules
-----
* User name, password and client id are templates over the lease, filled for each login; a password of its own is
  resolved for each login.  Neither is in any fact, event or error (I10).
* A broker checks a login when it is made, so a connection outlives its lease unless `relogin` says otherwise.
* Nothing is subscribed to.
* Cancelled, it says its last word, disconnects, and the broker keeps no will.
* A certificate that is not trusted is met with patience, for nothing was sent: brokers renew theirs too.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from freshd.channels import tcp
from freshd.channels.dialer import Ended, Facts, Why
from freshd.channels.mqtt_options import INSTALL, SECRETS, Options, json_schema, parse
from freshd.channels.speaker import Resolve, Speaker
from freshd.channels.template import TOKEN, NoSuchField, Template, values_of
from freshd.core.model import Lease
from freshd.core.settings import ChannelSettings, SecretRef
from freshd.errors import FreshdError, WireDown

if TYPE_CHECKING:
    from freshd.channels.mqtt_client import Client, Login

__all__ = ["SECRETS", "MqttDialer", "json_schema", "make", "parse"]

LAST_WORD_SECONDS: Final = 2.0
DISTRUST_SECONDS: Final = 300.0
LONGEST_TEXT: Final = 65_535
"""Bytes that a field of a CONNECT can hold."""


class _NoLogin(Exception):
    """No login can be made of what there is."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.code)
        self.ended = ended


class MqttWire:
    """`ports.Wire` over one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Return once the broker has taken it.  Raises WireDown, PublishRefused."""
        await self._client.send(topic, payload, qos, retain=retain)

    async def is_heard(self, topic: str, payload: bytes) -> bool | None:
        """Whether a message of ours comes back; False too where the broker lets us publish but not read there."""
        return await self._client.echoes(topic, payload)


class MqttDialer:
    """One channel.

    follows_lease  the runner logs in again when the lease is renewed
    is_foreign     a broker is not the account's own service: its codes say nothing to the provider, the status does
    """

    is_foreign = True

    def __init__(self, settings: ChannelSettings, options: Options) -> None:
        self._settings, self._options = settings, options
        self._templates = options.templates(settings.account)
        self._resolve: Resolve | None = None
        self._speaker: Speaker | None = None
        self.follows_lease = options.relogin

    def equip(self, resolve: Resolve, speaker: Speaker | None) -> None:
        """Say how secrets of the configuration are had, and who speaks over the connection."""
        self._resolve, self._speaker = resolve, speaker

    async def hold(self, lease: Lease | None, up: Callable[[Facts], None]) -> Ended:
        """Log in, call `up`, and stay until the connection ends."""
        try:
            from freshd.channels import mqtt_client  # noqa: PLC0415 - an extra; loads a library
        except ImportError:
            return Ended(Why.WRONG, "not-installed", f"aiomqtt is not installed: {INSTALL}")
        try:
            login = await self._login(lease, mqtt_client.Login)
            sock = await self._socket()
        except _NoLogin as no:
            return no.ended
        client = mqtt_client.Client(self._options.at, sock, login)
        try:
            ended = await client.log_in()
            if ended is not None:
                return ended
            up(self._facts(login))
            return await self._stay(client)
        finally:
            await client.close()

    async def _stay(self, client: Client) -> Ended:
        wire = MqttWire(client)
        speaker = self._speaker
        speaking = None if speaker is None else asyncio.create_task(speaker.serve(wire), name="mqtt-speaker")
        try:
            some: set[asyncio.Future[Any]] = {client.gone} | ({speaking} if speaking else set())
            await asyncio.wait(some, return_when=asyncio.FIRST_COMPLETED)
            if speaking is not None and speaking.done():
                with contextlib.suppress(WireDown):
                    speaking.result()
            if not client.gone.done():
                await asyncio.wait({client.gone})
            return client.gone.result()
        except asyncio.CancelledError:
            await _ended(speaking)
            if speaker is not None and not client.gone.done():
                with contextlib.suppress(FreshdError, TimeoutError):
                    async with asyncio.timeout(LAST_WORD_SECONDS):
                        await speaker.farewell(wire)
            raise
        finally:
            await _ended(speaking)

    # -- making the login ---------------------------------------------------------------------------------------------

    async def _login(self, lease: Lease | None, form: type[Login]) -> Login:
        values = values_of(self._settings.account, self._settings.name, socket.gethostname(), lease)
        texts = {key: _filled(key, template, values) for key, template in self._templates.items()}
        options, password = self._options, texts.get("password")
        if isinstance(options.password, SecretRef):
            password = await self._secret(options.password)
        return form(
            options.version, texts["client_id"], texts.get("username"), password, options.keepalive,
            options.clean_start, options.deadline, None if self._speaker is None else self._speaker.will,
        )  # fmt: skip

    async def _secret(self, ref: SecretRef) -> str:
        try:
            if self._resolve is not None:
                return (await self._resolve(ref)).reveal()
        except FreshdError as error:
            raise _NoLogin(Ended(Why.LOST, error.type, error.cause)) from None
        raise _NoLogin(Ended(Why.WRONG, "no-secret", "nobody resolves the password's reference"))

    async def _socket(self) -> socket.socket:
        host, port = self._options.at
        try:
            trust = await asyncio.to_thread(self._trust) if self._options.tls else None
        except OSError:  # ssl.SSLError is one
            reason = "ca_file, cert_file or key_file cannot be read or used"
            raise _NoLogin(Ended(Why.WRONG, "tls-files", reason)) from None
        try:
            return await tcp.opened(host, port, trust, self._options.deadline)
        except (OSError, UnicodeError) as error:
            raise _NoLogin(_unreached(error)) from None

    def _trust(self) -> ssl.SSLContext:
        trust = ssl.create_default_context(cafile=self._options.ca_file)
        if self._options.cert_file is not None:
            trust.load_cert_chain(self._options.cert_file, self._options.key_file, password=lambda: "")
        return trust

    def _facts(self, login: Login) -> Facts:
        host, port = self._options.at
        shown = TOKEN not in self._templates["client_id"].names
        facts: dict[str, str | bool] = {"broker": f"{host}:{port}", "tls": self._options.tls, "mqtt": login.version}
        return facts | ({"client_id": login.client_id} if shown else {})


def make(settings: ChannelSettings) -> MqttDialer:
    """The dialer of one configured channel."""
    return MqttDialer(settings, Options.model_validate(dict(settings.options)))


def _filled(key: str, template: Template, values: Mapping[str, str]) -> str:
    try:
        text = template.fill(values)
    except NoSuchField as no:
        known = ", ".join(sorted(no.known))
        raise _NoLogin(Ended(Why.WRONG, "no-such-field", f"{key} names {no.name}; there are: {known}")) from None
    if len(text.encode(errors="replace")) > LONGEST_TEXT or "\0" in text:
        raise _NoLogin(Ended(Why.WRONG, "no-text", f"{key} comes to something that MQTT cannot carry"))
    return text


def _unreached(error: Exception) -> Ended:
    """Why there is no connection, by the kind of the error alone."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = "the broker's certificate is not trusted; write ca_file, or correct host"
        return Ended(Why.LOST, "not-trusted", reason, wait=DISTRUST_SECONDS)
    if isinstance(error, ssl.SSLError):
        return Ended(Why.LOST, "tls", "no TLS with the broker; is this its TLS port?")
    if isinstance(error, TimeoutError):
        return Ended(Why.LOST, "no-connection", "the broker was not reached in time")
    if isinstance(error, socket.gaierror | UnicodeError):
        return Ended(Why.LOST, "no-address", "the broker's name leads to no address")
    return Ended(Why.LOST, "no-connection", f"the broker cannot be reached ({type(error).__name__})")


async def _ended(task: asyncio.Task[None] | None) -> None:
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait({task})
