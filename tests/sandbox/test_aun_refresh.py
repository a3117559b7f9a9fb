"""Refresh chains: rotation, their ends, and how replays are counted."""

import pytest

from freshd.sandbox.aun.levers import Thing
from freshd.sandbox.tokens import fingerprint
from tests.sandbox.aun_bed import AID, DAY, HOUR, Bed, claims_of, code_of
from tests.sandbox.conftest import START


def test_a_refresh_spends_its_token_for_a_pair() -> None:
    bed = Bed()
    old = bed.me.refresh
    told = bed.refresh()
    assert told.result is not None
    assert (told.result["success"], told.result["expires_in"]) == (True, 3600)
    assert bed.me.refresh != old
    assert told.commit is not None
    assert (told.commit.spent, told.commit.successor) == (fingerprint(old), fingerprint(bed.me.refresh))


def test_the_old_access_token_lives_to_its_own_end() -> None:
    bed = Bed()
    old = bed.me.access
    bed.pass_(HOUR / 2)
    bed.refresh()
    assert claims_of(old)["exp"] == START + HOUR
    bed.me.access = old
    assert bed.connect().result is not None


def test_a_spent_token_ends_the_chain_and_is_counted_by_what_is_proven() -> None:
    bed = Bed()
    old = bed.me.refresh
    bed.refresh()
    told = bed.call("auth.refresh_token", refresh_token=old)
    assert told.result is not None
    assert (told.result["success"], told.result["error"]) == (False, "invalid_or_expired_refresh_token")
    assert told.result["relogin_required"] is True
    assert bed.page.counters.doubtful_replays == 1
    assert bed.page.counters.killed_by == {"reuse": 1}
    told = bed.refresh()
    assert told.result is not None
    assert told.result["success"] is False


def test_a_spent_token_after_its_successor_is_a_spent_use() -> None:
    bed = Bed(REUSE_KILLS="token")
    old = bed.me.refresh
    bed.refresh()
    bed.refresh()
    bed.call("auth.refresh_token", refresh_token=old)
    assert (bed.page.counters.spent_uses, bed.page.counters.doubtful_replays) == (1, 0)


def test_opening_a_session_vouches_for_the_answer_that_brought_its_token() -> None:
    bed = Bed(REUSE_KILLS="token")
    old = bed.me.refresh
    bed.refresh()
    bed.connect()
    bed.call("auth.refresh_token", refresh_token=old)
    assert bed.page.counters.spent_uses == 1


def test_a_lost_answer_makes_the_replay_doubtful() -> None:
    bed = Bed()
    bed.refresh(lost_by="lost_after_commit")
    bed.refresh()
    assert bed.page.counters.reasons == {"lost_after_commit": 1}


def test_the_chain_ends_after_its_refreshes() -> None:
    bed = Bed(CHAIN_REFRESHES=3)
    for _ in range(3):
        assert bed.refresh().result is not None
    assert code_of(bed.refresh()) == -32005
    assert bed.login().result is not None
    assert bed.refresh().result is not None


def test_the_chain_ends_after_thirty_days_and_its_token_after_seven() -> None:
    bed = Bed()
    for _ in range(5):
        bed.pass_(6 * DAY - 1)
        assert bed.refresh().result is not None
    bed.pass_(6)
    assert code_of(bed.refresh()) == -32005
    bed = Bed()
    bed.pass_(7 * DAY)
    told = bed.refresh()
    assert told.result is not None
    assert told.result["success"] is False


def test_seven_hundred_and_twenty_refreshes_are_the_limit() -> None:
    bed = Bed()
    bed.levers.age(AID, refreshes=719)
    assert bed.refresh().result is not None
    assert code_of(bed.refresh()) == -32005


@pytest.mark.parametrize("token", ["rt-unknown", ""])
def test_a_token_that_is_none_of_ours_is_refused(token: str) -> None:
    told = Bed().call("auth.refresh_token", refresh_token=token)
    assert told.result is not None
    assert told.result["success"] is False


def test_the_diagnosis_names_no_token() -> None:
    bed = Bed()
    bed.levers.revoke(AID, Thing.REFRESH, None, bed.at)
    told = bed.refresh()
    assert bed.me.refresh not in str(told.result)


def test_what_more_clients_send_is_taken_and_ignored() -> None:
    bed = Bed()
    more = {"aid": AID, "device_id": "dev-1", "slot_id": "default", "access_token": bed.me.access, "sdk_lang": "python"}
    assert bed.refresh(**more).result is not None


def test_two_identities_have_pages_of_their_own() -> None:
    bed = Bed()
    other = bed.mint("bob0001.sandbox.test", label="bob")
    bed.call("auth.refresh_token", refresh_token=other.refresh)
    books = bed.aun.state.books.ledger.books
    assert books.account("bob").counters.calls == {"auth.refresh_token": 1}
    assert AID not in {name for name, page in books.accounts.items() if page.counters.refreshes}
