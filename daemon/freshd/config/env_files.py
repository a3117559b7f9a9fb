"""The tables env_file of accounts.  The files themselves are not visited: one that is away for a while is no mistake of
the configuration; the daemon says so while it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from freshd.config.places import Surroundings
from freshd.config.report import Report
from freshd.config.tables import EnvFileTable, read
from freshd.core.problem import MISSING, Problem
from freshd.core.settings import AccountSettings, EnvFileSettings


def env_file_of(report: Report, raw: object, here: Surroundings, *at: str | int) -> EnvFileSettings | None:
    """What the table says; None where there is none, or where it was reported as wrong."""
    if raw is None:
        return None
    table = read(report, EnvFileTable, raw, *at)
    if not isinstance(raw, dict) or any(getattr(table, key, None) is None for key in raw):
        return None  # reported: what is still wrong then would only follow from it
    if table.path is None:
        report.add([Problem((*at, "path"), MISSING, 'add path = "/PATH/.env"')])
        return None
    path = here.path(table.path, *map(str, at), "path")
    if isinstance(path, Problem):
        report.add([path])
        return None
    made = EnvFileSettings(path, table.access_token, table.expires_at, table.refresh_token)
    if problem := _problem(made):
        report.add([problem], *at)
        return None
    return made


def _problem(made: EnvFileSettings) -> Problem | None:
    given = [name for name in (made.access_token, made.expires_at, made.refresh_token) if name is not None]
    if not given:
        return Problem((), "names no line of the file", 'add access_token = "NAME", or refresh_token = "NAME"')
    if len(set(given)) < len(given):
        return Problem((), "names one line for two things", "write a name of its own for each")
    if made.expires_at is not None and made.access_token is None:
        return Problem(("expires_at",), "means something beside access_token only", 'add access_token = "NAME"')
    return None


def shared_lines(accounts: Iterable[AccountSettings]) -> Iterator[Problem]:
    """Two accounts that write the same line (keys relative to the table of accounts)."""
    first: dict[tuple[Path, str], str] = {}
    for account in sorted(accounts, key=lambda account: account.line):
        if account.env_file is None:
            continue
        lines = [(account.env_file.path, name) for name in sorted(account.env_file.names)]
        owners = {first.setdefault(line, account.name) for line in lines} - {account.name}
        if owners:
            wrong = f"has a line of the file in common with {min(owners)}"
            yield Problem((account.name, "env_file"), wrong, "name other lines, or another file, in one of them")
