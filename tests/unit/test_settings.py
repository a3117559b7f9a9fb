"""A reload changes only what changed."""

from dataclasses import replace
from pathlib import Path

import pytest

from freshd.core.access import Readers
from freshd.core.model import Binding
from freshd.core.profile import Margins, Profile
from freshd.core.reload import Changes, diff
from freshd.core.settings import AccountSettings, LogSettings, Settings, SocketSettings, VaultSettings

BINDING = Binding("oauth2", "https://a.example", "app", "alice")
ACCOUNT = AccountSettings(
    "a", "oauth2", Readers(users=frozenset({1})), Profile("generic", "oauth2"), {"scope": "x"}, BINDING, family="a"
)
OTHER = replace(ACCOUNT, name="b", family="b", binding=replace(BINDING, subject="bob"))
BASE = Settings(
    Path("/state"),
    SocketSettings(Path("/s")),
    VaultSettings(),
    LogSettings(),
    Readers(users=frozenset({0})),
    (ACCOUNT, OTHER),
)


def after(**changes: object) -> Changes:
    """What comes of a reload that changes the account `a` so."""
    return diff(BASE, replace(BASE, accounts=(replace(ACCOUNT, **changes), OTHER)))  # type: ignore[arg-type]


def test_the_same_configuration_changes_nothing() -> None:
    assert diff(BASE, BASE).is_empty


def test_where_an_account_stands_in_the_file_is_no_change() -> None:
    assert after(line=99).is_empty


def test_accounts_come_and_go() -> None:
    assert diff(replace(BASE, accounts=(OTHER,)), BASE) == Changes(added=frozenset("a"), policy=True)
    assert diff(BASE, replace(BASE, accounts=(OTHER,))) == Changes(removed=frozenset("a"), policy=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"options": {"scope": "y"}},
        {"profile": Profile("generic", "oauth2", margins=Margins(cap=60))},
        {"family": "f"},
    ],
)
def test_other_rules_make_an_account_new_and_leave_the_rest(changes: dict[str, object]) -> None:
    assert after(**changes) == Changes(changed=frozenset("a"))


@pytest.mark.parametrize("key", ["origin", "client_id", "subject"])
def test_a_grant_that_would_go_elsewhere_is_rebound(key: str) -> None:
    changes = after(binding=replace(BINDING, **{key: "other"}))
    assert changes == Changes(changed=frozenset("a"), rebound=frozenset("a"))


def test_another_kind_and_another_grant_name_rebind() -> None:
    assert after(kind="aun", binding=None).rebound == {"a"}
    assert after(grant="second").rebound == {"a"}


def test_a_subject_that_becomes_known_fits() -> None:
    assert not after(binding=replace(BINDING, subject=None)).rebound


def test_readers_and_operators_change_the_policy_only() -> None:
    assert after(readers=Readers()) == Changes(policy=True)
    assert diff(BASE, replace(BASE, operators=Readers())) == Changes(policy=True)


def test_pausing_and_resuming_build_nothing_anew() -> None:
    paused = replace(BASE, accounts=(replace(ACCOUNT, paused=True), OTHER))
    assert diff(BASE, paused) == Changes(paused=frozenset("a"))
    assert diff(paused, BASE) == Changes(resumed=frozenset("a"))


def test_the_log_changes_while_running() -> None:
    assert diff(BASE, replace(BASE, log=LogSettings(level="debug"))) == Changes(log=True)


def test_what_is_settled_at_start_is_named() -> None:
    new = replace(BASE, state_dir=Path("/other"), vault=VaultSettings("sealed"))
    assert diff(BASE, new) == Changes(restart=("state_dir", "vault"))
