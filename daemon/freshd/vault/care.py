"""Care: what operators may do with the vault as a whole while the daemon runs.

Rules
-----
* A verb takes and returns plain facts; none of them is a secret, and none of it spends anything (I8).
* One work that changes the vault at a time (`works`): a second verb is refused, "under way".
* Nobody waits for a work: leases are served and accounts renewed meanwhile.  Whoever asked is told how far it has come,
  at the latest after `PATIENCE_SECONDS`; it goes on, with pauses where it cannot, and after the next start by itself.
* Of a journal that is taken for an old copy nothing is changed before somebody has decided.
* Must not: judge who may ask (`api`), or know one account from another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from freshd.core.events import Event
from freshd.errors import FreshdError, NotPossible, VaultLocked
from freshd.vault.lookout import Lookout
from freshd.vault.moving import is_wanted
from freshd.vault.works import Facts, Move, Rotation, Work

if TYPE_CHECKING:
    from freshd.vault.names import Names
    from freshd.vault.opening import Opening

VaultVerb = Callable[[Facts], Awaitable[Facts]]
"""Arguments in, answer out.  Raises FreshdError with the remedy."""
PATIENCE_SECONDS: Final = 120.0
"""How long a verb waits for its work before it says that it goes on without them."""
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
"""Between two tries, as `settle` has it."""


class Care:
    """One per vault.  `verbs`: by name, as they stand in `POST /v1/vault/{verb}`.

    `opening.unsealed()` is what there is while the key is there; it raises VaultLocked before.
    `busy`: the verb whose work is under way, None where there is none.
    """

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._lookout = Lookout(opening)
        self.verbs: Mapping[str, VaultVerb] = {
            "rotate-key": self._rotate_key, "move": self._move, **self._lookout.verbs
        }  # fmt: skip
        self.busy: str | None = None
        self._closed = False
        self._work: Work | None = None
        self._task: asyncio.Task[bool] | None = None
        self._trouble: FreshdError | None = None
        self._news = asyncio.Event()

    # -- verbs ---------------------------------------------------------------------------------------------

    async def _rotate_key(self, args: Facts) -> Facts:
        _none(args)
        return await self._carry_out("rotate-key", lambda: Rotation(self._opening))

    async def _move(self, args: Facts) -> Facts:
        _none(args)
        return await self._carry_out("move", self._meant)

    def _meant(self) -> Work:
        setup = self._opening.setup
        placement, target = (setup.placement, setup.custodian) if setup.meant is None else setup.meant()
        known = self._opening.unsealed().places.named(target.name)
        return Move(self._opening, placement, known or target, self._worry)

    async def _carry_out(self, verb: str, make: Callable[[], Work]) -> Facts:
        self._opening.unsealed()
        if verb == self.busy == "move" and self._trouble is not None:
            await self.stop()  # the configuration may say something else by now
        self._must_be_free()
        self.busy = verb
        try:
            self._must_be_decided()
            work = make()
            await work.begin()
            self._must_be_open()  # still: what begins while the vault is closed is gone on with by the next start
        except BaseException:
            self.busy = None
            raise
        return await self._told(work, self._start(work))

    async def _told(self, work: Work, task: asyncio.Task[bool]) -> Facts:
        """How it stands when it is done, when it cannot go on now, or when whoever asked has waited long enough."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not task.done() and self._trouble is None:
                    self._news.clear()
                    await self._news.wait()
        is_over = task.done() and not task.cancelled()  # cancelled: the vault is being closed
        is_done, trouble = is_over and task.result(), self._trouble
        done = {"verb": work.verb, "done": is_done, **work.facts()}
        if is_done:
            return done
        if trouble is None:
            return {**done, "why": "it is still under way", "remedy": "freshd goes on by itself: freshd vault status"}
        return {**done, "why": trouble.cause, "remedy": f"{trouble.remedy}; freshd goes on by itself"}

    def _must_be_free(self) -> None:
        if self.busy is None:
            return
        why = "" if self._trouble is None else f"; it waits, for {self._trouble.cause}"
        remedy = "wait for it: freshd vault status" if self._trouble is None else self._trouble.remedy
        raise NotPossible(f"{self.busy} is under way{why}", remedy)

    def _must_be_open(self) -> None:
        if self._closed:
            raise VaultLocked("the vault is being closed", "start freshd; it goes on by itself")

    def _must_be_decided(self) -> None:
        why = self._opening.unsealed().guard.why
        if why is not None:
            raise NotPossible(
                f"the journal is taken for an old copy: {why}", "decide about its accounts first: freshd status"
            )

    # -- in the background ---------------------------------------------------------------------------------

    def go_on(self, stands: Names) -> None:
        """Carry out what was begun before the last end, and what the configuration says, after a start."""
        setup, unsealed = self._opening.setup, self._opening.unsealed()
        self._closed = False
        if self.busy is not None or unsealed.guard.why is not None:
            return
        if is_wanted(setup.placement, setup.custodian, stands):
            self._start(Move(self._opening, setup.placement, setup.custodian, self._worry), begins=True)
        elif stands.is_open:
            self._start(Rotation(self._opening))

    def hear(self, account: str, *, settled: bool) -> None:
        """A grant came to rest in a keyring, or could not yet."""
        if self._work is not None:
            self._work.hear(account, settled=settled)

    async def aclose(self) -> None:
        """The vault is being closed: end everything."""
        self._closed = True
        self._lookout.stop()
        await self.stop()

    async def stop(self) -> None:
        """End what is under way; it is gone on with after the next start."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._done()

    def _start(self, work: Work, *, begins: bool = False) -> asyncio.Task[bool]:
        self.busy, self._work, self._trouble = work.verb, work, None
        task = asyncio.get_running_loop().create_task(self._run(work, begins=begins), name="freshd-care")
        task.add_done_callback(lambda _task: self._news.set())
        self._task = task
        return task

    async def _run(self, work: Work, *, begins: bool) -> bool:
        """Whether it came to its end; False where a mistake of our own ended it."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                if begins:
                    await work.begin()
                begins = False
                await work.run()
            except FreshdError as error:
                self._worry(error)
            except Exception as bug:  # noqa: BLE001 - told, and not tried again: nothing is lost, each step is durable
                fields = {"kind": type(bug).__name__, "where": f"vault {work.verb}"}
                self._opening.setup.tell(Event("bug", None, fields))
                self._done(FreshdError("freshd met a mistake of its own, which is in its log", "freshd doctor"))
                return False
            else:
                self._done()
                return True
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _done(self, trouble: FreshdError | None = None) -> None:
        self.busy, self._work, self._trouble = None, None, trouble

    def _worry(self, error: FreshdError) -> None:
        """It cannot go on now: said once per work, and to whoever waits."""
        if self._trouble is None and self._work is not None:
            fields: dict[str, Any] = {"verb": self._work.verb, "cause": error.cause}
            self._opening.setup.tell(Event("vault.waiting", None, fields, error.remedy))
        self._trouble = error
        self._news.set()


def _none(args: Facts) -> None:
    if args:
        raise NotPossible("this verb takes nothing", "send {}, or no body")
