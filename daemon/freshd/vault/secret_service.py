"""The Secret Service of a desktop (gnome-keyring, KeePassXC …), through the `keyring` library, over held sessions.

Rules
-----
* A session belongs to one thread for the length of one call.  A call takes one that is free, or opens one; as many are
  kept as were in use at once.  A call that hangs has its session to itself and holds up no other.
* Whatever fails on a session closes it, unless the answer itself was a plain no (locked, absent, no collection).  Where
  the session was a held one, the call is made once more on a new one: its daemon may have been replaced since.
* A write whose fate is unknown is never simply repeated: the entry is looked at first.
* Every wait for an answer ends.  A write given up so may still land, so its thread does not come back before the
  keyring has answered on a new session: a daemon takes up what it was sent in its order, and whoever writes that entry
  next (`calls`: one at a time) writes on top, never beneath.
* No prompt is ever raised: nobody sits before a daemon.
* Must not: be imported where there is no Secret Service (`keyring` loads it by need).
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

import secretstorage
from jeepney import DBusErrorResponse  # type: ignore[import-untyped]
from jeepney.bus import get_bus  # type: ignore[import-untyped]
from jeepney.io.blocking import DBusConnection, prep_socket  # type: ignore[import-untyped]
from keyring.backends.SecretService import Keyring
from keyring.errors import KeyringLocked, PasswordDeleteError
from secretstorage.exceptions import ItemNotFoundException, LockedException, SecretServiceNotAvailableException
from secretstorage.util import open_session

T = TypeVar("T")
_Keyring: Any = Keyring
"""The library's methods have no types."""

ANSWER_SECONDS: Final = 10.0
"""As long as a caller waits for a whole call (`calls.DEADLINE_SECONDS`): whoever hears of it waits no more."""
BUS_SECONDS: Final = 5.0
"""For the greeting of the session bus, which takes a millisecond."""
LOCKED_ERROR: Final = "org.freedesktop.Secret.Error.IsLocked"
"""Locked between our look and our write."""


class NoCollection(Exception):
    """The service is there, and has no default collection."""


PLAIN_NO: Final = (KeyringLocked, LockedException, PasswordDeleteError, NoCollection)
"""Answers of a living session."""


class Line:
    """A connection to the session bus, as `secretstorage` uses one, that outlives the library's calls."""

    def __init__(self, patience: float) -> None:
        try:
            self._connection = _dialled()
        except KeyError as error:
            raise SecretServiceNotAvailableException(f"{error.args[0]} is not set") from None
        except (ConnectionError, FileNotFoundError, ValueError) as error:
            raise SecretServiceNotAvailableException(type(error).__name__) from None
        self._patience = patience

    def send_and_get_reply(self, message: Any) -> Any:  # noqa: ANN401 - jeepney has no types
        """Raises TimeoutError."""
        return self._connection.send_and_get_reply(message, timeout=self._patience)

    def filter(self, _rule: object) -> contextlib.AbstractContextManager[Any]:
        """Whoever listens for signals is about to show a prompt.  Raises KeyringLocked instead."""
        raise KeyringLocked

    def close(self) -> None:
        """The library closes after each call; the line is held."""

    def hang_up(self) -> None:
        """Close it."""
        self._connection.close()


def _dialled() -> Any:  # noqa: ANN401 - jeepney has no types
    """A connection, or no socket left open."""
    bus = prep_socket(get_bus("SESSION"), timeout=BUS_SECONDS)
    try:
        return DBusConnection(bus)
    except BaseException:
        bus.close()
        raise


class Session(_Keyring):  # type: ignore[misc]
    """The library's back end over one line with one session.  For one thread at a time.  Never prompts."""

    viable = False  # for the library's own search: this class is made for nobody else

    def __init__(self, patience: float = ANSWER_SECONDS) -> None:
        super().__init__()
        self._line = Line(patience)
        try:
            self._session = open_session(self._line)
        except BaseException:
            self._line.hang_up()
            raise

    def get_preferred_collection(self) -> Any:  # noqa: ANN401 - the library has no types
        """The default collection, looked up anew: its owner may have been replaced.  Raises of `PLAIN_NO`."""
        try:
            collection = secretstorage.get_collection_by_alias(self._line, "default")
        except ItemNotFoundException:
            raise NoCollection from None
        collection.session = self._session
        if collection.is_locked():
            raise KeyringLocked
        return collection

    def unlock(self, item: Any) -> None:  # noqa: ANN401
        """Do not; say that it would be needed."""
        if item.is_locked():
            raise KeyringLocked

    def hang_up(self) -> None:
        """Close the line; a session ends with it."""
        self._line.hang_up()


class SecretService:
    """What the library's back end does, from any thread, over sessions that are held."""

    def __init__(self, patience: float = ANSWER_SECONDS) -> None:
        self._patience = patience
        self._free: list[Session] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _hang_up, self._free)

    def get_password(self, service: str, entry: str) -> str | None:
        """None: no such entry in an unlocked keyring."""
        value: str | None = self._ask(lambda one: one.get_password(service, entry))
        return value

    def set_password(self, service: str, entry: str, value: str) -> None:
        """Write.  Raises TimeoutError once it cannot land on top of a later write any more."""

        def write(one: Session) -> None:
            one.set_password(service, entry, value)

        def write_if_need_be(one: Session) -> None:
            if one.get_password(service, entry) != value:
                write(one)

        self._change(write, write_if_need_be)

    def delete_password(self, service: str, entry: str) -> None:
        """Delete.  Raises PasswordDeleteError where there is no such entry, TimeoutError as `set_password`."""

        def delete(one: Session) -> None:
            one.delete_password(service, entry)

        self._change(delete, delete)

    def close(self) -> None:
        """Hang up what is held and free."""
        with self._lock:
            _hang_up(self._free)

    def _change(self, call: Callable[[Session], None], again: Callable[[Session], None]) -> None:
        try:
            self._ask(call, again)
        except TimeoutError:
            self._outwait()
            raise

    def _ask(self, call: Callable[[Session], T], again: Callable[[Session], T] | None = None) -> T:
        """`again`: what is done in place of `call` once its fate on a held session is unknown."""
        held = self._take()
        if held is not None:
            try:
                return self._use(held, call)
            except (*PLAIN_NO, TimeoutError):
                raise
            except Exception:  # noqa: BLE001 - dead, however it shows
                self.close()  # the others were opened with the same daemon
                call = again or call
        return self._use(Session(self._patience), call)

    def _take(self) -> Session | None:
        with self._lock:
            return self._free.pop() if self._free else None

    def _use(self, one: Session, call: Callable[[Session], T]) -> T:
        try:
            value = call(one)
        except PLAIN_NO:
            self._keep(one)
            raise
        except BaseException as error:
            if isinstance(error, DBusErrorResponse) and error.name == LOCKED_ERROR:
                self._keep(one)
                raise KeyringLocked from None
            one.hang_up()
            raise
        self._keep(one)
        return value

    def _keep(self, one: Session) -> None:
        with self._lock:
            self._free.append(one)

    def _outwait(self) -> None:
        """Come back once the keyring has answered something, or nobody is there to answer."""
        while True:
            try:
                one = Session(self._patience)
            except TimeoutError:
                continue
            except Exception:  # noqa: BLE001 - nobody there: what it was told has died with it
                return
            self._keep(one)
            return


def _hang_up(sessions: list[Session]) -> None:
    while sessions:
        sessions.pop().hang_up()
