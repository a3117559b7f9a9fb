"""What every vault promises, whatever its placement.  The promises are those of `ports.Vault`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from freshd.core.model import Change, Earlier, Intent, Record, Secret, Standing
from freshd.core.outcome import Reply
from freshd.errors import AlreadyRunning, KeyringUnavailable, Stale, StoreError, VaultForeign, VaultLocked
from freshd.ports import Vault
from freshd.vault import KeyFile, OsKeyring, fingerprints
from freshd.vault.anchor import ANCHOR_ENTRY
from freshd.vault.keys import KEY_ENTRY
from tests.contract.drawer import Drawer
from tests.contract.vault_bed import (
    CANARIES,
    REPLY,
    Bed,
    enrolled,
    exchange,
    grant,
    intent_on,
    lease,
    line,
    retry,
    row,
)
from tests.host.keyring_bed import KeyringBed


def quarantined(bed: Bed, account: str) -> list[str]:
    with closing(sqlite3.connect(bed.folder / "journal.db")) as db:
        return [why for (why,) in db.execute("SELECT why FROM quarantine WHERE account = ? ORDER BY id", (account,))]


def bytes_at_rest(bed: Bed) -> bytes:
    return b"".join(path.read_bytes() for path in bed.folder.iterdir() if path.name != "ballast")


class VaultContract:
    """Subclasses provide `bed`."""

    @pytest.fixture
    def bed(self) -> Bed:
        raise NotImplementedError

    @pytest.fixture
    async def vault(self, bed: Bed) -> AsyncIterator[Vault]:
        vault = await bed.open()
        yield vault
        await bed.aclose()

    # -- records -----------------------------------------------------------------------------------------------

    async def test_a_new_vault_knows_nobody(self, bed: Bed) -> None:
        vault = bed.vault()
        assert await vault.open() == {}
        assert await vault.read("nobody") == Record("nobody")
        assert await vault.paces() == {}
        assert await vault.history("nobody") == ()
        await bed.aclose()

    async def test_what_was_committed_is_read(self, bed: Bed, vault: Vault) -> None:
        standing = await exchange(vault, "a", Change("a", grant(), lease("a")))
        await bed.rest(standing)
        assert await vault.read("a") == Record("a", 1, grant(), lease("a", generation=1))

    async def test_a_standing_tells_everything_but_the_secrets(self, bed: Bed, vault: Vault) -> None:
        standing = await enrolled(bed, vault, "a", "canary-refresh")
        given = grant()
        assert replace(standing, settled=True) == Standing(
            account="a",
            generation=1,
            lineage="line-1",
            binding=given.binding,
            held=frozenset({"refresh_token"}),
            lease=lease("a", generation=1),
            obtained=given.obtained,
            valid_for=given.valid_for,
            enrolled=given.enrolled,
            absolute_for=given.absolute_for,
        )

    async def test_records_survive_a_restart(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        standing = await exchange(vault, "a", Change("a", grant("canary-2"), lease("a", "canary-new")))
        await bed.rest(standing)
        await vault.aclose()
        again = bed.vault()
        assert await again.open() == {"a": replace(standing, settled=True)}
        found = await again.read("a")
        assert (found.generation, found.grant) == (2, grant("canary-2"))

    async def test_one_answer_changes_every_record_of_a_family_or_none(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "head")
        await enrolled(bed, vault, "member")
        intent = await intent_on(vault, "head", "flight-all")
        await vault.intend(intent, {})
        await vault.escrow(intent, REPLY)
        changes = [Change("head", grant("canary-2")), Change("member", grant("canary-code")), Change("new", grant("c"))]
        told = await vault.commit(intent, "head", changes, {}, line())
        assert {name: one.generation for name, one in told.items()} == {"head": 2, "member": 2, "new": 1}
        for standing in told.values():
            await bed.rest(standing)
        assert (await vault.read("member")).grant == grant("canary-code")
        assert (await vault.read("member")).lease == lease("member", generation=1)

    async def test_a_relatives_answer_ends_the_members_own_attempt_and_keeps_what_came_of_it(
        self, bed: Bed, vault: Vault
    ) -> None:
        await enrolled(bed, vault, "head")
        await enrolled(bed, vault, "member")
        own = await intent_on(vault, "member", "flight-own")
        await vault.intend(own, {})
        await vault.escrow(own, REPLY)
        intent = await intent_on(vault, "head", "flight-head")
        await vault.intend(intent, {})
        changes = [Change("head", grant("canary-2")), Change("member", grant("canary-code"))]
        told = await vault.commit(intent, "head", changes, {}, line())
        assert (told["member"].intent, told["member"].escrowed) == (None, False)
        assert any("relative" in why for why in quarantined(bed, "member"))
        with pytest.raises(Stale):
            await vault.commit(own, "member", [Change("member", grant("old"))], {}, line())

    async def test_I5_what_a_refusal_brought_is_kept_and_the_doubt_beneath_stands_again(
        self, bed: Bed, vault: Vault
    ) -> None:
        await enrolled(bed, vault, "a")
        doubted = await intent_on(vault, "a", "flight-lost")
        await vault.intend(doubted, {})
        await vault.doubt(doubted, {}, line("lost"))
        over = replace(doubted, flight="flight-over", rung="login", earlier=(Earlier("refresh", doubted.sent),))
        await vault.intend(over, {})
        brought = Change("a", grant("canary-refresh-1", check="canary-dvs"), adds=True)
        told = (await vault.commit(over, "a", [brought], {}, line("20")))["a"]
        await bed.rest(told)
        assert told.intent is not None
        assert (told.intent.rung, told.held) == ("refresh", frozenset({"refresh_token", "check"}))
        assert (await vault.read("a")).grant == grant("canary-refresh-1", check="canary-dvs")

    async def test_what_a_relative_adds_leaves_a_doubt_alone_and_an_answer_in_escrow_too(
        self, bed: Bed, vault: Vault
    ) -> None:
        await enrolled(bed, vault, "head")
        await enrolled(bed, vault, "member")
        doubted = await intent_on(vault, "head", "flight-lost")
        await vault.intend(doubted, {})
        added = Change("head", grant("canary-refresh-1", sig="canary-sig"), adds=True)
        told = await vault.commit(None, "member", [Change("member", grant("canary-code")), added], {}, line())
        assert told["head"].intent is not None
        assert told["head"].held == {"refresh_token", "sig"}
        again = replace(doubted, flight="flight-two", generation=2)
        await vault.intend(again, {})
        await vault.escrow(again, REPLY)
        late = Change("head", grant("canary-refresh-1", sig="canary-other"), adds=True)
        told = await vault.commit(None, "member", [Change("member", grant("canary-code-2")), late], {}, line())
        assert (told["head"].generation, told["head"].escrowed) == (2, True)

    async def test_a_lease_made_of_what_is_forgotten_goes_with_it(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        intent = await intent_on(vault, "a", "flight-reset")
        await vault.intend(intent, {})
        told = await vault.close(intent, frozenset(), {}, line("20029"), {}, ends_lease=True)
        assert told.lease is None
        assert (await vault.read("a")).lease is None
        assert (await vault.read("a")).grant == grant("canary-refresh-1")

    async def test_a_change_without_a_grant_keeps_the_grant(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        standing = await exchange(vault, "a", Change("a", lease=lease("a", "canary-b")))
        record = await vault.read("a")
        assert (standing.generation, standing.settled, record.generation) == (2, True, 2)
        assert record.grant == grant("canary-refresh-1")
        assert record.lease == lease("a", "canary-b", 2)

    async def test_I5_what_was_ever_held_is_known_again(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a", "canary-1")
        for number in (2, 3):
            await bed.rest(await exchange(vault, "a", Change("a", grant(f"canary-{number}"))))
        found = [await vault.knew("a", Secret(f"canary-{number}")) for number in (1, 2, 3, 4)]
        assert found == [True, True, True, False]
        assert not await vault.knew("b", Secret("canary-1"))
        await bed.aclose()
        assert await (await bed.open()).knew("a", Secret("canary-1"))

    async def test_what_was_held_is_remembered_without_being_kept(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a", "canary-1")
        await vault.aclose()
        assert b"canary" not in bytes_at_rest(bed)

    async def test_an_imported_secret_is_known_however_many_rotations_follow(self, bed: Bed, vault: Vault) -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(fingerprints, "MOST", 3)
            await enrolled(bed, vault, "a", "canary-1")
            for number in range(2, 8):
                await bed.rest(await exchange(vault, "a", Change("a", grant(f"canary-{number}"))))
        found = [await vault.knew("a", Secret(f"canary-{number}")) for number in range(1, 8)]
        assert found == [True, False, False, False, True, True, True]

    async def test_an_account_that_was_forgotten_knows_nothing(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a", "canary-1")
        await vault.forget("a")
        assert not await vault.knew("a", Secret("canary-1"))

    async def test_an_answer_that_was_set_aside_was_never_held(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a", "canary-1")
        stranger = Change("a", grant("canary-s", lineage="line-2"), withheld="somebody else")
        await exchange(vault, "a", stranger)
        assert not await vault.knew("a", Secret("canary-s"))

    async def test_one_commit_touches_every_record_of_the_family(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        intent = await intent_on(vault, "a", "f")
        await vault.intend(intent, {})
        told = await vault.commit(intent, "a", [Change("a", grant("x")), Change("b", grant("y"))], {}, line())
        assert {name: standing.generation for name, standing in told.items()} == {"a": 2, "b": 1}

    async def test_I7_named_secrets_are_forgotten_and_no_others(self, bed: Bed, vault: Vault) -> None:
        given = grant("canary-r", ticket="canary-t")
        standing = await exchange(vault, "a", Change("a", given))
        await bed.rest(standing)
        intent = await intent_on(vault, "a", "f")
        await vault.intend(intent, {})
        told = await vault.close(intent, frozenset({"ticket", "never-had"}), {}, line("invalid_ticket"), {})
        record = await vault.read("a")
        assert told.held == {"refresh_token"}
        assert record.grant is not None
        assert dict(record.grant.secrets) == {"refresh_token": Secret("canary-r")}
        assert (told.generation, told.intent) == (1, None)

    async def test_what_a_change_names_is_forgotten_even_where_its_grant_holds_it(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        told = await exchange(vault, "a", Change("a", grant("canary-2", step="canary-step"), drop=frozenset({"step"})))
        assert told.held == {"refresh_token"}
        assert (await vault.read("a")).grant == grant("canary-2")

    async def test_a_lease_that_cost_nothing_leaves_the_generation_alone(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        flying = await intent_on(vault, "a", "f")
        await vault.intend(flying, {})
        standing = await vault.write_behind(Change("a", lease=lease("a", "canary-c", 2)), {}, line())
        assert (standing.generation, standing.lease) == (1, lease("a", "canary-c", 2))
        await vault.commit(flying, "a", [Change("a", grant("x"))], {}, line())

    async def test_a_lease_can_be_all_there_is(self, vault: Vault) -> None:
        standing = await vault.write_behind(Change("app", lease=lease("app", generation=1)), {}, line())
        assert (standing.generation, standing.lineage, standing.settled) == (0, None, True)
        assert (await vault.read("app")).lease == lease("app", generation=1)

    # -- intents and escrows -----------------------------------------------------------------------------------

    async def test_an_intent_left_behind_is_told_without_its_material(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        intent = await intent_on(vault, "a", "f")
        await vault.intend(intent, {})
        await vault.aclose()
        again = bed.vault()
        told = (await again.open())["a"]
        assert told.intent == replace(intent, material={})
        assert not told.escrowed
        assert await again.escrowed("a") is None

    async def test_an_escrow_left_behind_is_every_byte_of_the_reply(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        intent = await intent_on(vault, "a", "f")
        await vault.intend(intent, {})
        await vault.escrow(intent, REPLY)
        await vault.aclose()
        again = bed.vault()
        assert (await again.open())["a"].escrowed
        assert await again.escrowed("a") == (intent, REPLY)

    async def test_an_enrolment_that_did_not_end_is_told_of_an_account_without_a_record(
        self, bed: Bed, vault: Vault
    ) -> None:
        intent = await intent_on(vault, "new", "f")
        await vault.intend(intent, {})
        await vault.aclose()
        told = (await bed.vault().open())["new"]
        assert (told.generation, told.intent) == (0, replace(intent, material={}))

    async def test_a_commit_clears_intent_and_escrow(self, bed: Bed, vault: Vault) -> None:
        standing = await enrolled(bed, vault, "a")
        assert (standing.intent, standing.escrowed) == (None, False)
        assert await vault.escrowed("a") is None

    async def test_doubt_keeps_intent_and_escrow(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        intent = await intent_on(vault, "a", "f")
        await vault.intend(intent, {})
        await vault.escrow(intent, REPLY)
        await vault.doubt(intent, {"k": row()}, line("lost"))
        assert await vault.escrowed("a") == (intent, REPLY)
        assert await vault.paces() == {"a/refresh": row(), "k": row()}

    @pytest.mark.parametrize("wrong", [{"generation": 7}, {"lineage": "line-9"}, {"generation": 0, "lineage": None}])
    async def test_a_stale_intent_loses(self, bed: Bed, vault: Vault, wrong: dict[str, object]) -> None:
        await enrolled(bed, vault, "a")
        intent = replace(await intent_on(vault, "a", "f"), **wrong)  # type: ignore[arg-type]
        with pytest.raises(Stale):
            await vault.intend(intent, {"k": row()})
        assert "k" not in await vault.paces()

    async def test_an_enrolment_may_found_another_lineage(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        intent = replace(await intent_on(vault, "a", "f", candidate="line-2"), lineage=None)
        await vault.intend(intent, {})
        told = await vault.commit(intent, "a", [Change("a", grant("x", "line-2"))], {}, line())
        assert (told["a"].lineage, told["a"].generation) == ("line-2", 2)

    async def test_a_commit_whose_attempt_was_replaced_loses(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        old, new = await intent_on(vault, "a", "old"), await intent_on(vault, "a", "new")
        await vault.intend(old, {})
        await vault.intend(new, {})
        with pytest.raises(Stale):
            await vault.commit(old, "a", [Change("a", grant("x"))], {}, line())
        assert (await vault.read("a")).generation == 1

    async def test_a_commit_of_an_older_generation_loses_although_its_intent_stands(
        self, bed: Bed, vault: Vault
    ) -> None:
        await enrolled(bed, vault, "a")
        late = await intent_on(vault, "a", "late")
        await vault.intend(late, {})
        await vault.escrow(late, REPLY)
        await vault.commit(None, "a", [Change("a", grant("imported", "line-2"))], {}, line())
        with pytest.raises(Stale):
            await vault.commit(late, "a", [Change("a", grant("late"))], {}, line())
        assert (await vault.read("a")).grant == grant("imported", "line-2")
        assert await vault.escrowed("a") == (late, REPLY)

    async def test_I3_an_intent_written_anew_sets_aside_the_escrow_of_its_own_flight(
        self, bed: Bed, vault: Vault
    ) -> None:
        await enrolled(bed, vault, "a")
        replay = await intent_on(vault, "a", "replay", replays=1)
        await vault.intend(replay, {})
        await vault.escrow(replay, REPLY)
        await vault.intend(replace(replay, replays=0), {})
        assert await vault.escrowed("a") is None
        assert len(quarantined(bed, "a")) == 1

    async def test_an_older_escrow_is_set_aside_never_dropped(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        old, new = await intent_on(vault, "a", "old"), await intent_on(vault, "a", "new")
        await vault.intend(old, {})
        await vault.escrow(old, REPLY)
        await vault.intend(new, {})
        assert await vault.escrowed("a") is None
        assert quarantined(bed, "a") == ["replaced by a later attempt"]

    async def test_a_reply_without_its_intent_is_set_aside_never_dropped(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        with pytest.raises(Stale):
            await vault.escrow(await intent_on(vault, "a", "unknown"), REPLY)
        assert quarantined(bed, "a") == ["its intent was gone"]

    async def test_quarantine_is_bounded_and_keeps_the_newest(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        for number in range(12):
            with pytest.raises(Stale):
                await vault.escrow(await intent_on(vault, "a", f"gone-{number}"), REPLY)
        with closing(sqlite3.connect(bed.folder / "journal.db")) as db:
            kept = [content for (content,) in db.execute("SELECT content FROM quarantine ORDER BY id")]
        assert len(kept) == 8
        assert '"gone-11"' in kept[-1]

    async def test_I3_error_pages_push_no_broken_answer_out_of_quarantine(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        error = Reply(502, (), b"<html>bad gateway</html>")
        for number, reply in enumerate([REPLY, *[error] * 12]):
            intent = await intent_on(vault, "a", f"lost-{number}")
            await vault.intend(intent, {})
            await vault.escrow(intent, reply)
        kept = quarantined(bed, "a")
        assert kept == ["replaced by a later attempt", *["replaced by a later attempt: status 502"] * 8]

    @pytest.mark.parametrize("end", ["close", "dead", "aside"])
    async def test_I5_with_the_end_of_an_attempt_the_doubt_below_it_stands_again(
        self, bed: Bed, vault: Vault, end: str
    ) -> None:
        await enrolled(bed, vault, "a")
        lost = await intent_on(vault, "a", "lost")
        below = (Earlier("refresh", lost.sent, 1), Earlier("login", lost.sent, 2))
        over = replace(await intent_on(vault, "a", "over", candidate="line-2"), earlier=below)
        await vault.intend(over, {})
        await vault.escrow(over, REPLY)
        if end == "aside":
            change = Change("a", grant("theirs", "line-2"), withheld="another subject")
            told = (await vault.commit(over, "a", [change], {}, line("withheld")))["a"]
        else:
            dead = {"refresh_token": "invalid_grant"} if end == "dead" else {}
            over = replace(over, lineage=lost.lineage)
            told = await vault.close(over, frozenset(), {}, line("refused"), dead)
        assert told.intent is not None
        assert (told.intent.rung, told.intent.replays, told.intent.earlier) == ("login", 2, below[:1])
        assert (told.intent.candidate, told.escrowed) == (None, False)

    async def test_I5_what_is_added_by_a_refusal_that_declares_the_secret_dead_marks_it(
        self, bed: Bed, vault: Vault
    ) -> None:
        await enrolled(bed, vault, "a", "canary-old")
        refused = await intent_on(vault, "a", "refused")
        await vault.intend(refused, {})
        brought = Change(
            "a", grant("canary-old", check="canary-c"), adds=True, dead={"refresh_token": "20064", "never-had": "x"}
        )
        told = (await vault.commit(refused, "a", [brought], {}, line("20064")))["a"]
        assert told.held == {"check"}
        assert dict(told.dead) == {"refresh_token": "20064"}

    async def test_what_is_only_added_makes_nothing_withheld_look_usable(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a", "canary-old")
        await exchange(vault, "a", Change("a", grant("rotated"), withheld="another subject"))
        added = Change("a", grant("rotated", key="canary-key"), adds=True)
        told = (await vault.commit(None, "a", [added], {}, line("kept")))["a"]
        assert told.withheld == "another subject"
        assert told.held == {"refresh_token", "key"}
        renewed = await exchange(vault, "a", Change("a", grant("ours")))
        assert renewed.withheld is None

    async def test_I5_what_is_only_added_leaves_the_doubt_below_it_and_what_is_dead(
        self, bed: Bed, vault: Vault
    ) -> None:
        """A refusal may bring what a person's next step needs: that says nothing of what was presented before."""
        await enrolled(bed, vault, "a", "canary-old")
        refused = await intent_on(vault, "a", "refused")
        await vault.intend(refused, {})
        await vault.close(refused, frozenset(), {}, line("20064"), {"refresh_token": "20064"})
        over = replace(
            await intent_on(vault, "a", "over", candidate="line-2"), earlier=(Earlier("login", refused.sent, 1),)
        )
        await vault.intend(over, {})
        added = Change("a", grant("canary-old", check="canary-dvs"), adds=True)
        told = (await vault.commit(over, "a", [added], {}, line("21")))["a"]
        assert told.intent is not None
        assert (told.intent.rung, told.intent.replays, told.intent.candidate) == ("login", 1, None)
        assert dict(told.dead) == {"refresh_token": "20064"}
        assert told.held == {"check"}

    async def test_a_relatives_addition_leaves_an_answer_of_its_own_alone(self, bed: Bed, vault: Vault) -> None:
        """What is added is worth less than an answer that waits to be finished, and than a doubt."""
        await enrolled(bed, vault, "head")
        await enrolled(bed, vault, "member")
        own = await intent_on(vault, "head", "flight-own")
        await vault.intend(own, {})
        changes = [Change("member", grant("canary-code")), Change("head", grant("canary-2", sig="s"), adds=True)]
        first = await intent_on(vault, "member", "flight-1")
        await vault.intend(first, {})
        told = await vault.commit(first, "member", changes, {}, line())
        assert told["head"].intent is not None
        assert "sig" in told["head"].held
        again = replace(own, generation=told["head"].generation)
        await vault.intend(again, {})
        await vault.escrow(again, REPLY)
        second = await intent_on(vault, "member", "flight-2")
        await vault.intend(second, {})
        told = await vault.commit(second, "member", changes, {}, line())
        assert (told["head"].generation, told["head"].escrowed) == (again.generation, True)

    async def test_the_end_of_an_attempt_counts_once_however_often_it_is_written(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        intent = await intent_on(vault, "a", "f")
        await vault.intend(intent, {})
        first = await vault.commit(intent, "a", [Change("a", grant("x"))], {}, line("once"))
        again = await vault.commit(intent, "a", [Change("a", grant("x"))], {}, line("twice"))
        await vault.close(intent, frozenset({"refresh_token"}), {}, line("thrice"), {})
        assert first["a"].generation == again["a"].generation == 2
        assert [told.outcome for told in await vault.history("a")] == ["ok", "once"]
        assert (await vault.read("a")).grant == grant("x")

    async def test_an_answer_for_somebody_else_displaces_nothing(self, bed: Bed, vault: Vault) -> None:
        before = await enrolled(bed, vault, "a")
        intent = await intent_on(vault, "a", "f", candidate="line-2")
        await vault.intend(intent, {})
        change = Change("a", grant("theirs", "line-2"), lease("a", "theirs"), withheld="another subject")
        told = (await vault.commit(intent, "a", [change], {}, line("withheld")))["a"]
        assert told == replace(before, settled=True, withheld="another subject")
        assert (await vault.read("a")).grant == grant("canary-refresh-1")
        assert quarantined(bed, "a") == ["withheld: another subject"]

    async def test_a_rotation_for_somebody_else_is_kept_and_not_leased(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        change = Change("a", grant("rotated"), lease("a", "theirs"), withheld="another subject")
        told = await exchange(vault, "a", change)
        await bed.rest(told)
        assert (told.withheld, told.generation) == ("another subject", 2)
        assert told.lease == lease("a", generation=1)
        assert (await vault.read("a")).grant == grant("rotated")

    # -- secrets that the service declared dead -----------------------------------------------------------------

    async def test_I5_a_secret_declared_dead_is_kept_and_marked_for_good(self, bed: Bed, vault: Vault) -> None:
        await bed.rest(await exchange(vault, "a", Change("a", grant("canary-r", ticket="canary-t"))))
        intent = await intent_on(vault, "a", "f")
        await vault.intend(intent, {})
        told = await vault.close(intent, frozenset(), {}, line("invalid_grant"), {"refresh_token": "invalid_grant"})
        assert (set(told.held), dict(told.dead), told.generation) == ({"ticket"}, {"refresh_token": "invalid_grant"}, 1)
        assert told.intent is None
        assert (await vault.read("a")).grant == grant("canary-r", ticket="canary-t")
        await vault.aclose()
        again = await bed.vault().open()
        assert (again["a"].held, dict(again["a"].dead)) == (told.held, dict(told.dead))

    async def test_I5_two_secrets_die_one_after_the_other(self, bed: Bed, vault: Vault) -> None:
        await bed.rest(await exchange(vault, "a", Change("a", grant("canary-r", ticket="canary-t"))))
        told = Standing("a")
        for name, code in (("refresh_token", "invalid_grant"), ("ticket", "expired")):
            intent = await intent_on(vault, "a", f"f-{name}")
            await vault.intend(intent, {})
            told = await vault.close(intent, frozenset(), {}, line(code), {name: code})
        assert (not told.held, dict(told.dead)) == (True, {"refresh_token": "invalid_grant", "ticket": "expired"})

    async def test_a_lease_without_a_grant_leaves_the_mark_and_a_new_grant_clears_it(
        self, bed: Bed, vault: Vault
    ) -> None:
        await enrolled(bed, vault, "a")
        intent = await intent_on(vault, "a", "f")
        await vault.intend(intent, {})
        await vault.close(intent, frozenset(), {}, line("invalid_grant"), {"refresh_token": "invalid_grant"})
        still = await exchange(vault, "a", Change("a", lease=lease("a", "canary-b")), "f2")
        assert (not still.held, dict(still.dead)) == (True, {"refresh_token": "invalid_grant"})
        behind = await vault.write_behind(Change("a", lease=lease("a", "canary-c", 2)), {}, line())
        assert (not behind.held, dict(behind.dead)) == (True, {"refresh_token": "invalid_grant"})
        fresh = await exchange(vault, "a", Change("a", grant("canary-new")), "f3")
        assert (set(fresh.held), len(fresh.dead)) == ({"refresh_token"}, 0)

    async def test_a_secret_of_another_generation_is_not_declared_dead(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        intent = await intent_on(vault, "a", "f")
        await vault.intend(intent, {})
        await vault.commit(None, "a", [Change("a", grant("canary-imported", "line-2"))], {}, line())
        with pytest.raises(Stale):
            await vault.close(intent, frozenset(), {}, line("invalid_grant"), {"refresh_token": "invalid_grant"})
        await vault.aclose()
        assert (await bed.vault().open())["a"].held == {"refresh_token"}

    async def test_what_was_named_dead_and_is_not_held_marks_nothing(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        intent = await intent_on(vault, "a", "f")
        await vault.intend(intent, {})
        told = await vault.close(intent, frozenset(), {}, line("invalid_grant"), {"never-had": "invalid_grant"})
        assert told.held == {"refresh_token"}

    # -- an operator's pause -------------------------------------------------------------------------------------

    async def test_a_pause_is_remembered_until_it_is_ended(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        await vault.pause("a", paused=True)
        await vault.pause("a", paused=True)
        await vault.pause("never-enrolled", paused=True)
        await vault.aclose()
        again = bed.vault()
        told = await again.open()
        assert {name: standing.paused for name, standing in told.items()} == {"a": True, "never-enrolled": True}
        assert told["never-enrolled"].generation == 0
        await again.pause("a", paused=False)
        await again.pause("nobody", paused=False)
        await again.aclose()
        assert not (await bed.vault().open())["a"].paused

    async def test_names_that_look_like_patterns_pause_only_themselves(self, bed: Bed, vault: Vault) -> None:
        for name in ("a_c", "abc", "a.c"):
            await enrolled(bed, vault, name)
        await vault.pause("a_c", paused=True)
        await vault.aclose()
        told = await bed.vault().open()
        assert [name for name, standing in told.items() if standing.paused] == ["a_c"]

    async def test_to_forget_ends_the_pause(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        await vault.pause("a", paused=True)
        await vault.forget("a")
        await vault.aclose()
        assert await bed.vault().open() == {}

    # -- pace, history, time -----------------------------------------------------------------------------------

    async def test_the_pace_is_charged_with_the_intent(self, bed: Bed, vault: Vault) -> None:
        intent = await intent_on(vault, "a", "f")
        await vault.intend(intent, {"host": row(3), "host app": row(1)})
        await vault.note({"host": row(4)})
        await vault.aclose()
        again = await bed.open()
        assert await again.paces() == {"host": row(4), "host app": row(1)}

    async def test_history_is_bounded_and_oldest_first(self, bed: Bed, vault: Vault) -> None:
        for number in range(70):
            await vault.write_behind(Change("a", lease=lease("a")), {}, line(str(number)))
        assert [told.outcome for told in await vault.history("a")] == [str(number) for number in range(6, 70)]

    async def test_the_highest_wall_time_is_remembered(self, bed: Bed, vault: Vault) -> None:
        bed.now = replace(bed.now, wall=bed.now.wall + 500)
        await vault.note({})
        highest, bed.now = bed.now.wall, replace(bed.now, wall=10.0)
        await vault.note({})
        await vault.aclose()
        assert (await bed.open()).high_water == highest

    # -- forgetting, hiding ------------------------------------------------------------------------------------

    async def test_forget_leaves_nothing(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        await enrolled(bed, vault, "b")
        with pytest.raises(Stale):
            await vault.escrow(await intent_on(vault, "a", "gone"), REPLY)
        await vault.forget("a")
        assert await vault.read("a") == Record("a")
        assert (await vault.history("a"), quarantined(bed, "a")) == ((), [])
        await vault.aclose()
        assert list(await bed.vault().open()) == ["b"]

    async def test_a_forgotten_account_begins_another_life(self, bed: Bed, vault: Vault) -> None:
        for number in range(3):
            await enrolled(bed, vault, "a", f"old-{number}")
        await vault.forget("a")
        await enrolled(bed, vault, "a", "new")
        assert await vault.read("a") == Record("a", 1, grant("new"), lease("a", generation=1))

    async def test_no_secret_rests_in_the_clear(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        intent = await intent_on(vault, "a", "f")
        await vault.intend(intent, {})
        await vault.escrow(intent, REPLY)
        while_open = bytes_at_rest(bed)
        await vault.aclose()
        for canary in CANARIES:
            assert canary not in while_open
            assert canary not in bytes_at_rest(bed)

    async def test_files_are_the_owners_alone(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        modes = {path.name: path.stat().st_mode & 0o777 for path in bed.folder.iterdir()}
        assert {"journal.db", "journal.db-wal", "journal.db-shm", "lock", "ballast"} <= modes.keys()
        assert set(modes.values()) == {0o600}

    # -- lock and key ------------------------------------------------------------------------------------------

    async def test_a_second_instance_is_told_who_runs(self, bed: Bed, vault: Vault) -> None:
        with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"):
            await bed.vault().open()

    async def test_the_crash_points_are_reached_in_order(self, bed: Bed) -> None:
        reached: list[str] = []
        bed.trace = reached.append
        vault = await bed.open()
        await exchange(vault, "a", Change("a", grant()))
        await bed.aclose()
        assert reached == ["intent-durable", "escrow-durable", "commit-durable"]

    async def test_a_damaged_record_harms_nobody_else(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        await enrolled(bed, vault, "b")
        await vault.aclose()
        with closing(sqlite3.connect(bed.folder / "journal.db")) as db, db:
            (blob,) = db.execute("SELECT about FROM records WHERE account = 'a'").fetchone()
            db.execute("UPDATE records SET about = ? WHERE account = 'a'", (blob[:-1] + bytes([blob[-1] ^ 1]),))
        again = bed.vault()
        told = await again.open()
        assert told["a"].broken is not None
        assert (told["b"].broken, told["b"].generation) == (None, 1)
        assert len(quarantined(bed, "a")) == 1
        assert (await again.read("b")).grant == grant("canary-refresh-1")
        intent = Intent("f", "a", "authorize", None, told["a"].generation, bed.now, candidate="line-2")
        await again.intend(intent, {})
        healed = await again.commit(intent, "a", [Change("a", grant("new", "line-2"))], {}, line())
        assert (healed["a"].broken, healed["a"].generation) == (None, 2)

    async def test_two_values_that_change_places_do_not_open(self, bed: Bed, vault: Vault) -> None:
        await enrolled(bed, vault, "a")
        await enrolled(bed, vault, "b")
        await vault.aclose()
        with closing(sqlite3.connect(bed.folder / "journal.db")) as db, db:
            (blob,) = db.execute("SELECT lease_blob FROM records WHERE account = 'a'").fetchone()
            db.execute("UPDATE records SET lease_blob = ? WHERE account = 'b'", (blob,))
        told = await bed.vault().open()
        assert (told["a"].broken, told["b"].broken is not None) == (None, True)


class TestSealedUnderAKeyFile(VaultContract):
    @pytest.fixture
    def bed(self, tmp_path: Path) -> Bed:
        return Bed(tmp_path / "state", "sealed", KeyFile(tmp_path / "key"))

    async def test_a_pause_needs_no_key(self, bed: Bed, tmp_path: Path) -> None:
        vault = await bed.open()
        await enrolled(bed, vault, "a")
        await vault.aclose()
        (tmp_path / "key").rename(tmp_path / "away")
        locked = bed.vault()
        with pytest.raises(VaultLocked):
            await locked.pause("a", paused=True)
        with pytest.raises(VaultLocked):
            await locked.open()
        await locked.pause("a", paused=True)
        (tmp_path / "away").rename(tmp_path / "key")
        assert (await locked.open())["a"].paused
        await bed.aclose()

    async def test_a_missing_key_locks_and_makes_no_other(self, bed: Bed, tmp_path: Path) -> None:
        await (await bed.open()).aclose()
        (tmp_path / "key").rename(tmp_path / "away")
        vault = bed.vault()
        for _ in range(2):
            with pytest.raises(VaultLocked):
                await vault.open()
        with pytest.raises(VaultLocked):
            await vault.read("a")
        assert not (tmp_path / "key").exists()
        (tmp_path / "away").rename(tmp_path / "key")
        assert await vault.open() == {}
        await bed.aclose()

    async def test_another_key_is_refused(self, bed: Bed, tmp_path: Path) -> None:
        await (await bed.open()).aclose()
        (tmp_path / "key").write_text("ab" * 32)
        with pytest.raises(VaultForeign):
            await bed.vault().open()
        await bed.aclose()

    async def test_a_key_file_open_to_others_is_refused(self, bed: Bed, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("ab" * 32)
        (tmp_path / "key").chmod(0o640)
        with pytest.raises(VaultLocked, match="open to other users"):
            await bed.open()
        await bed.aclose()

    async def test_a_damaged_grant_is_noticed_at_the_start(self, bed: Bed) -> None:
        vault = await bed.open()
        await enrolled(bed, vault, "a")
        await vault.aclose()
        with closing(sqlite3.connect(bed.folder / "journal.db")) as db, db:
            db.execute("UPDATE records SET grant_blob = substr(grant_blob, 1, 40)")
        assert (await bed.vault().open())["a"].broken is not None
        await bed.aclose()

    async def test_damage_done_while_running_is_an_error_not_an_empty_record(self, bed: Bed) -> None:
        vault = await bed.open()
        await enrolled(bed, vault, "a")
        with closing(sqlite3.connect(bed.folder / "journal.db")) as db, db:
            db.execute("UPDATE records SET grant_blob = substr(grant_blob, 1, 40)")
        with pytest.raises(StoreError):
            await vault.read("a")
        await bed.aclose()


class TestKeyring(VaultContract):
    @pytest.fixture
    def bed(self, tmp_path: Path) -> Bed:
        return Bed(tmp_path / "state", "keyring", Drawer())

    async def test_a_locked_keyring_locks_the_vault_until_it_opens(self, bed: Bed) -> None:
        drawer = bed.custodian
        assert isinstance(drawer, Drawer)
        drawer.locked = True
        vault = bed.vault()
        with pytest.raises(VaultLocked):
            await vault.open()
        assert not drawer.entries
        drawer.locked = False
        assert await vault.open() == {}
        await bed.aclose()

    async def test_a_keyring_that_keeps_nothing_is_never_used(self, bed: Bed) -> None:
        drawer = bed.custodian
        assert isinstance(drawer, Drawer)
        drawer.forgetful = True
        with pytest.raises(VaultLocked, match="did not give back"):
            await bed.open()
        await bed.aclose()

    async def test_only_the_key_and_the_grants_rest_there(self, bed: Bed) -> None:
        drawer = bed.custodian
        assert isinstance(drawer, Drawer)
        vault = await bed.open()
        await enrolled(bed, vault, "a")
        assert sorted(entry for _, entry in drawer.entries) == ["a", ANCHOR_ENTRY, KEY_ENTRY]
        await bed.aclose()


class TestKeyringInParts(VaultContract):
    @pytest.fixture
    def bed(self, tmp_path: Path) -> Bed:
        return Bed(tmp_path / "state", "keyring", Drawer(longest=100))


@pytest.mark.part("keyring")
class TestGnomeKeyring(VaultContract):
    @pytest.fixture(scope="class")
    @classmethod
    def session(cls) -> object:
        with KeyringBed() as session:
            yield session

    @pytest.fixture
    def bed(self, tmp_path: Path, session: KeyringBed, monkeypatch: pytest.MonkeyPatch) -> Bed:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session.env["DBUS_SESSION_BUS_ADDRESS"])
        return Bed(tmp_path / "state", "keyring", OsKeyring("secret-service"))

    async def test_a_locked_collection_is_noticed_and_its_unlocking_too(self, bed: Bed, session: KeyringBed) -> None:
        vault = await bed.open()
        await enrolled(bed, vault, "a")
        session.lock()
        try:
            with pytest.raises(KeyringUnavailable, match="locked"):
                await vault.read("a")
            told = await exchange_while_locked(vault)
            assert (told.generation, told.settled) == (1, False)
            await vault.aclose()
            again = bed.vault()
            with pytest.raises(VaultLocked):
                await again.open()
        finally:
            assert session.unlock()
        assert set(await again.open()) == {"a", "b"}
        await bed.until_told("b", settled=True)
        assert (await again.read("b")).grant == grant("canary-b")
        await bed.aclose()

    async def test_a_frozen_daemon_holds_up_no_commit_and_no_stop(self, bed: Bed, session: KeyringBed) -> None:
        bed.deadline = 2.0
        vault = await bed.open()
        await enrolled(bed, vault, "a")
        with session.frozen():
            told = await exchange_while_locked(vault)
            assert (told.generation, told.settled) == (1, False)
            await bed.until_told("b", settled=False)
            with pytest.raises(KeyringUnavailable, match="did not answer"):
                await vault.read("a")
            await vault.aclose()
        again = await bed.open()
        await bed.until_told("b", settled=True)
        assert (await again.read("a")).grant == grant("canary-refresh-1")
        await bed.aclose()

    async def test_an_acknowledged_grant_outlives_the_daemons_death(self, bed: Bed, session: KeyringBed) -> None:
        vault = await bed.open()
        await enrolled(bed, vault, "a")
        session.kill()
        told = await exchange_while_locked(vault)
        assert told.generation == 1
        session.restart()
        retry(vault)
        await bed.until_told("b", settled=True)
        assert (await vault.read("a")).grant == grant("canary-refresh-1")
        await bed.aclose()


async def exchange_while_locked(vault: Vault) -> Standing:
    return await exchange(vault, "b", Change("b", grant("canary-b")))
