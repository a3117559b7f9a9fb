"""Every verb and every option says what it is for; every verb shows itself in use."""

from collections.abc import Iterator

import click
import pytest

from freshd.cli.verbs import TABLE, cli


def commands(group: click.Group = cli, *above: str) -> Iterator[tuple[str, click.Command]]:
    """All verbs, those of groups too, with their full names."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield " ".join([*above, name]), command
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)


VERBS = dict(commands())


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_says_what_it_does_and_shows_itself_in_use(name: str) -> None:
    command = VERBS[name]
    assert command.help
    assert len(command.help) > 20
    examples = [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ")]
    assert examples
    assert all(line.startswith("freshd ") for line in examples)
    assert any(f" {name}" in line for line in examples)


@pytest.mark.parametrize("name", VERBS)
def test_an_option_says_what_it_is_for(name: str) -> None:
    for parameter in VERBS[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


@pytest.mark.parametrize("name", TABLE)
def test_a_line_of_the_list_is_a_short_sentence(name: str) -> None:
    line = TABLE[name][1]
    assert line.endswith(".")
    assert len(line) <= 60


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_is_called_by_its_name(name: str) -> None:
    assert VERBS[name].name == name.rsplit(" ", maxsplit=1)[-1]


@pytest.mark.parametrize("name", VERBS)
def test_help_fits_a_terminal(name: str) -> None:
    command = VERBS[name]
    text = command.get_help(click.Context(command, info_name=f"freshd {name}", max_content_width=80))
    assert max(map(len, text.splitlines())) <= 100
