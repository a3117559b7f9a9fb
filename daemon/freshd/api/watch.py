"""Watching accounts by server-sent events: level-triggered, without tokens (design 8).

Rules
-----
* A frame is an account's present health, never a list of what happened: changes that a reader is too slow for melt
  into one, so a stream's memory is bounded by the number of accounts.
* An id is `epoch:seq`.  Frames leave in the order of their changes, so everything up to the id a reader saw last has
  reached it.  After a reconnect with that id only later changes come; with an id of another epoch (the daemon
  restarted) or from the future, a snapshot of everything, closed by a frame `synced`.
* A reader that does not read is dropped (the connection's stall deadline); one whose rules changed is sent away and
  may come back under the new ones.
* Changes are gathered for a moment before they are sent: a storm of events costs each stream one frame per account.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Iterator
from typing import Final

from freshd.api.audit import PREFIX as AUDIT_PREFIX
from freshd.api.caller import Caller
from freshd.api.health import dump, health_document
from freshd.core.events import Event
from freshd.tokens import Tokens

GATHER_SECONDS: Final = 0.02
FRAMES_PER_TURN: Final = 64
MAX_FRAMES_KEPT: Final = 1024
DAEMON: Final = ""
"""The key under which changes of no account are kept."""

HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
    b"Connection: close\r\n\r\nretry: 1000\n\n"
)
HEARTBEAT: Final = b": still here\n\n"


class Stream:
    """One watcher.  `write` sends bytes; `is_full` says that the reader is behind."""

    def __init__(
        self,
        caller: Caller,
        accounts: frozenset[str] | None,
        write: Callable[[bytes], None],
        is_full: Callable[[], bool],
    ) -> None:
        self.caller = caller
        self._accounts = accounts
        self._policy = caller.policy
        self.write = write
        self.is_full = is_full
        self.pending: dict[str, None] = {}
        self.snapshot: Iterator[str] = iter(())
        self.synced_at: int | None = None

    def wants(self, key: str) -> bool:
        """Whether a change of `key` concerns this stream."""
        if key == DAEMON:
            return True
        return self.caller.may_see(key) if self._accounts is None else key in self._accounts

    def is_outdated(self) -> bool:
        """Whether the rules changed since it began."""
        return self.caller.policy is not self._policy

    def touch(self, key: str) -> None:
        """Note a change: the latest change goes last."""
        self.pending.pop(key, None)
        self.pending[key] = None


class Watchers:
    """All streams and what changed when.  An Outlet: `tell` never waits."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self.epoch = secrets.token_hex(4)
        self._seq = 0
        self._changed: dict[str, tuple[int, str]] = {}
        self._frames: dict[str, tuple[int, bytes]] = {}
        self._streams: set[Stream] = set()
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, event: Event) -> None:
        """Take one event: its account has changed.  Who read a lease is no change."""
        if event.name.startswith(AUDIT_PREFIX):
            return
        key = event.account or DAEMON
        self._seq += 1
        self._changed.pop(key, None)
        self._changed[key] = (self._seq, event.name)
        for stream in self._streams:
            if stream.wants(key):
                stream.touch(key)
                self._schedule()

    def open(self, stream: Stream, last_id: str | None) -> None:
        """Begin a stream: what changed since `last_id`, or everything."""
        self._streams.add(stream)
        since = self._known(last_id)
        if since is None:
            stream.snapshot = iter((DAEMON, *self._tokens.accounts()))
            stream.synced_at = self._seq
        else:
            later = [key for key, (seq, _) in self._changed.items() if seq > since and stream.wants(key)]
            stream.pending = dict.fromkeys(later)
            stream.synced_at = since
        stream.write(HEAD)
        self.pump(stream)

    def close(self, stream: Stream) -> None:
        """Forget a stream."""
        self._streams.discard(stream)

    def pump(self, stream: Stream) -> None:
        """Send what is due, a little at a time, until the reader is behind."""
        if stream not in self._streams or stream.is_full():
            return
        due = list(itertools.islice(stream.snapshot, FRAMES_PER_TURN))
        out = [self._render(key) for key in due if stream.wants(key)]
        if not due and stream.synced_at is not None:
            out.append(b"id: %s:%d\nevent: synced\ndata: {}\n\n" % (self.epoch.encode(), stream.synced_at))
            stream.synced_at = None
        elif not due:
            keys = list(itertools.islice(stream.pending, FRAMES_PER_TURN))
            out = [self._frame(key) for key in keys]
            for key in keys:
                del stream.pending[key]
        if out:
            stream.write(b"".join(out))
        if due or out:
            asyncio.get_running_loop().call_soon(self.pump, stream)

    def _known(self, last_id: str | None) -> int | None:
        epoch, _, number = (last_id or "").partition(":")
        if epoch != self.epoch or not (number.isascii() and number.isdigit()) or len(number) > 18:
            return None
        return int(number) if int(number) <= self._seq else None

    def _schedule(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._pump_all)

    def _pump_all(self) -> None:
        self._timer = None
        for stream in tuple(self._streams):
            self.pump(stream)

    def _frame(self, key: str) -> bytes:
        """The frame of a change with its id, rendered once for all streams."""
        seq, _ = self._changed[key]
        kept = self._frames.get(key)
        if kept is not None and kept[0] == seq:
            return kept[1]
        if len(self._frames) >= MAX_FRAMES_KEPT:
            self._frames.clear()
        frame = b"id: %s:%d\n%s" % (self.epoch.encode(), seq, self._render(key))
        self._frames[key] = (seq, frame)
        return frame

    def _render(self, key: str) -> bytes:
        _, name = self._changed.get(key, (0, None))
        if key == DAEMON:
            return b"event: daemon\ndata: %s\n\n" % dump({"locked": self._tokens.locked(), "event": name})
        try:
            document = health_document(self._tokens.health(key))
        except KeyError:
            return b"event: removed\ndata: %s\n\n" % dump({"account": key, "event": name})
        return b"event: account\ndata: %s\n\n" % dump({**document, "event": name})
