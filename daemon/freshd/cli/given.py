"""What a person gives on standard input: a record to import, an address to paste, a code, a yes.

Rules
-----
* On a terminal nothing secret is echoed; from a pipe one line is taken, or for an import all of it.
* Nothing that was given is repeated, not in an error either.
* Nothing typed means nothing sent.
"""

from __future__ import annotations

import getpass
import json
import sys
from typing import ClassVar, Final

import click

from freshd.cli.output import hint
from freshd.errors import FreshdError

SECRET_MOST: Final = 16_384


class NotEnrolled(FreshdError):
    """The enrolment came to nothing; a grant held before is untouched."""

    exit_code: ClassVar[int] = 65
    type: ClassVar[str] = "not-enrolled"


def secrets_given(account: str) -> dict[str, str]:
    """What is to be imported: a bare refresh token, or a JSON object of names and texts."""
    text = getpass.getpass("refresh token: ") if sys.stdin.isatty() else sys.stdin.read(SECRET_MOST)
    if not text.strip():
        raise NotEnrolled("standard input holds no token", f"freshd enrol {account} --import < FILE")
    return _members(text, account) if text.lstrip().startswith("{") else {"refresh_token": text.strip()}


def line_given(prompt: str) -> str:
    """One line, not shown."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{prompt} (not shown): ").strip()
    return sys.stdin.readline().strip()


def code_given(prompt: str, account: str) -> str:
    """What a person types in.  Raises NotEnrolled where that is nothing."""
    code = line_given(prompt)
    if not code:
        raise NotEnrolled("nothing was typed, so nothing was sent", f"begin again: freshd enrol {account}")
    return code


def agrees(what: str, account: str) -> None:
    """Raises NotEnrolled unless the person says yes."""
    try:
        is_agreed = click.confirm(f"{what}.  Go on?", default=False, err=True)
    except click.Abort:
        is_agreed = False
    if not is_agreed:
        raise NotEnrolled("not agreed to, so nothing was sent", f"freshd enrol {account}; for scripts: --yes")


def _members(text: str, account: str) -> dict[str, str]:
    """The members of an object that are texts or whole numbers; another program's record may hold more."""
    remedy = f"freshd enrol {account} --import < FILE, the file being a token or one JSON object of texts"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise NotEnrolled("what is to be imported begins like a JSON object and is none", remedy) from None
    known = {str(name): str(value) for name, value in found.items() if _is_plain(value)}
    if not known:
        raise NotEnrolled("what is to be imported holds no text", remedy)
    if len(known) < len(found):
        hint(f"passed over: {len(found) - len(known)} members that are empty, or neither text nor whole number")
    return known


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""
