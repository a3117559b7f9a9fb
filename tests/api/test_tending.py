"""Verbs on the vault as a whole: for operators and nobody else."""

import pytest

from freshd.api.routes import VAULT_VERBS
from tests.api.world import Wire, World, hang_up_on


@pytest.mark.parametrize("verb", sorted(VAULT_VERBS))
async def test_an_operator_is_answered(world: World, wire: Wire, verb: str) -> None:
    world.allow(operator=True)
    reply = await wire.post(f"/v1/vault/{verb}", b"{}")
    assert reply.status == 200
    assert [(one, account) for one, account, _ in world.tokens.operations] == [(verb, "")]


@pytest.mark.parametrize("verb", sorted(VAULT_VERBS))
async def test_a_reader_is_told_that_there_is_no_such_thing(world: World, wire: Wire, verb: str) -> None:
    world.allow("calendar", "mail")
    denied = await wire.post(f"/v1/vault/{verb}", b"{}")
    unknown = await wire.post("/v1/vault/burn", b"{}")
    assert (denied.status, unknown.status) == (404, 404)
    assert denied.body == unknown.body
    assert world.tokens.operations == []


async def test_verbs_of_accounts_are_none_of_the_vault_s_and_the_reverse(world: World, wire: Wire) -> None:
    world.allow("calendar", operator=True)
    assert (await wire.post("/v1/vault/refresh", b"{}")).status == 404
    assert (await wire.post("/v1/accounts/calendar/rotate-key", b"{}")).status == 404


async def test_a_verb_goes_on_when_its_caller_hangs_up(world: World, wire: Wire) -> None:
    await hang_up_on(world, wire, "/v1/vault/rotate-key", b"{}")
    assert [one for one, _, _ in world.tokens.operations] == ["rotate-key"]
