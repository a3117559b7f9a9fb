"""What the folder shows is what the lines say."""

from tests.crash import page, results
from tests.crash.harness import CAMPAIGN, FOLDER, OUT
from tests.crash.results import Results


def test_the_folder_shows_every_line_that_was_written() -> None:
    for path, text in page.pages(FOLDER.parent, CAMPAIGN, OUT).items():
        assert path.read_text() == text, f"{path.name}: scripts/crash --markdown writes it anew"


def test_what_was_written_is_good() -> None:
    for path in (CAMPAIGN, OUT):
        assert results.is_good(Results(path).lines())


def test_a_breach_or_a_spent_use_is_never_good() -> None:
    line = {"who": "freshd", "fate": "RECOVERED", "spent_uses": 0}
    assert results.is_good([line, {**line, "breaches": 0}])
    assert not results.is_good([{**line, "breaches": 1}])
    assert not results.is_good([{**line, "spent_uses": 1}])
    assert not results.is_good([{**line, "fate": "NOT_HEALED"}])
