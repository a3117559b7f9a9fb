"""The trading connection of Futu's stand-in, as a stand-in of its own: JSON objects in place of the real frames.

The real protocol is binary and partly encrypted; nothing of it is imitated but the meaning of a few commands. One
connection is one TradeLine: it belongs to a broker or to the platform from its login on, and a command of the other
channel is unknown there. No sockets, no clock: ``now`` is wall seconds. ``futu_line`` puts it on the wire.
"""

import enum
from collections.abc import Mapping

from freshd.sandbox.futu.account import Broker, FutuAccount
from freshd.sandbox.futu.answer import Fields
from freshd.sandbox.futu.books import bump
from freshd.sandbox.futu.credential import Credential, Standing, standing
from freshd.sandbox.futu.platform import LONG_AWAY
from freshd.sandbox.futu.state import FutuState

UNKNOWN_COMMAND = -102
OK = 0


class Command(enum.IntEnum):
    """The commands that are understood; ``BROKERS_CHANGED`` is only ever pushed."""

    BROKER_LOGIN = 1001
    BROKER_HEARTBEAT = 1003
    PLATFORM_LOGIN = 6001
    PLATFORM_HEARTBEAT = 6003
    BROKER_LIST = 20176
    BROKERS_CHANGED = 20177


class TradeLine:
    """One connection. ``account`` and ``broker`` are None until a login; a platform line never has a broker."""

    def __init__(self, state: FutuState) -> None:
        """Open a line that has said nothing yet."""
        self._state = state
        self.account: FutuAccount | None = None
        self.broker: Broker | None = None

    @property
    def is_platform(self) -> bool:
        """Whether it is logged in to the platform."""
        return self.account is not None and self.broker is None

    @property
    def keep_alive_s(self) -> float:
        """How often it must hear a heartbeat."""
        return self._state.promises(self.account).FUTU_SIM_KEEPALIVE_S

    @property
    def patience_s(self) -> float:
        """How long it may hear no heartbeat before it counts as dead."""
        return self.keep_alive_s * self._state.promises(self.account).FUTU_SIM_HEARTBEAT_MISSES

    def hear(self, message: Mapping[str, object], now: float) -> Fields:
        """Answer one command; ``now`` is true time."""
        now += self._state.offset_s
        command = message.get("cmd")
        if command == Command.BROKER_LOGIN and not self.is_platform:
            return self._broker_login(message, now)
        if command == Command.PLATFORM_LOGIN and self.broker is None:
            return self._platform_login(message, now)
        if self.account is not None and command in self._understood():
            return self._serve(command, self.account)
        return {"cmd": command, "ret": UNKNOWN_COMMAND}

    def is_heartbeat(self, message: Mapping[str, object]) -> bool:
        """Whether a message keeps this line alive: a heartbeat of its own channel, or a login."""
        heartbeat = Command.PLATFORM_HEARTBEAT if self.is_platform else Command.BROKER_HEARTBEAT
        return message.get("cmd") in (heartbeat, Command.BROKER_LOGIN, Command.PLATFORM_LOGIN)

    def _understood(self) -> tuple[object, ...]:
        if self.is_platform:
            return (Command.PLATFORM_HEARTBEAT, Command.BROKER_LIST)
        return (Command.BROKER_HEARTBEAT,)

    def _serve(self, command: object, account: FutuAccount) -> Fields:
        if command == Command.BROKER_LIST:
            return {"cmd": command, "ret": OK, "broker_ids": sorted(account.brokers)}
        self._state.books.tally(account.uid).heartbeats += 1
        return {"cmd": command, "ret": OK}

    def _broker_login(self, message: Mapping[str, object], now: float) -> Fields:
        broker_id, customer_id = message.get("broker_id"), message.get("customer_id")
        shown = str(message.get("broker_client_sig", ""))
        known = self._state.accounts.customer(broker_id, customer_id, shown) if type(broker_id) is int else None
        if known is None:
            ret = self._state.promises(None).FUTU_SIM_ERR_BROKER_SIG_REFUSED
            return {"cmd": Command.BROKER_LOGIN, "ret": ret}
        account, broker = known
        tally = self._state.books.tally(account.uid)
        sig = broker.sigs.find(shown) if broker.customer_id == customer_id else None
        refused = self._state.promises(account).FUTU_SIM_ERR_BROKER_SIG_REFUSED
        ret = self._judged("trade_login", account, broker, sig, refused, now)
        if ret != OK:
            bump(tally.trade_refusals, broker.broker_id)
            return {"cmd": Command.BROKER_LOGIN, "ret": ret}
        bump(tally.trade_logins, broker.broker_id)
        self.account, self.broker = account, broker
        return {"cmd": Command.BROKER_LOGIN, "ret": OK, "keep_alive": self.keep_alive_s}

    def _platform_login(self, message: Mapping[str, object], now: float) -> Fields:
        uid = message.get("uid")
        account = self._state.accounts.find(uid) if type(uid) is int else None
        if account is None:
            return {"cmd": Command.PLATFORM_LOGIN, "ret": LONG_AWAY}
        tally = self._state.books.tally(account.uid)
        sig = account.client_sigs.find(str(message.get("client_sig", "")))
        ret = self._judged("platform_connect", account, None, sig, LONG_AWAY, now)
        if ret != OK:
            tally.platform_refusals += 1
            return {"cmd": Command.PLATFORM_LOGIN, "ret": ret}
        tally.platform_logins += 1
        self.account = account
        return {"cmd": Command.PLATFORM_LOGIN, "ret": OK, "keep_alive": self.keep_alive_s}

    def _judged(
        self,
        operation: str,
        account: FutuAccount,
        broker: Broker | None,
        sig: Credential | None,
        refused: int,
        now: float,
    ) -> int:
        """Return the number a login is answered with: what was ordered, or what the signature is worth."""
        line = self._state.script.take(operation, account.uid, None if broker is None else broker.broker_id)
        if line is not None and line.code is not None:
            return line.code
        if sig is None or standing(sig, now) is not Standing.LIVE:
            return refused
        sig.present()
        return OK
