"""Names of users, groups and units → the numbers and paths that the kernel will report.

Names are looked up once, when the configuration is read.  An unknown name is an error: a rule that silently matches
nobody would be found out on the day it is needed.
"""

from __future__ import annotations

import grp
import pwd
import re
from collections.abc import Callable
from typing import Final

from freshd.config.report import Report
from freshd.config.tables import ReadersTable, read
from freshd.core.access import OVERFLOW_UID, Readers
from freshd.core.problem import Problem

Ids = tuple[Callable[[str], int], str, str]
USERS: Final[Ids] = (lambda name: pwd.getpwnam(name).pw_uid, "user", "getent passwd")
GROUPS: Final[Ids] = (lambda name: grp.getgrnam(name).gr_gid, "group", "getent group")
UNIT: Final = re.compile(r"(?:[\w:.\\@-]+\.slice/)*[\w:.\\@-]+\.(?:service|scope|socket|mount)", re.ASCII)


def readers_of(report: Report, raw: object, *at: str | int) -> Readers:
    """The rule that a table of readers means; problems are reported and leave their entry out."""
    table = read(report, ReadersTable, raw, *at)
    for index, unit in enumerate(table.units):
        if UNIT.fullmatch(unit) is None:
            wrong = "not a unit's path below system.slice"
            report.add([Problem((*at, "units", index), wrong, 'write "NAME.service", as systemd-cgls shows it')])
    return Readers(
        users=_ids(report, table.users, USERS, *at, "users"),
        groups=_ids(report, table.groups, GROUPS, *at, "groups"),
        units=frozenset(table.units),
    )


def group_of(report: Report, name: str | int | None, *at: str | int) -> int | None:
    """The number of one group."""
    return None if name is None else _id(report, name, GROUPS, *at)


def _ids(report: Report, names: list[str | int], ids: Ids, *at: str | int) -> frozenset[int]:
    found = (_id(report, name, ids, *at, index) for index, name in enumerate(names))
    return frozenset(number for number in found if number is not None)


def _id(report: Report, name: str | int, ids: Ids, *at: str | int) -> int | None:
    look_up, what, command = ids
    try:
        number = name if isinstance(name, int) else look_up(name)
    except (KeyError, ValueError):
        report.add([Problem(at, f"no such {what} on this machine", f"write one that `{command}` shows, or its number")])
        return None
    if number == OVERFLOW_UID and what == "user":
        wrong = "this user stands for callers that the kernel cannot name, and is always denied"
        report.add([Problem(at, wrong, "give the program a user of its own")])
    return number
