"""core.dotenv: named values change, every other byte stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.core.dotenv import BadEnv, DotEnv

PLAIN = b"# my bot\nAPP_ID=cli_1\nTOKEN=old\n\nLAST=x\n"


def changed(text: bytes, **values: str) -> bytes:
    return bytes(DotEnv(text).changed(values))


def test_only_the_named_value_changes() -> None:
    assert changed(PLAIN, TOKEN="new") == b"# my bot\nAPP_ID=cli_1\nTOKEN=new\n\nLAST=x\n"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("TOKEN=old", "old"),
        ("export TOKEN=old", "old"),
        ("  TOKEN = old  ", "old"),
        ("TOKEN='old'", "old"),
        ('TOKEN="old"', "old"),
        ('TOKEN="a\\nb"', "a\nb"),
        ("TOKEN=old # a remark", "old"),
        ("TOKEN=old#no-remark", "old#no-remark"),
        ("TOKEN='o # ld' # a remark", "o # ld"),
        ("TOKEN=", ""),
        ("TOKEN= # a remark", ""),
        ('TOKEN=""', ""),
        ("TOKEN=a=b==", "a=b=="),
        ('TOKEN="two\nlines"', "two\nlines"),
    ],
)
def test_a_value_is_read_as_its_users_read_it(line: str, value: str) -> None:
    for end in ("", "\n", "\r\n"):
        assert DotEnv(f"A=1{end or chr(10)}{line}{end}".encode()).get("TOKEN") == value


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("export TOKEN=old", "export TOKEN=new"),
        ("  TOKEN = old  # why", "  TOKEN = new  # why"),
        ("TOKEN='old'", "TOKEN='new'"),
        ('TOKEN="old" # why', 'TOKEN="new" # why'),
        ("TOKEN=", "TOKEN=new"),
        ("TOKEN= # why", "TOKEN=new # why"),
        ('TOKEN="two\nlines"', 'TOKEN="new"'),
    ],
)
def test_what_stands_around_a_value_stays(before: str, after: str) -> None:
    for end in ("", "\n", "\r\n"):
        assert changed(f"{before}{end}".encode(), TOKEN="new") == f"{after}{end}".encode()


def test_a_change_that_would_not_read_as_written_is_refused() -> None:
    with pytest.raises(BadEnv, match="would not read"):
        changed(b"TOKEN=# why\n", TOKEN="new")


def test_an_emptied_value_keeps_its_quotes() -> None:
    assert changed(b"A='x'\nB=\"y\"\nC=z # c\n", A="", B="", C="") == b'A=\'\'\nB=""\nC="" # c\n'


def test_the_last_of_two_counts_and_both_are_changed() -> None:
    twice = DotEnv(b"TOKEN=one\nX=1\nTOKEN=two\n")
    assert twice.get("TOKEN") == "two"
    assert twice.lines("TOKEN") == (1, 3)
    assert bytes(twice.changed({"TOKEN": ""})) == b"TOKEN=\nX=1\nTOKEN=\n"


def test_a_name_that_is_not_there_cannot_be_stored() -> None:
    with pytest.raises(BadEnv, match="no line NEW="):
        changed(PLAIN, NEW="x")
    assert DotEnv(PLAIN).get("NEW") is None


def test_a_commented_line_is_no_assignment() -> None:
    assert DotEnv(b"#TOKEN=old\n").get("TOKEN") is None


@pytest.mark.parametrize(
    "line", ["TOKEN=${OTHER}", "TOKEN=$(cat x)", 'TOKEN="a$b"', 'TOKEN="open', "TOKEN='a'b", "TOKEN=`x`", "TOKEN=a\\b"]
)
def test_what_programs_read_differently_is_not_read(line: str) -> None:
    with pytest.raises(BadEnv, match="line 2: ") as caught:
        DotEnv(f"A=1\n{line}\nB=2\n".encode()).get("TOKEN")
    assert "OTHER" not in str(caught.value)


def test_an_open_quote_swallows_no_other_line() -> None:
    odd = DotEnv(b"A=\"open\nTOKEN=old\nB=it's\n")
    assert odd.get("TOKEN") == "old"
    assert bytes(odd.changed({"TOKEN": "new"})) == b"A=\"open\nTOKEN=new\nB=it's\n"


def test_a_mark_and_foreign_bytes_stay() -> None:
    text = b"\xef\xbb\xbfTOKEN=old\r\nNAME=\xff\xfe\r\nlast"
    assert changed(text, TOKEN="new") == b"\xef\xbb\xbfTOKEN=new\r\nNAME=\xff\xfe\r\nlast"


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(BadEnv, match="zero bytes"):
        DotEnv("TOKEN=x".encode("utf-16"))


@pytest.mark.parametrize("value", ["a b", "it's", 'say "x"', "a#b", "a\\b", "é"])
def test_a_value_that_needs_quotes_gets_them_and_reads_the_same(value: str) -> None:
    assert DotEnv(changed(b"TOKEN=old\n", TOKEN=value)).get("TOKEN") == value


@pytest.mark.parametrize("value", ["two\nlines", "a\rb", "$x'", "\x00"])
def test_a_value_that_cannot_stand_in_a_line_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(BadEnv) as caught:
        changed(b"TOKEN=old\n", TOKEN=value)
    assert value not in str(caught.value)


def test_lines_that_hold_the_text_of_a_secret_are_found_in_comments_too() -> None:
    assert DotEnv(b"# was ur-1\nTOKEN=ur-1\nX=2\n").mentions("ur-1") == (1, 2)


LINES = st.sampled_from(
    ["A=1", "export B='x y'", "# TOKEN=no", "", "  ", 'C="open', "odd line", 'D="a\\"b"', "=x", "E='it"]
)
ENDS = st.sampled_from(["\n", "\r\n"])
VALUES = st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=40)


@given(st.lists(st.tuples(LINES, ENDS), max_size=12), st.integers(0, 12), VALUES, st.booleans(), st.binary(max_size=8))
def test_untouched_bytes_stay_whatever_stands_around(
    lines: list[tuple[str, str]], at: int, value: str, has_mark: bool, tail: bytes
) -> None:
    """The token's line is closed off from a quote that is left open before it, as the other lines are."""
    before = "".join(line + end for line, end in lines[:at]).encode()
    after = "".join(line + end for line, end in lines[at:]).encode() + tail.replace(b"\0", b"0")
    mark = b"\xef\xbb\xbf" if has_mark else b""
    text = mark + before + b"TOKEN=old-value\n" + after
    if DotEnv(text).get("TOKEN") != "old-value":
        return  # a quote of another line runs across it
    assert DotEnv(text).lines("TOKEN") == (before.count(b"\n") + 1,)
    assert changed(text, TOKEN=value) == mark + before + b"TOKEN=" + value.encode() + b"\n" + after


@given(st.binary(max_size=300))
def test_any_bytes_are_taken_and_given_back(data: bytes) -> None:
    data = data.replace(b"\0", b"")
    assert bytes(DotEnv(data)) == data
    assert bytes(DotEnv(data).changed({})) == data
