"""The verbs that change nothing in the vault: `backup` and `verify`, asked for over the operators' socket.

Rules
-----
* A verb begins its task and answers soon; whoever asked comes back with the session until it is done.  Nobody waits for
  it: leases are served and accounts renewed meanwhile.
* One of each at a time: the newest one asked for is the one that counts.
* The daemon is handed the key of one file, derived by whoever asked, and never a passphrase.  It opens nothing but that
  file, whose whole content the daemon has anyway.  What leaves is sealed with it already.
* A copy is made in memory, fetched in parts, and forgotten: when it was fetched, when nobody came for it, at the end.
* A backup counts, for `status`, once whoever fetched it says that it is durable.
"""

from __future__ import annotations

import asyncio
import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from freshd.errors import NotPossible, StoreError
from freshd.vault import backups, copies, snapshot, verification
from freshd.vault.anchor import machine_mark
from freshd.vault.codec import CodecError, from_bytes, to_bytes
from freshd.vault.copies import Derivation, Header
from freshd.vault.snapshot import Snapshot, Source
from freshd.vault.verification import Scope, Verdict

if TYPE_CHECKING:
    from freshd.vault.opening import Opening

Facts = Mapping[str, Any]
T = TypeVar("T")

PATIENCE_SECONDS: Final = 10.0
"""How long one call waits for its task before it says "not yet"."""
FORGOTTEN_SECONDS: Final = 300.0
"""Without a question for so long, nobody comes any more."""
PART_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Copied:
    """A sealed copy, ready to be fetched."""

    header: Header
    content: bytes


class Errand(Generic[T]):
    """A task under way, and who asked for it.  `forget` is called when nobody came for too long."""

    def __init__(self, work: Awaitable[T], forget: Callable[[], None]) -> None:
        self.session = secrets.token_hex(16)
        self.task: asyncio.Future[T] = asyncio.ensure_future(work)
        self._drop = forget
        self._forget = asyncio.get_running_loop().call_later(FORGOTTEN_SECONDS, self._expire)

    async def outcome(self) -> T | None:
        """What came of it; None where it goes on.  Raises what it met; NotPossible where it was ended meanwhile."""
        self._forget.cancel()
        self._forget = asyncio.get_running_loop().call_later(FORGOTTEN_SECONDS, self._expire)
        await asyncio.wait([self.task], timeout=PATIENCE_SECONDS)
        if self.task.cancelled():
            raise NotPossible("it is over, or another one took its place", "begin again")
        return self.task.result() if self.task.done() else None

    def _expire(self) -> None:
        self.end()
        self._drop()

    def end(self) -> None:
        """Stop it, forget what it has come to."""
        self._forget.cancel()
        self.task.cancel()
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())


class Lookout:
    """One per vault.  `verbs`: as those of `Care`."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._backup: Errand[Copied] | None = None
        self._verify: Errand[Verdict] | None = None
        self.verbs: Mapping[str, Callable[[Facts], Awaitable[Facts]]] = {
            "backup": self._begin_backup,
            "backup-part": self._part,
            "backup-done": self._done,
            "verify": self._verified,
        }

    def stop(self) -> None:
        """End what is under way."""
        for errand in (self._backup, self._verify):
            if errand is not None:
                errand.end()
        self._backup = self._verify = None

    # -- backup --------------------------------------------------------------------------------------------

    async def _begin_backup(self, args: Facts) -> Facts:
        self._opening.unsealed()
        key, derivation = _key_in(args), _derivation_in(args)
        without = args.get("without", [])
        if not isinstance(without, list) or not all(isinstance(name, str) for name in without):
            raise NotPossible("the accounts to leave out are no list of names", 'send "without": ["NAME"]')
        if self._backup is not None:
            self._backup.end()
        work = copied(self._opening, key, derivation, frozenset(without))
        self._backup = Errand(work, self._forget_backup)
        return {"session": self._backup.session}

    async def _part(self, args: Facts) -> Facts:
        """From byte `at` on; "bytes" is how long the whole is."""
        errand = self._fetched(args)
        at = args.get("at", 0)
        copy = await errand.outcome()
        if copy is None:
            return {"ready": False}
        if type(at) is not int or not 0 <= at <= len(copy.content):
            raise NotPossible("there is no such part", "ask from 0 on")
        part = copy.content[at : at + PART_BYTES]
        return {"ready": True, "bytes": len(copy.content), "part": b64encode(part).decode("ascii")}

    async def _done(self, args: Facts) -> Facts:
        """It was written whole: note it."""
        errand = self._fetched(args)
        copy = await errand.outcome()
        if copy is None:
            raise NotPossible("the copy is not ready yet", "fetch it first")
        await noted(self._opening, copy.header)
        errand.end()
        self._backup = None
        return facts_of(copy.header)

    def _fetched(self, args: Facts) -> Errand[Copied]:
        if self._backup is None or self._backup.session != args.get("session"):
            raise NotPossible("this backup is over, or another one took its place", "begin again: freshd vault backup")
        return self._backup

    def _forget_backup(self) -> None:
        self._backup = None

    def _forget_verify(self) -> None:
        self._verify = None

    # -- verify --------------------------------------------------------------------------------------------

    async def _verified(self, args: Facts) -> Facts:
        self._opening.unsealed()
        session = args.get("session")
        if session is None:
            if self._verify is not None:
                self._verify.end()
            self._verify = Errand(verification.verified(scope_of(self._opening)), self._forget_verify)
        errand = self._verify
        if errand is None or session not in (None, errand.session):
            raise NotPossible("this examination is over, or another one took its place", "begin again")
        verdict = await errand.outcome()
        return {"session": errand.session, "done": False} if verdict is None else told(verdict)


async def copied(opening: Opening, key: bytes, derivation: Derivation, without: frozenset[str]) -> Copied:
    """A copy of an open vault, sealed.  Raises as `snapshot.taken`."""
    unsealed = opening.unsealed()
    rest = None if unsealed.settler is None else unsealed.settler.rest
    at, least = opening.setup.wall(), opening.writer.commits
    source = Source(lambda: snapshot.copied(opening.journal), unsealed.seal, rest, snapshot.again_in(opening.reader))
    taken = await snapshot.taken(source, without)
    if taken.vault != unsealed.places.vault or taken.commits < least:
        raise StoreError(f"another file lies in the place of {opening.journal}", "freshd status tells what to do")
    return await sealed(taken, at, derivation, key)


async def sealed(taken: Snapshot, at: float, derivation: Derivation, key: bytes) -> Copied:
    """The file's bytes."""
    header = Header(
        vault=taken.vault, commits=taken.commits, journal=taken.version, at=at, machine=machine_mark(taken.vault),
        accounts=taken.accounts, without=taken.without, derivation=derivation, check=copies.check_of(key),
    )  # fmt: skip
    return Copied(header, await asyncio.to_thread(lambda: b"".join(copies.written(header, key, taken.plain))))


async def noted(opening: Opening, header: Header) -> None:
    """Write down that there is a backup.  Raises StoreError."""
    await opening.writer.ask(
        lambda db: backups.write(db, header.at, header.commits), lambda _db, _: None, wall=opening.setup.wall()
    )


def scope_of(opening: Opening) -> Scope:
    """An open vault, to be proven."""
    unsealed = opening.unsealed()
    return Scope(
        state_dir=opening.setup.state_dir, copy=lambda: snapshot.copied(opening.journal), seal=unsealed.seal,
        places=unsealed.places, watch=unsealed.guard.watch,
        rest=None if unsealed.settler is None else unsealed.settler.rest,
        again=snapshot.again_in(opening.reader),
    )  # fmt: skip


def told(verdict: Verdict) -> Facts:
    """What was found, as JSON can say it."""
    return {"done": True, **{name: value for name, value in asdict(verdict).items() if name != "faults"}} | {
        "faults": [asdict(fault) for fault in verdict.faults]
    }


def facts_of(header: Header) -> Facts:
    """What is told of a copy that was made."""
    return {
        "vault": header.vault, "commits": header.commits, "at": header.at, "accounts": header.accounts,
        "without": list(header.without),
    }  # fmt: skip


def _key_in(args: Facts) -> bytes:
    try:
        key = bytes.fromhex(str(args.get("key", "")))
    except ValueError:
        key = b""
    if len(key) != copies.KEY_BYTES:
        raise NotPossible("a backup needs the key of its file", "freshd vault backup FILE derives it")
    return key


def _derivation_in(args: Facts) -> Derivation:
    try:
        return from_bytes(Derivation, to_bytes(args.get("derivation")))
    except CodecError:
        raise NotPossible("a backup needs to know how its key came about", "freshd vault backup FILE says it") from None
