"""freshd doctor: looks at everything freshd rests on, and says what is wrong with the command that remedies it.

Rules
-----
* Nothing is spent, sent to a service, written or unlocked (I8); a keyring is read with a deadline.
* One broken thing hides no other: every examination stands for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import click

from freshd.cli.finding import Finding, Level, fine, trouble
from freshd.cli.options import Scene, as_json, examples, on_scene
from freshd.cli.output import dump, plain, say
from freshd.core.settings import Settings
from freshd.errors import ConfigError, FreshdError

WORDS: Final = {Level.FINE: "ok", Level.WARNING: "warn", Level.TROUBLE: "BAD"}
INDENT: Final = " " * 6


@click.command(epilog=examples("freshd doctor", "freshd doctor work-mail", "freshd doctor --json"))
@click.argument("account", metavar="[ACCOUNT]", required=False)
@as_json
@on_scene
def doctor(scene: Scene, account: str | None, json: bool) -> int:
    """Examine the machine, or one account, and say what helps.

    The machine: configuration, state directory, clock, journal, custody of the sealing key, socket, accounts.
    Exits with 0 if all is well, 1 if something needs a look, 2 if something does not work.  Nothing is spent.
    """
    findings = []
    for finding in _examine_account(scene, account) if account is not None else _examine_machine(scene):
        findings.append(finding)
        if not json:
            _show(finding)
    worst = max((finding.level for finding in findings), default=Level.FINE)
    if json:
        dump({"worst": WORDS[worst].lower(), "findings": [_document(finding) for finding in findings]})
    return int(worst)


def _examine_machine(scene: Scene) -> Iterator[Finding]:
    from freshd.cli import machine, reach

    settings, found = _settings(scene)
    yield from found
    if settings is not None:
        yield from _each(
            ("state", lambda: machine.state_dir(settings)),
            ("clock", lambda: machine.clock(settings)),
            ("vault", lambda: machine.journal(settings)),
            ("custody", lambda: machine.custody_of_key(settings)),
        )
    yield from _each(("you", lambda: reach.caller(settings)))
    reached = list(_each(("socket", lambda: reach.socket(scene.socket))))
    yield from reached
    if all(finding.level is not Level.TROUBLE for finding in reached):
        yield from _each(("daemon", lambda: reach.daemon(scene.daemon())))


def _examine_account(scene: Scene, account: str) -> Iterator[Finding]:
    from freshd.cli import reach

    settings, found = _settings(scene)
    yield from found
    yield from _each(
        ("you", lambda: reach.reader(settings, account)),
        ("account", lambda: reach.account(scene.daemon(), account)),
    )


def _settings(scene: Scene) -> tuple[Settings | None, Sequence[Finding]]:
    from freshd.app import settings_of

    try:
        settings = settings_of(scene.config)
    except ConfigError as error:
        return None, [trouble("config", problem, error.remedy) for problem in error.problems or (error.cause,)]
    return settings, [fine("config", f"{scene.config}: {len(settings.accounts)} accounts")]


def _each(*examinations: tuple[str, Callable[[], Iterator[Finding]]]) -> Iterator[Finding]:
    for place, examine in examinations:
        try:
            yield from examine()
        except FreshdError as error:
            told = error.diagnostics()
            yield trouble(place, told.cause, told.remedy)
        except OSError as error:
            yield trouble(place, f"cannot be examined: {error.strerror}", "run doctor as the daemon's user, or as root")


def _show(finding: Finding) -> None:
    say(f"{WORDS[finding.level]:<5} {finding.place}: {plain(finding.text)}")
    if finding.remedy:
        say(f"{INDENT}remedy: {plain(finding.remedy)}")


def _document(finding: Finding) -> dict[str, str]:
    level = WORDS[finding.level].lower()
    return {"level": level, "place": finding.place, "text": finding.text, "remedy": finding.remedy}
