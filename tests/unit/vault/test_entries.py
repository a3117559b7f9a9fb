"""How a grant is written in the OS keyring."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.core.model import Binding, Grant, Moment, Secret
from freshd.errors import KeyringUnavailable
from freshd.vault import entries
from freshd.vault.entries import Place
from freshd.vault.seal import Seal

SEAL = Seal(bytes(32), "f" * 32)
PLACE = Place("f" * 32, "a", "0123456789abcdef")
NOON = Moment(1.0, 2.0, "boot")


def grant(token: str) -> Grant:
    return Grant("line", Binding("oauth2", "o", "c"), {"refresh_token": Secret(token)}, NOON, NOON)


@given(st.text(max_size=400), st.integers(0, 10**9), st.none() | st.integers(80, 2000))
def test_what_is_written_is_found(token: str, generation: int, longest: int | None) -> None:
    parts = entries.written(SEAL, PLACE, generation, grant(token), longest)
    assert all(part.isascii() and part.isprintable() and len(part) <= (longest or len(part)) for part in parts)
    head = entries.head(parts[0])
    assert head is not None
    assert (head.parts, head.generation) == (len(parts), generation)
    found = entries.found(SEAL, PLACE, parts)
    assert found is not None
    assert (found.generation, found.grant) == (generation, grant(token))


@pytest.mark.parametrize(
    "place",
    [Place("e" * 32, "a", PLACE.rid), Place(PLACE.vault, "b", PLACE.rid), Place(PLACE.vault, "a", "fedcba9876543210")],
)
def test_an_entry_is_found_at_its_place_only(place: Place) -> None:
    assert entries.found(SEAL, place, entries.written(SEAL, PLACE, 3, grant("x"), None)) is None


def test_parts_of_two_writes_do_not_mix() -> None:
    old = entries.written(SEAL, PLACE, 2, grant("x" * 300), 200)
    new = entries.written(SEAL, PLACE, 4, grant("y" * 300), 200)
    assert len(old) == len(new) > 2
    mixed = [[*new[:at], *old[at:]] for at in range(1, len(new)) if new[at:] != old[at:]]
    assert len(mixed) > 1
    assert not any(entries.found(SEAL, PLACE, parts) for parts in mixed)
    assert entries.found(SEAL, PLACE, [*new[:-1], None]) is None
    assert entries.found(SEAL, PLACE, new[:-1]) is None


def test_a_changed_generation_is_noticed() -> None:
    (line,) = entries.written(SEAL, PLACE, 3, grant("x"), None)
    assert entries.found(SEAL, PLACE, [line.replace(" 3 ", " 5 ", 1)]) is None


@given(st.text(max_size=200))
def test_any_text_is_judged(text: str) -> None:
    assert entries.found(SEAL, PLACE, [text]) is None


def test_a_grant_too_long_for_the_back_end_is_refused() -> None:
    with pytest.raises(KeyringUnavailable, match="too long"):
        entries.written(SEAL, PLACE, 3, grant("x" * 10_000), 80)


def test_neighbouring_generations_rest_in_different_slots() -> None:
    assert [entries.slot_of(generation) for generation in (1, 2, 3, 4)] == ["B", "A", "B", "A"]
