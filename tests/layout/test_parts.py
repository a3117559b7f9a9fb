"""A missing part is always said, and is a failure where it was required."""

import dataclasses

import pytest

from tests import parts

STRACE = parts.PARTS["strace"]


def test_a_part_whose_program_is_absent_is_missing() -> None:
    part = dataclasses.replace(STRACE, programs=("freshd-no-such-program",))
    assert parts.why_missing(part) == "no freshd-no-such-program on the PATH"


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        (("sh", "-c", "exit 3"), "sh exits with status 3"),
        (("sh", "-c", "echo other"), "sh is not as needed: it says 'other'"),
    ],
)
def test_a_part_that_is_installed_and_does_not_work_is_missing(probe: tuple[str, ...], reason: str) -> None:
    assert parts.why_missing(dataclasses.replace(STRACE, programs=("sh",), probe=probe)) == reason


def test_the_variable_is_believed_without_probing() -> None:
    missing = parts.missing_here({parts.PRESENT_VARIABLE: "keyring strace"})
    assert missing.keys() == parts.PARTS.keys() - {"keyring", "strace"}


def test_every_missing_part_comes_with_its_remedy() -> None:
    for name, reason in parts.missing_here({parts.PRESENT_VARIABLE: ""}).items():
        assert parts.PARTS[name].remedy in reason


def test_a_misspelt_requirement_does_not_pass_as_met() -> None:
    with pytest.raises(ValueError, match="kerying"):
        parts.required_names({parts.REQUIRED_VARIABLE: "kerying"})
