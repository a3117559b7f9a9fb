"""Which grant counts, the journal's or the keyring's, whatever the clock said when each was obtained.

What has to be ruled out: a live grant is written over, or one is presented whose successor is at hand.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from freshd.core.model import Change, Intent
from freshd.errors import KeyringUnavailable
from freshd.vault import JournalVault, reseal, rows
from freshd.vault.anchor import ANCHOR_ENTRY
from freshd.vault.settle import Erasure
from tests.contract.copy_bed import copied, restore, verdict_of
from tests.contract.drawer import Drawer
from tests.contract.rekey_bed import World, until_free
from tests.contract.vault_bed import NOON, REPLY, Bed, enrolled, exchange, grant, intent_on, lease, line, retry
from tests.flow.bed import soon

DAY = 86_400.0
CLOCKS = pytest.mark.parametrize("step", [-DAY, 60.0, DAY], ids=["set back", "right", "set forward"])
"""Where the clock stands once the copy was made, against where it stood before."""


def obtained(token: str, at: float, lineage: str = "line-1") -> Change:
    """A grant that comes while the clock says so many seconds more than at noon."""
    moment = replace(NOON, wall=NOON.wall + at)
    return Change("x", replace(grant(token, lineage), obtained=moment), lease("x"))


@dataclass
class Course:
    """One account `x` in a keyring, and what becomes of it after a copy of its journal was made."""

    bed: Bed
    drawer: Drawer
    tmp_path: Path

    async def goes_on(self, vault: JournalVault, *tokens: str, at: float = 0.0) -> None:
        """Grants that come one after the other, each at rest before the next."""
        for token in tokens:
            await exchange(vault, "x", obtained(token, at))
            await soon(self.is_at_rest)

    def is_at_rest(self) -> bool:
        """Whether the journal has let go of the grant."""
        with closing(sqlite3.connect(self.bed.folder / "journal.db")) as db:
            ((blob,),) = db.execute("SELECT grant_blob FROM records WHERE account = 'x'")
        return blob is None

    async def to_its_end(self, vault: JournalVault, step: float, *without: str) -> bytes:
        """The copy holds the first grant; the keyring holds the fourth and the fifth."""
        await enrolled(self.bed, vault, "x", "of the copy")
        content = await copied(vault, *without)
        await self.goes_on(vault, "two", "three", "four", "five", at=step)
        await vault.aclose()
        return content

    async def decided_blindly(self, content: bytes) -> JournalVault:
        """A restored journal, decided about while nobody could look at the keyring's entries of `x`."""
        await restore(self.bed, content, replace=True)
        self.drawer.shut = {"x"}
        self.bed.news.clear()
        vault = await self.bed.open()
        await vault.accept({"x"})
        return vault

    async def until_at_rest(self, vault: JournalVault) -> None:
        """The keyring gives everything again, and the account's grant has come to rest."""
        self.drawer.shut = set()
        settler = vault._open().settler
        assert settler is not None
        settler.want("x")

        def is_done() -> bool:
            settler.retry()
            return self.is_at_rest()

        await soon(is_done)

    def keep(self, name: str) -> None:
        shutil.copytree(self.bed.folder, self.tmp_path / name)

    def put_back(self, name: str) -> None:
        shutil.rmtree(self.bed.folder)
        shutil.copytree(self.tmp_path / name, self.bed.folder)

    def aside(self, vault: JournalVault) -> str:
        """What is in quarantine, in the clear."""
        seal, found = vault._open().seal, list[bytes]()
        with closing(sqlite3.connect(self.bed.folder / "journal.db")) as db:
            for account, content in db.execute("SELECT account, content FROM quarantine"):
                kept = reseal.apart(content)
                found += [seal.open(kept[column], *place) for column, place in reseal.places(account, kept)]
        return b"\n".join(found).decode()


@pytest.fixture
async def course(tmp_path: Path) -> AsyncIterator[Course]:
    drawer = Drawer()
    bed = Bed(tmp_path / "state", "keyring", drawer)
    yield Course(bed, drawer, tmp_path)
    await bed.aclose()


def hurried(vault: JournalVault, is_done: bool) -> bool:
    """Spare a test the pauses between two tries."""
    retry(vault)
    return is_done


async def token_in(vault: JournalVault) -> str:
    found = (await vault.read("x")).grant
    assert found is not None
    return found.secrets["refresh_token"].reveal()


# -- the journal is older than the keyring -----------------------------------------------------------------------------


@CLOCKS
async def test_I5_a_decision_that_nobody_could_look_for_does_not_put_an_old_grant_over_a_live_one(
    course: Course, step: float
) -> None:
    content = await course.to_its_end(await course.bed.open(), step)
    vault = await course.decided_blindly(content)
    await course.until_at_rest(vault)
    assert await token_in(vault) == "five"
    assert '"five"' not in course.aside(vault)


async def test_I5_what_a_decision_could_not_look_for_is_looked_for_before_anything_is_presented(course: Course) -> None:
    content = await course.to_its_end(await course.bed.open(), 0.0)
    vault = await course.decided_blindly(content)
    with pytest.raises(KeyringUnavailable):
        await vault.read("x")
    course.drawer.shut = set()
    assert await token_in(vault) == "five"


@CLOCKS
async def test_I5_what_came_after_a_restore_is_not_followed_by_what_the_keyring_had(
    course: Course, step: float
) -> None:
    content = await course.to_its_end(await course.bed.open(), 0.0, "x")
    await restore(course.bed, content, replace=True)
    vault = await course.bed.open()
    await exchange(vault, "x", obtained("enrolled", step, "line-2"))
    await soon(course.is_at_rest)
    assert await token_in(vault) == "enrolled"
    assert '"five"' in course.aside(vault)
    await vault.aclose()
    assert await token_in(await course.bed.open()) == "enrolled"


@CLOCKS
async def test_I5_an_answer_as_old_as_the_copy_is_followed_by_what_the_keyring_has(course: Course, step: float) -> None:
    vault = await course.bed.open()
    await enrolled(course.bed, vault, "x", "one")
    intent = await intent_on(vault, "x", "flight-of-the-copy")
    await vault.intend(intent, {})
    await vault.escrow(intent, REPLY)
    content = await copied(vault)
    await vault.commit(intent, "x", [obtained("two", 0.0)], {}, line())
    await course.goes_on(vault, "three", "four", at=step)
    await vault.aclose()
    vault = await course.decided_blindly(content)
    await vault.commit(intent, "x", [obtained("two", 0.0)], {}, line())
    await course.until_at_rest(vault)
    assert await token_in(vault) == "four"


@CLOCKS
async def test_I7_an_answer_under_way_is_not_made_stale_by_what_the_keyring_had(course: Course, step: float) -> None:
    content = await course.to_its_end(await course.bed.open(), step)
    vault = await course.decided_blindly(content)
    intent = Intent("flight", "x", "refresh", "line-1", 1, NOON)
    await vault.intend(intent, {})
    course.drawer.shut = set()
    settler, row = vault._open().settler, await vault._reader.ask(partial(rows.find, account="x"))
    assert settler is not None
    assert row is not None
    with pytest.raises(KeyringUnavailable, match="under way"):
        await settler.claims.may_write(row)
    assert await token_in(vault) == "of the copy"
    await vault.escrow(intent, REPLY)
    await vault.commit(intent, "x", [obtained("answer", 2 * step)], {}, line())
    await course.until_at_rest(vault)
    assert await token_in(vault) == "answer"


async def test_I7_a_copy_that_nobody_noticed_writes_over_no_later_grant(course: Course) -> None:
    """It is newer than the last anchor, and its grant had not come to rest."""
    vault = await course.bed.open()
    await enrolled(course.bed, vault, "x", "one")
    anchor = {key: text for key, text in course.drawer.entries.items() if key[1] == ANCHOR_ENTRY}
    course.drawer.shut = {"x"}
    await exchange(vault, "y", Change("y", grant("canary")))
    await vault.commit(None, "x", [obtained("two", 0.0)], {}, line())
    course.keep("old")
    await course.until_at_rest(vault)
    await course.goes_on(vault, "three", "four")
    await vault.aclose()
    course.put_back("old")
    course.drawer.entries |= anchor
    vault = await course.bed.open()
    assert vault.rolled_back is None
    await course.until_at_rest(vault)
    assert await token_in(vault) == "four"
    assert '"two"' in course.aside(vault)


# -- two copies that both went on --------------------------------------------------------------------------------------


async def both_went_on(course: Course) -> None:
    """One journal is at five and never settled it; of the other one the third rests where that would be written."""
    vault = await course.bed.open()
    await enrolled(course.bed, vault, "x", "one")
    content = await copied(vault)
    course.drawer.shut = {"x"}
    for token in ("two", "three", "four", "five"):
        await vault.commit(None, "x", [obtained(token, DAY)], {}, line())
    await vault.aclose()
    course.keep("one")
    course.drawer.shut = set()
    await restore(course.bed, content, replace=True)
    vault = await course.bed.open()
    await vault.accept({"x"})
    await course.goes_on(vault, "second two", "live")
    await vault.aclose()
    course.keep("other")


async def test_I7_a_journal_that_is_held_back_writes_over_nothing_that_it_does_not_know(course: Course) -> None:
    await both_went_on(course)
    course.put_back("one")
    course.bed.news.clear()
    vault = await course.bed.open()
    assert vault.rolled_back
    await course.bed.first_news("x")
    await vault.aclose()
    course.put_back("other")
    vault = await course.bed.open()
    assert vault.rolled_back is None
    assert await token_in(vault) == "live"


async def test_I7_what_a_decision_takes_out_of_the_keyring_is_kept(course: Course) -> None:
    await both_went_on(course)
    course.put_back("one")
    vault = await course.bed.open()
    course.drawer.forgetful = True
    begun = course.drawer.puts
    await vault.accept({"x"})
    await soon(lambda: hurried(vault, course.drawer.puts > begun + 2))
    assert course.aside(vault).count('"live"') == 1
    course.drawer.forgetful = False
    await soon(lambda: hurried(vault, course.is_at_rest()))
    assert await token_in(vault) == "five"
    assert course.aside(vault).count('"live"') == 1
    await vault.care.verbs["rotate-key"]({})
    await until_free(vault)
    assert course.aside(vault).count('"live"') == 1
    assert (await verdict_of(vault)).faults == []


async def test_I7_another_life_that_a_decision_takes_out_of_the_keyring_is_kept(course: Course) -> None:
    vault = await course.bed.open()
    course.drawer.shut = {"x"}
    await exchange(vault, "x", obtained("first life", 0.0))
    course.keep("old")
    await course.until_at_rest(vault)
    await vault.forget("x")
    await course.goes_on(vault, "second life")
    await vault.aclose()
    course.put_back("old")
    vault = await course.bed.open()
    await vault.accept({"x"})
    await course.until_at_rest(vault)
    assert await token_in(vault) == "first life"
    assert '"second life"' in course.aside(vault)


# -- the keyring is older than the journal -----------------------------------------------------------------------------


@CLOCKS
async def test_a_keyring_that_is_older_than_the_journal_is_unavailable_and_left_alone(
    course: Course, step: float
) -> None:
    vault = await course.bed.open()
    await course.goes_on(vault, "one", "two")
    old = dict(course.drawer.entries)
    await course.goes_on(vault, "three", "four", at=step)
    course.drawer.entries = dict(old)
    with pytest.raises(KeyringUnavailable, match="no valid entry"):
        await vault.read("x")
    assert course.drawer.entries == old


@CLOCKS
async def test_I5_what_was_taken_out_of_the_keyring_does_not_count_when_it_comes_back(
    course: Course, step: float
) -> None:
    content = await course.to_its_end(await course.bed.open(), step, "x")
    before = course.drawer.of("x")
    await restore(course.bed, content, replace=True)
    vault = await course.bed.open()
    await exchange(vault, "x", obtained("enrolled", 2 * DAY, "line-2"))
    await soon(course.is_at_rest)
    for service, entry in [key for key in course.drawer.entries if key[1] == "x"]:
        del course.drawer.entries[service, entry]
    course.drawer.entries |= {
        (f"freshd {vault._open().places.vault[:12]} x {slot}", "x"): text for slot, text in before.items()
    }
    with pytest.raises(KeyringUnavailable, match="no valid entry"):
        await vault.read("x")


# -- what is taken up, and what is not ---------------------------------------------------------------------------------


async def test_a_grant_that_was_taken_up_is_known(course: Course) -> None:
    content = await course.to_its_end(await course.bed.open(), 0.0)
    await restore(course.bed, content, replace=True)
    vault = await course.bed.open()
    await course.goes_on(vault, "six", "seven")
    assert await vault.knew("x", grant("five").secrets["refresh_token"])
    assert course.aside(vault) == ""


async def test_nothing_of_an_account_that_goes_on_as_ever_is_set_aside(course: Course) -> None:
    vault = await course.bed.open()
    await course.goes_on(vault, "one", "two", "three")
    await vault.forget("x")
    await course.goes_on(vault, "other life", "two", "three")
    assert course.aside(vault) == ""


async def test_nothing_is_set_aside_of_a_life_that_is_forgotten_but_not_erased_yet(course: Course) -> None:
    course.bed.deadline = 0.5
    vault = await course.bed.open()
    await course.goes_on(vault, "forgotten")
    content = await copied(vault)
    await vault.aclose()
    await restore(course.bed, content, replace=True)
    vault = await course.bed.open()
    await vault.accept({"x"})
    await soon(course.is_at_rest)
    course.drawer.shut = {"x"}
    with pytest.raises(KeyringUnavailable):
        await vault.forget("x")
    course.drawer.shut = set()
    await exchange(vault, "x", obtained("other life", 0.0))  # a new job goes before one that failed
    await course.until_at_rest(vault)
    assert await token_in(vault) == "other life"
    assert course.aside(vault) == ""


async def sent_home(world: World, tmp_path: Path, step: float, *without: str) -> tuple[Course, JournalVault]:
    """A restored journal that was decided about blindly, and whose grants are to come home."""
    drawer = world.drawer()
    course = Course(Bed(world.folder / "state", "keyring", drawer), drawer, tmp_path)
    content = await course.to_its_end(await course.bed.open(), step, *without)
    await restore(course.bed, content, replace=True)
    drawer.shut = {"x"}
    vault = await world.open("keyring", drawer, meant=("sealed", drawer))
    await vault.accept({"x"})
    return course, vault


@CLOCKS
async def test_I7_a_move_home_takes_up_what_a_decision_could_not_look_for(
    world: World, tmp_path: Path, step: float
) -> None:
    course, vault = await sent_home(world, tmp_path, step)
    assert not (await vault.care.verbs["move"]({}))["done"]
    await vault.care.stop()
    course.drawer.shut = set()
    settler, ((rid,),) = vault._open().settler, world.rows("SELECT rid FROM erasing")
    assert settler is not None
    await settler.erase(Erasure("x", rid))  # as at a start, before the move goes on
    assert len(course.drawer.of("x")) == 2
    await vault.care.verbs["move"]({})
    await until_free(vault)
    assert await token_in(vault) == "five"
    assert world.held() == {"x"}
    assert course.drawer.of("x") == {}


async def test_I7_what_a_move_home_erases_and_does_not_know_is_kept(world: World, tmp_path: Path) -> None:
    course, vault = await sent_home(world, tmp_path, 0.0, "x")
    await exchange(vault, "x", obtained("enrolled", 0.0, "line-2"))
    settler = vault._open().settler
    assert settler is not None
    settler.takes = False  # or it might settle before the move begins
    course.drawer.shut = set()
    await vault.care.verbs["move"]({})
    await until_free(vault)
    assert await token_in(vault) == "enrolled"
    assert course.drawer.of("x") == {}
    assert '"four"' in course.aside(vault)
    assert '"five"' in course.aside(vault)
