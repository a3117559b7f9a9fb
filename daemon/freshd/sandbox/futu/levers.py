"""What may be done to Futu's stand-in from behind: open accounts, end secrets, demand checks, change brokers.

Pure, for simulations; the control port is a thin layer over it. ``now`` is true time in wall seconds. Everything raises
ValueError for an account, a broker or a secret that is not there.
"""

import dataclasses
import enum
from collections.abc import Mapping

from freshd.sandbox.futu.account import HK, Broker, FutuAccount, new_device_id
from freshd.sandbox.futu.answer import Fields
from freshd.sandbox.futu.broker import NO_VALID_CID
from freshd.sandbox.futu.credential import Pile, opaque
from freshd.sandbox.futu.login import RAND_KEY_BYTES, code_fields
from freshd.sandbox.futu.script import Line
from freshd.sandbox.futu.state import FutuState
from freshd.sandbox.tokens import fresh


class Thing(enum.StrEnum):
    """What can be ended; the last three belong to a broker."""

    TICKET = "tgtgt"
    WEB_SIG = "web_sig"
    CLIENT_SIG = "client_sig"
    AUTH_CODE = "auth_code"
    BROKER_SIG = "broker_client_sig"
    CUSTOMER_ID = "customer_id"


class Need(enum.StrEnum):
    """What the next login, and all until it is passed, may demand of a person."""

    NOTHING = ""
    DEVICE_CHECK = "device_check"
    THIRD_FACTOR = "third_factor"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """An account to be opened. ``label`` names the daemon's platform account; what is left empty is made up."""

    label: str
    uid: int | None = None
    account: str = ""
    attribution: int = HK
    device_id: str = ""
    region_no: str = ""


class FutuLevers:
    """The levers."""

    def __init__(self, state: FutuState) -> None:
        """Work on ``state``."""
        self._state = state

    def open(self, wish: Opening, brokers: Mapping[int, str], now: float) -> Fields:
        """Open an account with brokers (id → label), as if just logged in; return what a client would have kept."""
        account = self._state.accounts.open(
            uid=wish.uid,
            name=wish.account,
            attribution=wish.attribution,
            label=wish.label,
            region_no=wish.region_no,
        )
        for broker_id, label in brokers.items():
            account.add_broker(broker_id, label)
        device_id = wish.device_id or new_device_id()
        account.devices.add(device_id)
        return {
            "account": account.name,
            "uid": account.uid,
            "user_attribution": account.attribution,
            "device_id": device_id,
            "rand_key": opaque(RAND_KEY_BYTES),
            **self._first_secrets(account, now + self._state.offset_s),
        }

    def _first_secrets(self, account: FutuAccount, now: float) -> Fields:
        promises = self._state.promises(account)
        device_sig = "" if account.is_overseas else fresh("ds")
        account.device_sigs.update({device_sig} - {""})
        listed = []
        for broker in account.brokers.values():
            code = broker.codes.issue(fresh("ac"), now, promises.FUTU_SIM_AUTH_CODE_TTL_S)
            listed.append(code_fields(broker, code, promises))
        return {
            "tgtgt": account.tickets.issue(fresh("tg"), now, promises.FUTU_SIM_TGTGT_TTL_S).text,
            "device_sig": device_sig,
            "web_sig": account.web_sigs.issue(fresh("ws"), now, promises.FUTU_SIM_WEB_SIG_TTL_S).text,
            "auth_code_list": listed,
        }

    def account(self, uid: int) -> FutuAccount:
        """Return the account of this uid."""
        found = self._state.accounts.find(uid)
        if found is None:
            raise ValueError("uid: unknown")
        return found

    def broker(self, uid: int, broker_id: int | None) -> Broker:
        """Return one broker of an account."""
        found = self.account(uid).brokers.get(broker_id or 0)
        if found is None:
            raise ValueError("broker_id: not one of this account's")
        return found

    def expire(self, uid: int, thing: Thing, broker_id: int | None, now: float) -> int:
        """Let secrets of one kind reach their end now; return how many lived."""
        return self._pile(uid, thing, broker_id).expire(now + self._state.offset_s)

    def void(self, uid: int, thing: Thing, broker_id: int | None, *, count: int | None = 1) -> int:
        """Make secrets of one kind worthless now; return how many were not.

        Without a customer id the broker's next ``count`` repulls (None: all) find no valid one; the exchange that
        follows makes a new one.
        """
        if thing is not Thing.CUSTOMER_ID:
            return self._pile(uid, thing, broker_id).void()
        broker = self.broker(uid, broker_id)
        had, broker.customer_id = broker.customer_id, None
        line = Line(operation="repull", uid=uid, broker_id=broker.broker_id, code=NO_VALID_CID, count=count)
        self._state.script.add(line)
        return int(had is not None)

    def require(self, uid: int, need: Need) -> None:
        """Let logins demand a person until the check was passed."""
        self.account(uid).needs = need.value

    def poison(self, device_id: str) -> None:
        """Let logins with a device id be refused for ever."""
        self._state.accounts.poisoned.add(device_id)

    def add_broker(self, uid: int, broker_id: int, label: str) -> None:
        """Open an account at one more broker; its first code comes with the next platform login."""
        self.account(uid).add_broker(broker_id, label)
        self._state.tell_brokers_changed(uid)

    def remove_broker(self, uid: int, broker_id: int) -> None:
        """Close the account at a broker, with all its secrets."""
        del self.account(uid).brokers[self.broker(uid, broker_id).broker_id]
        self._state.tell_brokers_changed(uid)

    def _pile(self, uid: int, thing: Thing, broker_id: int | None) -> Pile:
        account = self.account(uid)
        match thing:
            case Thing.TICKET:
                return account.tickets
            case Thing.WEB_SIG:
                return account.web_sigs
            case Thing.CLIENT_SIG:
                return account.client_sigs
            case Thing.AUTH_CODE:
                return self.broker(uid, broker_id).codes
            case Thing.BROKER_SIG:
                return self.broker(uid, broker_id).sigs
        raise ValueError(f"what: {thing} has no end, only void")
