"""freshd refused: a program that uses `freshd token` reports that a service refused what it was given.

A token is read from standard input and fingerprinted here: it stands neither in argv nor in what is sent (I10).
"""

from __future__ import annotations

import getpass
import sys
from typing import Final

import click

from freshd.cli.options import Scene, account, as_json, examples, on_scene
from freshd.cli.output import dump, plain, say
from freshd.core.model import fingerprint as fingerprint_of

MOST_CHARS: Final = 65536
MEANING: Final = {
    "newer-lease": "there is a newer token already; read it: freshd token {account}",
    "healing": "the token is suspect; it is being replaced, ask again: freshd token {account}",
    "ignored": "this refusal is not about the token (a missing right, or a bare 403); nothing is renewed",
    "stale": "that token was replaced long ago; read the present one: freshd token {account}",
    "unknown": "no such token was handed out, or the account has none",
}


@click.command(
    epilog=examples(
        "freshd refused work-mail --fingerprint 0f3a… --status 401",
        "freshd refused work-mail --status 401 --code invalid_token < token.txt",
    )
)
@account
@click.option("--fingerprint", metavar="HEX", help="The fingerprint that came with the token (freshd token --json).")
@click.option("--status", type=click.IntRange(100, 599), help="The HTTP status of the refusal.")
@click.option("--code", metavar="TEXT", help="The service's own error code.")
@as_json
@on_scene
def refused(
    scene: Scene, account: str, fingerprint: str | None, status: int | None, code: str | None, json: bool
) -> None:
    """Report that a service refused a token of an account.

    The token is named by its --fingerprint, or read from standard input.  If it is the newest one and the refusal
    means that it is dead, one renewal starts, at the service's pace, however many programs report it.
    """
    body = {"fingerprint": fingerprint or fingerprint_of(_token()), "status": status, "code": code}
    given = {name: value for name, value in body.items() if value is not None}
    answer = scene.daemon().post("v1", "tokens", account, "refused", body=given)
    if json:
        dump(answer)
        return
    outcome = plain(answer.get("outcome"))
    say(f"{outcome}: {MEANING.get(outcome, '').format(account=account)}")


def _token() -> str:
    asks = sys.stdin.isatty()
    token = (getpass.getpass("The refused token (not shown): ") if asks else sys.stdin.read(MOST_CHARS)).strip()
    if not token:
        raise click.UsageError("a fingerprint is needed, or the token on standard input")
    return token
