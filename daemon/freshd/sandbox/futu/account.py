"""Who has an account with Futu's stand-in: the platform account, its brokers, its devices and its checks by a person.

Plain records without rules about operations. One label is given to the platform account and one to each broker: the
names under which everything is counted. ``now`` is wall seconds.
"""

import collections
import dataclasses
import itertools
import secrets
from collections.abc import Iterator, Mapping

from freshd.sandbox.futu.credential import Pile

HK = 6
OVERSEAS = frozenset({2, 3, 4, 5})
_FIRST_UID = 90_000_001
_FIRST_CUSTOMER = 7_000_001


@dataclasses.dataclass(slots=True)
class Window:
    """A rule against haste: a call is too soon unless the last one, granted or refused, lies long enough back."""

    last: float | None = None

    def enter(self, now: float, interval_s: float) -> bool:
        """Note a call; return whether it is too soon."""
        too_soon = self.last is not None and now - self.last < interval_s
        self.last = now
        return too_soon


@dataclasses.dataclass(slots=True, kw_only=True)
class Check:
    """A login that waits for a person; ``code`` is what the last text message said."""

    sig: str = dataclasses.field(repr=False)
    expires_at: float
    code: str | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Broker:
    """One broker of an account. ``customer_id`` is given with the first broker login and anew once it was void."""

    broker_id: int
    label: str
    codes: Pile
    sigs: Pile
    customer_id: int | None = None
    repulls: Window = dataclasses.field(default_factory=Window)


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class FutuAccount:
    """One platform account. ``needs``: what the next login demands, ``device_check``, ``third_factor`` or nothing."""

    uid: int
    name: str
    attribution: int
    label: str
    keep: int
    region_no: str = ""
    devices: set[str] = dataclasses.field(default_factory=set)
    device_sigs: set[str] = dataclasses.field(default_factory=set, repr=False)
    brokers: dict[int, Broker] = dataclasses.field(default_factory=dict)
    needs: str = ""
    device_check: Check | None = None
    third_factor: Check | None = None
    phone: list[str] = dataclasses.field(default_factory=list, repr=False)
    logins: Window = dataclasses.field(default_factory=Window)
    messages: Window = dataclasses.field(default_factory=Window)
    tickets: Pile = dataclasses.field(init=False)
    web_sigs: Pile = dataclasses.field(init=False)
    client_sigs: Pile = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.tickets, self.web_sigs, self.client_sigs = (Pile(self.keep) for _ in range(3))

    @property
    def is_overseas(self) -> bool:
        """Whether moomoo's host serves it."""
        return self.attribution in OVERSEAS

    def add_broker(self, broker_id: int, label: str) -> Broker:
        """Open an account at a broker; it has no code yet. Raises ValueError if there is one."""
        if broker_id in self.brokers:
            raise ValueError("broker_id: there already")
        made = Broker(broker_id=broker_id, label=label, codes=Pile(self.keep), sigs=Pile(self.keep))
        self.brokers[broker_id] = made
        return made

    def attempt(self, now: float, interval_s: float) -> bool:
        """Note a login attempt, which voids what a person was asked before; return whether it is too soon."""
        self.device_check = self.third_factor = None
        return self.logins.enter(now, interval_s)


class FutuAccounts:
    """All accounts. ``poisoned`` are device ids that are refused for ever; ``mistakes`` counts wrong codes on each."""

    def __init__(self, keep: int) -> None:
        """``keep`` bounds the secrets of each kind that an account remembers."""
        self._keep = keep
        self._by_uid: dict[int, FutuAccount] = {}
        self._customers = itertools.count(_FIRST_CUSTOMER)
        self.poisoned: set[str] = set()
        self.mistakes: collections.Counter[str] = collections.Counter()

    def __iter__(self) -> Iterator[FutuAccount]:
        """Iterate over all accounts in the order in which they were opened."""
        return iter(self._by_uid.values())

    def open(self, *, uid: int | None, name: str, attribution: int, label: str, region_no: str = "") -> FutuAccount:
        """Open an account; ``uid`` None takes the next free one. Raises ValueError if uid or name is taken."""
        number = uid if uid is not None else max((_FIRST_UID - 1, *self._by_uid)) + 1
        name = name or f"user{number}@example.org"
        if number in self._by_uid or self.named(name) is not None:
            raise ValueError("uid, account: taken")
        made = FutuAccount(
            uid=number, name=name, attribution=attribution, label=label, keep=self._keep, region_no=region_no
        )
        self._by_uid[number] = made
        return made

    def find(self, uid: int | None) -> FutuAccount | None:
        """Return the account of this uid."""
        return None if uid is None else self._by_uid.get(uid)

    def named(self, name: str) -> FutuAccount | None:
        """Return the account of this name: a mail address, a number, or a phone number without its country."""
        return next((one for one in self if one.name == name), None)

    def asked(self, fields: Mapping[str, object]) -> FutuAccount | None:
        """Return whom a login is about: by uid, or by account where uid is 0 or absent.

        A phone number counts only with ``is_phone`` and the digits of its country.
        """
        uid = fields.get("uid")
        if type(uid) is int and uid:
            return self.find(uid)
        found = self.named(str(fields.get("account", "")))
        if found is not None and found.region_no:
            split = fields.get("is_phone") == "true" and fields.get("region_no") == found.region_no
            return found if split else None
        return found

    def checked(self, sig: str) -> FutuAccount | None:
        """Return the account whose device check has this signature, expired or not."""
        return next((one for one in self if one.device_check is not None and one.device_check.sig == sig), None)

    def customer(self, broker_id: int, customer_id: object, sig: str) -> tuple[FutuAccount, Broker] | None:
        """Return who has this customer id at a broker, or who was given this signature there."""
        signed = None
        for one in self:
            broker = one.brokers.get(broker_id)
            if broker is None:
                continue
            if broker.customer_id is not None and broker.customer_id == customer_id:
                return one, broker
            if broker.sigs.find(sig) is not None:
                signed = one, broker
        return signed

    def customer_id(self, broker: Broker) -> int:
        """Return the broker's customer id, a new one if it has none."""
        if broker.customer_id is None:
            broker.customer_id = next(self._customers)
        return broker.customer_id


def new_device_id() -> str:
    """Return 16 random hex digits."""
    return secrets.token_hex(8)
