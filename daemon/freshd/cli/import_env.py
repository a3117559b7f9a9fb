"""freshd import-env: takes the tokens of a .env file into the daemon, then takes the refresh token out of the file.

Rules
-----
* Nothing of the file is touched before the daemon has written the tokens and read them back; where it has not, the file
  stays as it is.  Whether the file could be changed at all is looked at first.
* Only the refresh token's value is taken out, and only if it is still the one that was imported.
* No value stands in argv or in any output.  Names of lines do.
"""

from __future__ import annotations

import json as documents
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from freshd.cli.operate import must_be_meant, yes
from freshd.cli.options import Scene, account, as_json, examples, on_scene
from freshd.cli.output import dump, hint, plain, say
from freshd.core.dotenv import BadEnv, DotEnv
from freshd.core.env_names import guess
from freshd.core.expiry import moment_of
from freshd.errors import FreshdError

if TYPE_CHECKING:
    from freshd.outlets.envfile import Seen


class NotImported(FreshdError):
    """Nothing was imported; the file is as it was."""

    exit_code: ClassVar[int] = 65
    type: ClassVar[str] = "not-imported"


class NotEmptied(FreshdError):
    """Imported, and the refresh token still stands in the file."""

    exit_code: ClassVar[int] = 74
    type: ClassVar[str] = "not-emptied"


@dataclass(frozen=True, slots=True)
class Names:
    """The lines of the file; None: there is none, or which it is cannot be told."""

    refresh: str
    access: str | None
    expires: str | None
    refresh_expires: str | None
    scope: str | None


@click.command(
    "import-env",
    epilog=examples(
        "freshd import-env work-chat --file .env",
        "freshd import-env work-chat --file .env --keep-access",
        "freshd import-env work-chat --file .env --refresh-token-key MY_TOKEN --yes",
    ),
)
@account
@click.option("--file", "path", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The .env file.")
@click.option(
    "--refresh-token-key", "refresh", metavar="NAME", help="The line of the refresh token.  [default: guessed]"
)
@click.option("--access-token-key", "access", metavar="NAME", help="The line of the access token.  [default: guessed]")
@click.option("--expires-key", "expires", metavar="NAME", help="The line of its end.  [default: guessed]")
@click.option("--keep-access", is_flag=True, help="Print the configuration that keeps the access token there in step.")
@yes
@as_json
@on_scene
def import_env(
    scene: Scene, account: str, path: Path, *, keep_access: bool, yes: bool, json: bool, **given: str | None
) -> None:
    """Take the tokens of a .env file, and own them.

    The daemon writes them and reads them back; only then is the refresh token emptied in the file, after asking.  All
    else in the file stays as it is.  No other program may renew this account from then on: a script asks freshd, or
    reads the access token that freshd keeps in step there (--keep-access).
    """
    from freshd.outlets import envfile

    daemon = scene.daemon()
    health = daemon.account(account)
    path = Path(os.path.abspath(path))  # noqa: PTH100 - a link stays a link
    seen = envfile.read(path)
    names = _names(path, seen.env, str(health.get("kind", "")), given)
    if keep_access and names.access is None:
        raise NotImported(f"which line of {path} holds the access token cannot be told", "add --access-token-key NAME")
    secrets = _secrets(path, seen.env, names)
    envfile.must_be_replaceable(path)
    must_be_meant(yes, _meaning(account, health, path, seen.env, names))
    done = daemon.operate(account, "import", secrets=secrets)
    _empty(account, path, names.refresh, secrets["refresh_token"], done)
    _report(account, path, names, done, _lines(path, names) if keep_access else None, json)
    _warn(path, seen, secrets["refresh_token"], names)


# -- what the file holds --------------------------------------------------------------------------------------------


def _names(path: Path, env: DotEnv, kind: str, given: Mapping[str, str | None]) -> Names:
    """The lines that were named, else those that can only be meant."""
    for name in filter(None, given.values()):
        if not env.lines(name):
            raise NotImported(f"{path} has no line {plain(name)}=", "name a line that is there")
    prefix = kind.partition("-")[0].upper()
    filled = [name for name in env.names() if _filled(env, name)]
    found, sure = guess(filled, [prefix]), guess(env.names(), [prefix]).sure
    refresh = given["refresh"] or found.sure.get("refresh_token")
    if refresh is None:
        several = ", ".join(found.found["refresh_token"])
        cause = f"which of {several} is meant cannot be told" if several else f"no line of {path} holds a refresh token"
        raise NotImported(cause, "name the line: --refresh-token-key NAME")
    access, expires = given["access"] or sure.get("access_token"), given["expires"] or sure.get("expires_at")
    return Names(refresh, access, expires, sure.get("refresh_token_expires_at"), sure.get("scope"))


def _filled(env: DotEnv, name: str) -> bool:
    try:
        return bool(env.get(name))
    except BadEnv:
        return True


def _secrets(path: Path, env: DotEnv, names: Names) -> dict[str, str]:
    """What is sent to the daemon: the refresh token, and of the rest what is whole."""
    try:
        refresh = env.get(names.refresh)
        values = {
            name: env.get(line)
            for name, line in (("access_token", names.access), ("expires_at", names.expires), ("scope", names.scope))
            if line is not None
        }
        ends = None if names.refresh_expires is None else moment_of(env.get(names.refresh_expires))
    except BadEnv as bad:
        raise NotImported(f"{path}, {bad}", "write that line as NAME=VALUE") from None
    if not refresh:
        raise NotImported(f"{names.refresh} is empty in {path}", "nothing to do, if it was imported before")
    secrets = {"refresh_token": refresh} | ({} if ends is None else {"refresh_token_expires_at": f"{ends:.0f}"})
    over = moment_of(values.get("expires_at"))
    if values.get("access_token") and over is not None:
        secrets |= {"access_token": str(values["access_token"]), "expires_at": f"{over:.0f}"}
        secrets |= {"scope": str(values["scope"])} if values.get("scope") else {}
    return secrets


def _meaning(account: str, health: Mapping[str, Any], path: Path, env: DotEnv, names: Names) -> str:
    where = ", ".join(map(str, env.lines(names.refresh)))
    held = f"  Its grant of generation {health['generation']} will be replaced." if health.get("generation") else ""
    return (
        f"{account} will own the refresh token of {path} ({names.refresh}, line {where}).{held}\n"
        f"Once it is stored and read back, that value will be taken out of the file; nothing else there changes."
    )


# -- what is done ---------------------------------------------------------------------------------------------------


def _empty(account: str, path: Path, name: str, token: str, done: Mapping[str, Any]) -> None:
    """Take the refresh token out; raises NotEmptied, for from now on two would spend it."""
    from freshd.outlets import envfile

    stored = f"{account} is stored and read back (generation {done.get('generation')})"
    try:
        left = envfile.change(path, lambda env: env.changed({name: ""}) if env.get(name) == token else env)
    except FreshdError as error:
        remedy = f"take the value of {name} out of {path} by hand, before another program uses it"
        raise NotEmptied(f"{stored}, but {error.cause}", remedy) from None
    if _filled(left.env, name):
        remedy = "another program still renews: stop it, then import again"
        raise NotEmptied(f"{stored}, but {path} holds another refresh token by now", remedy)


def _lines(path: Path, names: Names) -> dict[str, str]:
    """The account's env_file in the configuration."""
    lines = {
        "path": str(path),
        "access_token": names.access,
        "expires_at": names.expires,
        "refresh_token": names.refresh,
    }
    return {key: value for key, value in lines.items() if value is not None}


def _report(
    account: str, path: Path, names: Names, done: Mapping[str, Any], lines: Mapping[str, str] | None, json: bool
) -> None:
    if json:
        told = {"account": account, "generation": done.get("generation"), "file": str(path), "emptied": names.refresh}
        dump({**told, "env_file": None if lines is None else dict(lines)})
        return
    say(f"imported: {account}, generation {done.get('generation')}; written and read back")
    say(f"emptied: {names.refresh} in {plain(path)}")
    if lines is None:
        hint(f"The access token there will grow old: let its readers ask freshd token {account}, or add --keep-access.")
        return
    table = ", ".join(f"{key} = {documents.dumps(value, ensure_ascii=False)}" for key, value in lines.items())
    hint("Add this to the configuration, then reload freshd (as the file's owner, for only that user may replace it):")
    say(f"[accounts.{account}]")
    say(f"env_file = {{ {table} }}")


def _warn(path: Path, seen: Seen, token: str, names: Names) -> None:
    """What a person should know of the file beside."""
    rest = sorted(set(seen.env.mentions(token)) - set(seen.env.lines(names.refresh)))
    if rest:
        lines = ", ".join(map(str, rest))
        hint(f"The same refresh token stands elsewhere in the file too (line {lines}); take it out by hand.")
    if not seen.is_private:
        hint(f"Others may read {plain(path)}: chmod 600 {plain(path)}")
