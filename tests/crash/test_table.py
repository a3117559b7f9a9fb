"""The README's table is what the lines say."""

from pathlib import Path

from tests.crash import results
from tests.crash.harness import OUT
from tests.crash.results import Results


def test_the_readme_shows_every_line_that_was_written() -> None:
    lines = Results(OUT).lines()
    assert results.is_good(lines)
    assert results.markdown(lines) in Path(__file__).with_name("README.md").read_text()


def test_a_breach_or_a_spent_use_is_never_good() -> None:
    line = {"who": "freshd", "fate": "RECOVERED", "spent_uses": 0}
    assert results.is_good([line, {**line, "breaches": 0}])
    assert not results.is_good([{**line, "breaches": 1}])
    assert not results.is_good([{**line, "spent_uses": 1}])
    assert not results.is_good([{**line, "fate": "NOT_HEALED"}])
