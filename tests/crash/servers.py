"""The services and keyrings that trials run against, each started when it is first asked for.

Rules
-----
* A service lives as long as the run.  One whose delays are everybody's takes one trial at a time.
* A keyring daemon takes some trials and is then ended: each leaves entries, and a crowded collection is slow.
* One that dies is replaced and unlocked, as a person would: gnome-keyring 42 ends itself where a client is killed while
  the two agree on a key for their session. Whatever that does to a trial is judged as always.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Final

from tests.crash.aun import Aun, AunCreate, AunLogin, AunRekey
from tests.crash.cloudbase import CloudBase, CloudBaseTicket
from tests.crash.feishu import Feishu
from tests.crash.futu import FutuBroker, FutuPlatform
from tests.crash.geniusauth import GeniusAuth, GeniusAuthLogin, GeniusAuthPayload
from tests.crash.scene import Placement
from tests.crash.services import ACCESS_SECONDS, Provider, Sandbox, Service
from tests.host.keyring_bed import KeyringBed, KeyringFailed
from tests.host.oidc_provider.bed import OidcProvider

OIDC: Final = "oidc-provider"
STAND_INS: Final[Mapping[str, tuple[type[Sandbox], ...]]] = {
    "sandbox": (Sandbox,), "feishu": (Feishu,), "futu": (FutuPlatform, FutuBroker),
    "aun": (Aun,), "aun-login": (AunLogin,), "aun-rekey": (AunRekey,), "aun-create": (AunCreate,),
    "cloudbase": (CloudBase, CloudBaseTicket), "geniusauth": (GeniusAuth, GeniusAuthLogin, GeniusAuthPayload),
}  # fmt: skip
"""Services of the sandbox by the name that `--server` takes."""
MAKERS: Final = {make.name: make for kinds in STAND_INS.values() for make in kinds}
SERVICES: Final = (*MAKERS, OIDC)
"""All, by the names that results have."""
BED_TRIALS: Final = 40
"""Trials on one keyring daemon."""
ATTEND_SECONDS: Final = 0.5


class Servers:
    """All of them, ended with `stack`."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._lock = threading.Lock()
        self._alone = threading.Lock()
        self._started: dict[str, Service] = {}
        self._provider: OidcProvider | None = None
        self._keyrings = Keyrings(stack)

    @contextlib.contextmanager
    def lent(self, name: str, placement: Placement) -> Iterator[tuple[Service, Mapping[str, str] | None]]:
        """A service, and what a daemon needs to find its keyring, for one trial."""
        with contextlib.ExitStack() as held:
            if name == OIDC:
                held.enter_context(self._alone)
            env = held.enter_context(self._keyrings.lent()) if placement == "keyring" else None
            yield self._service(name), env

    @property
    def provider(self) -> OidcProvider:
        """oidc-provider itself."""
        if self._provider is None:
            self._provider = self._stack.enter_context(OidcProvider(access_ttl_s=ACCESS_SECONDS))
        return self._provider

    def _service(self, name: str) -> Service:
        with self._lock:
            if name not in self._started:
                own = MAKERS.get(name)
                self._started[name] = self._stack.enter_context(own()) if own else Provider(self.provider)
            return self._started[name]


class Keyrings:
    """A keyring daemon for every `BED_TRIALS` trials."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._lock = threading.Lock()
        self._bed: KeyringBed | None = None
        self._begun = 0
        self._users: dict[KeyringBed, int] = {}
        self._attended: dict[KeyringBed, Attendant] = {}
        stack.callback(self._close)

    @contextlib.contextmanager
    def lent(self) -> Iterator[Mapping[str, str]]:
        """What a daemon needs to find one."""
        with self._lock:
            bed = self._next()
            self._users[bed] += 1
        try:
            yield bed.env
        finally:
            with self._lock:
                self._users[bed] -= 1
                self._end_idle()

    def _next(self) -> KeyringBed:
        if self._bed is None or self._begun % BED_TRIALS == 0:
            self._bed = KeyringBed().start()
            self._users[self._bed] = 0
            self._attended[self._bed] = Attendant(self._bed)
        self._begun += 1
        return self._bed

    def _end_idle(self) -> None:
        """All but the newest that nobody uses.  A trial is not undone by a keyring that is slow to end."""
        for bed in [bed for bed, users in self._users.items() if not users and bed is not self._bed]:
            del self._users[bed]
            self._attended.pop(bed).leave()
            with contextlib.suppress(KeyringFailed, TimeoutError):
                bed.stop()

    def _close(self) -> None:
        self._bed = None
        self._end_idle()


class Attendant:
    """A person at a desktop, who unlocks the keyring again when its daemon was started anew."""

    def __init__(self, bed: KeyringBed) -> None:
        self._bed = bed
        self._is_leaving = threading.Event()
        self._thread = threading.Thread(target=self._attend, daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Look no more."""
        self._is_leaving.set()
        self._thread.join()

    def _attend(self) -> None:
        while not self._is_leaving.wait(ATTEND_SECONDS):
            with contextlib.suppress(KeyringFailed, OSError):
                if self._bed.is_locked():
                    self._bed.recover()
                    print("a keyring's daemon had died; another one is there, and unlocked", flush=True)
