"""Ninety virtual days of a plain, correct client: what the service must never hold against it, and what it counts."""

from tests.sandbox.futu_bed import HK, US, Bed

DAY = 86_400
HALF_HOUR = 1_800
STEPS = 90 * DAY // HALF_HOUR


def restock(bed: Bed, broker_id: int) -> None:
    """Fetch a code; once more after the words that the customer id is not valid."""
    if bed.repull(broker_id).code == 20029:
        bed.pass_(10)
        assert bed.repull(broker_id).code == 0


def test_ninety_days_leave_no_spent_use_and_no_haste() -> None:
    bed = Bed()
    bed.order("repull", code=20029, broker_id=US, count=1)
    for step in range(STEPS):
        if step % (10 * 48) == 0:
            assert bed.login().code == 0
        for broker_id in (HK, US):
            assert bed.auth(broker_id).code == 0
            restock(bed, broker_id)
        bed.pass_(HALF_HOUR)
    totals, tally = bed.service.state.books.shared.totals, bed.tally
    assert (totals.spent_uses, totals.doubtful_replays, totals.refused) == (0, 0, 1)
    assert (tally.spent_uses, tally.void_uses, tally.sms_sent) == ({}, {}, 0)
    assert (tally.authority_calls, tally.authority_too_soon) == (9, 0)
    assert tally.broker_auths == {HK: STEPS, US: STEPS}
    assert [sum(tally.repulls[broker_id].values()) for broker_id in (HK, US)] == [STEPS, STEPS + 1]
    assert max(tally.repulls[HK].values()) == 48
