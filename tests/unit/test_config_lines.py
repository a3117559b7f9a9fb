"""Every key of any TOML text is found on its line."""

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.config.lines import line_of, lines_of

TEXT = '''\
# a comment with [brackets] and key = 1
top = """
[not.a.table]
a = "quotes \\""" inside"
"""  # after
dotted . "quoted.key".x = 1
other = \'\'\'
it's \'quoted\' \'\'\'\'
list = [ 1, # one ]
  [2, 3],
  { a = 1, b.c = "}" } ]
[table]
x = { y = { z = "# no comment" }, w = [ ] }
[[array]]
n = 1
[[array]]
n = 2
[array.sub]
m = 1979-05-27 07:32:00
[[array.inner]]
k = 1
["sp ace"."\\u0041"]
last = \'#\'
'''


def test_keys_are_found_whatever_form_they_have() -> None:
    assert lines_of(TEXT) == {
        ("top",): 2,
        ("dotted",): 6,
        ("dotted", "quoted.key"): 6,
        ("dotted", "quoted.key", "x"): 6,
        ("other",): 7,
        ("list",): 9,
        ("list", 0): 9,
        ("list", 1): 10,
        ("list", 1, 0): 10,
        ("list", 1, 1): 10,
        ("list", 2): 11,
        ("list", 2, "a"): 11,
        ("list", 2, "b"): 11,
        ("list", 2, "b", "c"): 11,
        ("table",): 12,
        ("table", "x"): 13,
        ("table", "x", "y"): 13,
        ("table", "x", "y", "z"): 13,
        ("table", "x", "w"): 13,
        ("array",): 14,
        ("array", 0): 14,
        ("array", 0, "n"): 15,
        ("array", 1): 16,
        ("array", 1, "n"): 17,
        ("array", 1, "sub"): 18,
        ("array", 1, "sub", "m"): 19,
        ("array", 1, "inner"): 20,
        ("array", 1, "inner", 0): 20,
        ("array", 1, "inner", 0, "k"): 21,
        ("sp ace",): 22,
        ("sp ace", "A"): 22,
        ("sp ace", "A", "last"): 23,
    }


def test_line_endings_of_other_systems_change_no_line() -> None:
    assert lines_of(TEXT.replace("\n", "\r\n")) == lines_of(TEXT)


def test_a_table_is_where_its_header_is_even_if_its_children_came_first() -> None:
    assert lines_of("[a.b]\nx = 1\n[a]\ny = 1\n")["a",] == 3


@pytest.mark.parametrize(("path", "line"), [(("a", "x"), 2), (("a", "y"), 1), (("b",), 1), ((), 1)])
def test_an_unknown_path_is_where_the_table_around_it_is(path: tuple[str, ...], line: int) -> None:
    assert line_of(lines_of("[a]\nx = 1\n"), path) == line


def paths(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, list):
        value = dict(enumerate(value))
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield (*at, key)
        yield from paths(inner, (*at, key))


STRINGS = st.sampled_from(
    ['"a#b"', "'[x]'", '"""\nx = 1\n"""', "'''\n[t]\n''''", '"\\"\\\\"', '""', "''", '""""""', '"""""a"""""']
)
VALUES = st.recursive(
    STRINGS | st.sampled_from(["1", "-1.5e3", "true", "1979-05-27 07:32:00Z", "inf"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[ " + " , # c\n".join(items) + "\n]")
        | st.lists(inner, max_size=2).map(
            lambda items: "{" + ", ".join(f"k{index}.x = {item}" for index, item in enumerate(items)) + "}"
        )
    ),
    max_leaves=6,
)
PARTS = st.lists(
    st.tuples(st.sampled_from(["a", "b.c", '"d e".f', "'g'"]), VALUES).map(" = ".join)
    | st.sampled_from(["[t]", "[t.u]", "[[w]]", "[[w.x]]", "[w.y]", "# [c]", ""]),
    max_size=12,
)


@given(PARTS)
def test_the_keys_found_are_those_that_the_parser_found(parts: list[str]) -> None:
    text = "\n".join(parts)
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = lines_of(text)
    assert found.keys() == set(paths(value))
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())
