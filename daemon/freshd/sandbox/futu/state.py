"""What the operations of Futu's stand-in share: constants, accounts, orders, books, and whom to tell of changes."""

import dataclasses
import enum
from collections.abc import Callable

from freshd.sandbox.futu.account import FutuAccount, FutuAccounts
from freshd.sandbox.futu.books import FutuBooks
from freshd.sandbox.futu.constants import ConstantBook, FutuConstants
from freshd.sandbox.futu.script import Script


class Platform(enum.StrEnum):
    """Which platform's host this is; ``ANY`` serves every account."""

    ANY = "any"
    FUTUNN = "futunn"
    MOOMOO = "moomoo"


HOSTS = {"auth.futunn.com": Platform.FUTUNN, "auth.moomoo.com": Platform.MOOMOO}
DEVICE_FIELDS = ("device_id", "device_alias", "device_type", "os_ver")


@dataclasses.dataclass(slots=True)
class FutuState:
    """The state. ``offset_s`` is how far the service's clock is from the true time.

    ``on_brokers_changed`` are called with a uid when a broker was added to it or taken away.
    """

    books: FutuBooks
    accounts: FutuAccounts
    constants: ConstantBook = dataclasses.field(default_factory=ConstantBook)
    script: Script = dataclasses.field(default_factory=Script)
    platform: Platform = Platform.ANY
    offset_s: float = 0.0
    on_brokers_changed: list[Callable[[int], None]] = dataclasses.field(default_factory=list)

    def promises(self, account: FutuAccount | None) -> FutuConstants:
        """Return the constants in force for an account, or everybody's."""
        return self.constants.of(None if account is None else account.uid)

    def host(self, named: str) -> Platform:
        """Return which platform a Host header names; any other name is this service's own."""
        return HOSTS.get(named.partition(":")[0].lower(), self.platform)

    def tell_brokers_changed(self, uid: int) -> None:
        """Tell everybody who listens."""
        for told in self.on_brokers_changed:
            told(uid)
