"""One client's connection: order of answers, limits, and the read that nothing may delay (I9, I11).

Rules
-----
* A lease that is good enough is answered within `data_received`: no task, no lock, no await.
* Answers leave in the order of the requests.  While one is waited for, later requests wait in the buffer.
* At most `burst` requests are served before other connections have their turn, and none while the reader does not
  take its answers.
* Deadlines are checked by the crowd's timer (`mind`).
* The process that connected, and the rules, are checked for every request.
"""

from __future__ import annotations

import asyncio
import fcntl
import select
import socket
import termios
from typing import Final, cast

from freshd.api.answers import Answers
from freshd.api.caller import Caller
from freshd.api.crowd import Crowd
from freshd.api.http import Request, render_problem, take, with_close
from freshd.api.peer import Peer
from freshd.api.problem import CROWDED, TOO_SLOW, UNIDENTIFIED, Problem
from freshd.api.routes import Call, ReadToken, Watch, plan
from freshd.api.watch import HEARTBEAT, Stream

MAX_REMEMBERED_BYTES: Final = 1024


class Connection(asyncio.Protocol):
    """One client."""

    uid = -1

    def __init__(self, answers: Answers, crowd: Crowd) -> None:
        self._answers = answers
        self._crowd = crowd
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._arrived = b""  # the newest bytes, where they begin a request
        self._last = b""  # the bytes of the last read, and what they ask: programs repeat themselves
        self._last_call: ReadToken | None = None
        self._task: asyncio.Task[None] | None = None
        self._stream: Stream | None = None
        self._is_ending = False
        self._has_ended_input = False
        self._is_turn_due = False
        self._use = self._use_minded = next(crowd.uses)
        self._idle_since = self._loop.time()  # as known when it was last minded
        self._partial_since: float | None = None
        self._stalled_since: float | None = None

    # ------------------------------------------------------------------------------- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._crowd.limits.unsent)
        peer = self._identify()
        if peer is None:
            self._turn_away(UNIDENTIFIED)
            return
        self.uid = peer.identity.uid
        self._caller = Caller(peer, self._answers.policy())
        if not self._crowd.admit(self):
            self._turn_away(CROWDED)

    def data_received(self, data: bytes) -> None:
        self._use = next(self._crowd.uses)
        if self._is_ending or self._stream is not None:
            return
        if data == self._last and self._last_call is not None and self._is_at_rest():
            answer = self._answers.from_memory(self._caller, self._last_call)
            if answer is not None:
                self._transport.write(answer)
                return
        self._arrived = b"" if self._buffer else data
        self._buffer += data
        self._proceed()

    def eof_received(self) -> bool:
        """Half-closed: what was asked is still answered.  Wholly closed: nobody is there to answer."""
        self._has_ended_input = True
        is_busy = self._task is not None or self._is_turn_due or self._stalled_since is not None
        return is_busy and self._stream is None and not self._is_hung_up()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ending = True
        self._crowd.remove(self)
        if self._task is not None:
            self._task.cancel()
        if self._stream is not None:
            self._answers.watchers.close(self._stream)
        if self.uid >= 0:
            self._caller.close()

    def pause_writing(self) -> None:
        self._stalled_since = self._loop.time()
        self._mind_reading()

    def resume_writing(self) -> None:
        self._stalled_since = None
        if self._stream is not None:
            self._answers.watchers.pump(self._stream)
        elif not self._is_ending:
            self._proceed()

    # ------------------------------------------------------------------------------------------ Member

    @property
    def is_watching(self) -> bool:
        return self._stream is not None

    def last_use(self) -> int | None:
        is_busy = self._is_ending or self._stream is not None or not self._is_at_rest()
        return None if is_busy or self._transport.get_write_buffer_size() else self._use

    def has_unread(self) -> bool:
        descriptor = self._transport.get_extra_info("socket").fileno()
        return any(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))

    def leave(self) -> None:
        self._is_ending = True
        self._transport.close()

    def mind(self, now: float) -> None:
        limits = self._crowd.limits
        if self._use != self._use_minded:
            self._use_minded, self._idle_since = self._use, now
        is_unsent = self._transport.get_write_buffer_size() > 0
        quiet = now - self._idle_since
        stalled = 0.0 if self._stalled_since is None else now - self._stalled_since
        if stalled > limits.stalled or (is_unsent and self._task is None and quiet > limits.stalled):
            self._transport.abort()
        elif self._partial_since is not None and now - self._partial_since > limits.slow:
            self._partial_since = None
            self._end_with(TOO_SLOW)
        elif self._stream is not None:
            self._mind_stream(self._stream, quiet)
        elif self._is_at_rest() and quiet > limits.idle:
            self.leave()

    def stop(self) -> None:
        self._last_call = None
        if self._stream is not None or self._is_at_rest():
            self.leave()

    def abort(self) -> None:
        self._is_ending = True
        self._transport.abort()

    # ---------------------------------------------------------------------------------------- requests

    def _is_at_rest(self) -> bool:
        return not self._buffer and self._task is None and self._stalled_since is None

    def _proceed(self) -> None:
        """Serve what has arrived, a burst at a time."""
        self._is_turn_due = False
        for _ in range(self._crowd.limits.burst):
            if not self._buffer or self._is_ending or self._stalled_since is not None or self._task is not None:
                break
            before = len(self._buffer)
            found = take(self._buffer)
            if found is None:
                self._partial_since = self._partial_since or self._loop.time()
                break
            self._partial_since = None
            if isinstance(found, Problem):
                self._end_with(found)
                break
            self._serve(found, before - len(self._buffer))
        else:
            self._is_turn_due = True
            self._loop.call_soon(self._proceed)
        self._mind_reading()
        if self._has_ended_input and not self._is_turn_due and self._task is None and not self._stalled_since:
            self.leave()

    def _serve(self, request: Request, size: int) -> None:
        call = plan(request)
        keep = request.keep and not self._answers.is_stopping
        if isinstance(call, ReadToken) and keep and size == len(self._arrived) <= MAX_REMEMBERED_BYTES:
            self._last, self._last_call = self._arrived, call
        if not self._caller.is_vouched_for(self._answers.policy()):
            self._end_with(UNIDENTIFIED)
        elif isinstance(call, Problem):
            self._send(render_problem(call), keep=keep)
        elif isinstance(call, Watch):
            self._watch(call, keep=keep)
        elif (answer := self._answers.at_once_safely(self._caller, call)) is not None:
            self._send(answer, keep=keep)
        else:
            self._task = self._loop.create_task(self._wait(call, keep=keep))

    async def _wait(self, call: Call, *, keep: bool) -> None:
        answer = await self._answers.in_time(self._caller, call)
        self._task = None
        if not self._is_ending:
            self._send(answer, keep=keep and not self._answers.is_stopping)
            self._proceed()

    def _watch(self, call: Watch, *, keep: bool) -> None:
        has_room = self._crowd.has_room_to_watch(self.uid)
        refusal = self._answers.why_not_watch(self._caller, call) if has_room else CROWDED
        if refusal is not None:
            self._send(render_problem(refusal), keep=keep)
            return
        accounts = None if call.accounts is None else frozenset(call.accounts)
        self._buffer.clear()
        self._idle_since = self._loop.time()
        self._stream = Stream(self._caller, accounts, self._tell_watcher, lambda: self._stalled_since is not None)
        self._answers.watchers.open(self._stream, call.last_id)

    # ------------------------------------------------------------------------------------------ output

    def _send(self, answer: bytes, *, keep: bool) -> None:
        self._transport.write(answer if keep else with_close(answer))
        if not keep:
            self.leave()

    def _end_with(self, problem: Problem) -> None:
        self._buffer.clear()
        self._send(render_problem(problem), keep=False)

    def _turn_away(self, problem: Problem) -> None:
        self._end_with(problem)
        if self._transport.get_write_buffer_size():
            self._transport.abort()

    def _tell_watcher(self, data: bytes) -> None:
        self._idle_since = self._loop.time()
        self._transport.write(data)

    def _mind_stream(self, stream: Stream, quiet: float) -> None:
        alive = self._caller.is_vouched_for(self._answers.policy())
        if not alive or stream.is_outdated():
            self.leave()
        elif quiet > self._crowd.limits.heartbeat and self._stalled_since is None:
            self._tell_watcher(HEARTBEAT)

    def _mind_reading(self) -> None:
        is_full = self._stalled_since is not None or len(self._buffer) > self._crowd.limits.unread
        if self._is_ending or self._has_ended_input or self._transport.is_closing():
            return
        if is_full:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # -------------------------------------------------------------------------------------------- peer

    def _identify(self) -> Peer | None:
        return self._answers.identify(cast("socket.socket", self._transport.get_extra_info("socket")))

    def _is_hung_up(self) -> bool:
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), 0)
        return any(flags & (select.POLLHUP | select.POLLERR) for _, flags in poll.poll(0))
