"""What the operations of GeniusAuth share: registry, people, records, constants, key, and what is broken on purpose."""

import dataclasses
import enum

from freshd.sandbox.geniusauth.apps import App, Apps
from freshd.sandbox.geniusauth.constants import ConstantsBook
from freshd.sandbox.geniusauth.jwt import Signer
from freshd.sandbox.geniusauth.orders import Orders
from freshd.sandbox.geniusauth.people import People, Person
from freshd.sandbox.geniusauth.records import Records
from freshd.sandbox.grants import Ledger

DEFAULT_APPS = (App(app_code="sandboxapp", secret="sandbox-secret"),)


class Broken(enum.StrEnum):
    """What may have failed inside: nothing, the store of tokens, the database, or something nobody expected."""

    NOTHING = ""
    STORE = "store"
    DATABASE = "database"
    FAULT = "fault"


@dataclasses.dataclass(slots=True)
class Counts:
    """Plain totals. ``burnt``: login tokens that are gone although nothing was given for them."""

    redirected: int = 0
    login_pages: int = 0
    burnt: int = 0


class State:
    """All of it. ``offset_s``: how far the service's clock is from the true one."""

    def __init__(self, ledger: Ledger) -> None:
        """Keep the books in ``ledger``."""
        self.records = Records(ledger)
        self.apps = Apps(DEFAULT_APPS)
        self.people = People([Person(uid=8, name="user")])
        self.constants = ConstantsBook()
        self.orders = Orders()
        self.signer = Signer()
        self.broken = Broken.NOTHING
        self.offset_s = 0.0
        self.counts = Counts()
