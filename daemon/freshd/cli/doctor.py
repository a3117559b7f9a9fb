"""freshd doctor: looks at everything freshd rests on, and says what is wrong with the command that remedies it.

Rules
-----
* Nothing is spent, written or unlocked (I8); a keyring is read with a deadline.  A service is sent harmless questions
  only where one account, or a .env file, is examined; never is a token endpoint for people asked.
* One broken thing hides no other: every examination stands for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from freshd.cli.finding import Finding, Level, fine, trouble
from freshd.cli.options import Scene, as_json, examples, on_scene
from freshd.cli.output import dump, plain, say
from freshd.core.settings import Settings
from freshd.errors import ConfigError, FreshdError

WORDS: Final = {Level.FINE: "ok", Level.WARNING: "warn", Level.TROUBLE: "BAD"}
INDENT: Final = " " * 6


@click.command(
    epilog=examples(
        "freshd doctor",
        "freshd doctor work-chat                  why does it not renew?",
        "freshd doctor --env .env                 the same for a Feishu or Lark program without freshd",
        "freshd doctor --json",
    )
)
@click.argument("account", metavar="[ACCOUNT]", required=False)
@click.option("--env", type=click.Path(path_type=Path), metavar="FILE", help="A .env file of a program without freshd.")
@click.option("--app-id-key", metavar="NAME", help="With --env: the line of the app's id.  [default: guessed]")
@click.option("--app-secret-key", metavar="NAME", help="With --env: the line of its secret.  [default: guessed]")
@click.option("--refresh-token-key", metavar="NAME", help="With --env: the line of the refresh token.")
@click.option("--access-token-key", metavar="NAME", help="With --env: the line of the access token.")
@click.option("--brand", type=click.Choice(["feishu", "lark"]), help="With --env: whose app it is.  [default: guessed]")
@click.option("--open-url", metavar="URL", help="With --env: another address of the service, for a proxy or a test.")
@as_json
@on_scene
def doctor(scene: Scene, account: str | None, *, env: Path | None, json: bool, **wishes: str | None) -> int:
    """Examine the machine, one account, or a .env file, and say what helps.

    The machine: configuration, state directory, clock, journal, custody of the sealing key, socket, accounts.
    An account: how it stands, and why its refresh token is dead, from record, history and harmless calls.
    Exits with 0 if all is well, 1 if something needs a look, 2 if something does not work.  Nothing is spent.
    """
    if env is not None and account is not None:
        raise click.UsageError("examine an account or a file, not both at once")
    if env is None and any(wishes.values()):
        raise click.UsageError("that option goes with --env FILE")
    findings = []
    for finding in _examination(scene, account, env, wishes):
        findings.append(finding)
        if not json:
            _show(finding)
    worst = max((finding.level for finding in findings), default=Level.FINE)
    if json:
        dump({"worst": WORDS[worst].lower(), "findings": [_document(finding) for finding in findings]})
    return int(worst)


def _examination(
    scene: Scene, account: str | None, env: Path | None, wishes: Mapping[str, str | None]
) -> Iterator[Finding]:
    if env is not None:
        from freshd.cli import stray

        return _each(("file", lambda: stray.examine(env, wishes)))
    return _examine_machine(scene) if account is None else _examine_account(scene, account)


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
    from freshd.cli import grant, reach

    settings, found = _settings(scene)
    yield from found
    yield from _each(
        ("you", lambda: reach.reader(settings, account)),
        ("account", lambda: reach.account(scene.daemon(), account)),
        ("grant", lambda: grant.examine(scene.daemon(), settings, account)),
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
    if finding.cause:
        say(f"{INDENT}cause:  {finding.cause}")
    if finding.remedy:
        say(f"{INDENT}remedy: {plain(finding.remedy)}")


def _document(finding: Finding) -> dict[str, str]:
    level = WORDS[finding.level].lower()
    told = {"level": level, "place": finding.place, "text": finding.text, "remedy": finding.remedy}
    return told | ({"cause": finding.cause} if finding.cause else {})
