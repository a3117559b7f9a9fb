"""The packaged profiles are valid, sourced, and careful where nothing is known."""

import re
from pathlib import Path

import pytest

from freshd.config import load
from freshd.core.contract import Contract, Kills, Omitted, Reuse
from freshd.core.profile import Profile
from freshd.providers.profiles import packaged
from freshd.providers.registry import Schemas
from tests.unit.config_parts import Desk, desk

__all__ = ["desk"]
KINDS = Schemas()
LEAST = {"feishu": "app_id", "feishu-app": "app_id", "geniusauth": "app_code"}
"""The key that names the client, where it is another than client_id."""
FUTU = {
    "futu": '[accounts.futu]\nkind = "futu"\naccount = "ann@example.org"\n',
    "futu-broker": '[accounts.hk]\nkind = "futu-broker"\nplatform = "futu"\nbroker_id = 1001\n',
}
"""Of these the profile is that of the kind."""
WHOLE = {
    "aun": '[accounts.a]\nkind = "aun"\naid = "alice01.example.com"\nroots = "/roots.pem"\n',
    "cloudbase": '[accounts.a]\nkind = "cloudbase"\nenv = "demo-env-1"\nmethod = "anonymous"\n',
}
"""Accounts that name no client."""
NAMES = sorted(packaged())


def profile(desk: Desk, name: str) -> Profile:
    """The profile as an account gets it that adds only what no profile can know."""
    path = desk.secret()
    table = packaged()[name]
    base = packaged().get(table.get("based_on", ""), {})
    options = base.get("options", {}) | table.get("options", {})
    kind = table.get("kind") or base.get("kind", "oauth2")
    if kind in FUTU:
        desk.file.write_text(FUTU["futu"] + FUTU["futu-broker"])
        accounts = load(desk.file, KINDS, packaged(), desk.here).accounts
        return next(account.profile for account in accounts if account.kind == kind)
    if kind in WHOLE:
        desk.file.write_text(WHOLE[kind])
        return load(desk.file, KINDS, packaged(), desk.here).accounts[0].profile
    text = f'[accounts.a]\nkind = "{kind}"\nprofile = "{name}"\n{LEAST.get(kind, "client_id")} = "app"\n'
    if kind in LEAST:
        text += f'app_secret = {{ file = "{path}" }}\n'
    elif not options.keys() & {"issuer", "token_endpoint"}:
        text += 'issuer = "https://server.example"\n'
    if str(options.get("client_auth", "")).startswith("client_secret"):
        text += f'client_secret = {{ file = "{path}" }}\n'
    desk.file.write_text(text)
    return load(desk.file, KINDS, packaged(), desk.here).accounts[0].profile


@pytest.mark.parametrize("name", NAMES)
def test_an_account_needs_little_more_than_its_profile(desk: Desk, name: str) -> None:
    assert profile(desk, name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_says_where_its_facts_stand(desk: Desk, name: str) -> None:
    found = profile(desk, name)
    assert found.title
    assert found.source
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", found.checked)
    assert found.confidence == "unknown" if name == "generic" else found.confidence in {"documented", "partly"}


@pytest.mark.parametrize("name", NAMES)
def test_leniency_is_claimed_only_where_it_is_documented(desk: Desk, name: str) -> None:
    found = profile(desk, name)
    if found.confidence != "documented":
        assert found.contract.reuse is Reuse.STRICT
        assert found.contract.kills >= Kills.LINEAGE


def test_the_generic_profile_is_the_most_careful_contract(desk: Desk) -> None:
    assert profile(desk, "generic").contract == Contract()
    assert Contract() == Contract(reuse=Reuse.STRICT, kills=Kills.LINEAGE, omitted=Omitted.KEEP)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("google", (Reuse.REUSABLE, 0)),
        ("microsoft", (Reuse.REUSABLE, 0)),
        ("microsoft-public", (Reuse.REUSABLE, 0)),
        ("github", (Reuse.STRICT, 0)),
        ("gitlab", (Reuse.STRICT, 0)),
        ("slack", (Reuse.STRICT, 0)),
        ("okta", (Reuse.GRACE, 30)),
        ("atlassian", (Reuse.GRACE, 600)),
        ("xero", (Reuse.GRACE, 1800)),
    ],
)
def test_what_the_services_document(desk: Desk, name: str, expected: tuple[Reuse, float]) -> None:
    contract = profile(desk, name).contract
    assert (contract.reuse, contract.grace) == expected


@pytest.mark.parametrize("name", ["github", "gitlab"])
def test_a_refresh_ends_the_old_token_where_the_service_says_so(desk: Desk, name: str) -> None:
    assert profile(desk, name).contract.old_lease_life == 0


def test_the_profiles_are_packaged_beside_their_reader() -> None:
    import freshd.providers.profiles as module

    assert Path(str(module.__file__)).with_name("profiles.toml").exists()
