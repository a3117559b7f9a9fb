"""What a program reaches, for `freshd doctor`: the socket, the daemon behind it, and one account."""

from __future__ import annotations

import grp
import os
import pwd
import socket as sockets
import stat
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from freshd.cli.daemon import Daemon
from freshd.cli.explain import sentences
from freshd.cli.finding import Finding, fine, trouble, warning
from freshd.cli.output import plain, span
from freshd.clock import SystemClock
from freshd.core.access import Identity, Policy, is_identified, may_operate, may_read
from freshd.core.settings import Settings
from freshd.errors import FreshdError

CREDENTIALS: Final = struct.Struct("3i")
START: Final = "start it: systemctl start freshd, or freshd run"
OTHERS_MAY_CONNECT: Final = stat.S_IWOTH
HARMLESS: Final = {
    "paused": "an operator paused it",
    "spending": "a renewal is under way",
    "climbing": "the next way to renew is being taken",
}


def socket(path: Path) -> Iterator[Finding]:
    """Is it there, of a sane mode, and does somebody listen?"""
    try:
        found = path.stat()
    except FileNotFoundError:
        yield trouble("socket", f"there is no socket {path}", START)
        return
    if not stat.S_ISSOCK(found.st_mode):
        yield trouble("socket", f"{path} is no socket", "name the right --socket")
        return
    mode = stat.S_IMODE(found.st_mode)
    owner = f"{_name(pwd.getpwuid, found.st_uid)}:{_name(grp.getgrgid, found.st_gid)}"
    yield fine("socket", f"{path}, mode {mode:04o}, {owner}")
    if mode & OTHERS_MAY_CONNECT:
        yield warning("socket", "every user of the machine may connect", "write [socket] mode = 0o660 and a group")
    yield _server(path, found.st_uid)


def _server(path: Path, owner: int) -> Finding:
    """Who listens, as the kernel knows it."""
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as connection:
        connection.settimeout(5.0)
        try:
            connection.connect(str(path))
        except PermissionError:
            return trouble("socket", "you may not connect", "ask for membership in the socket's group")
        except OSError as error:
            return trouble("socket", f"nobody answers: {error.strerror or error}", START)
        raw = connection.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, CREDENTIALS.size)
    pid, uid, _ = CREDENTIALS.unpack(raw)
    if uid not in (owner, 0):
        remedy = "find out who runs that process, and do not enrol before"
        return trouble("socket", f"process {pid} of user id {uid} listens on a socket of user id {owner}", remedy)
    return fine("socket", f"process {pid} of user {_name(pwd.getpwuid, uid)} listens")


def caller(settings: Settings | None) -> Iterator[Finding]:
    """Who the daemon takes you for, and what the configuration lets you do."""
    me = _me()
    groups = ", ".join(sorted(_name(grp.getgrgid, gid) for gid in {me.gid, *me.groups}))
    yield fine("you", f"user {_name(pwd.getpwuid, me.uid)} ({me.uid}), groups {groups}")
    if not is_identified(me):
        yield trouble("you", "this user is one that the kernel cannot name", "use a user of your own")
    if settings is None:
        return
    rules = _policy(settings)
    readable = sum(may_read(rules, me, account.name) for account in settings.accounts)
    what = "you operate the daemon" if may_operate(rules, me) else "you do not operate the daemon"
    yield fine("you", f"{what}, and may read tokens of {readable} accounts (systemd units not counted)")


def reader(settings: Settings | None, name: str) -> Iterator[Finding]:
    """May you read this account's tokens?"""
    if settings is None:
        return
    if all(account.name != name for account in settings.accounts):
        yield warning(
            "you", f"the configuration has no account {name}", "freshd status names those that the daemon knows"
        )
        return
    if may_read(_policy(settings), _me(), name):
        yield fine("you", "you may read its tokens")
    else:
        remedy = f"[accounts.{name}.readers] in the configuration names users, groups and units"
        yield fine("you", f"you may not read its tokens; {remedy}")


def daemon(service: Daemon) -> Iterator[Finding]:
    """Is it up and unlocked, and are all accounts well?"""
    health = service.get("healthz")
    if health.get("locked"):
        remedy = "unlock the keyring, or provide the key; freshd goes on by itself"
        yield trouble("daemon", "up, and its vault is LOCKED: nothing is renewed; accounts are not examined", remedy)
        return
    yield fine("daemon", "up, vault open")
    bad = 0
    for found in service.accounts():
        if found.get("reason") and not _is_harmless(found):
            bad += 1
            yield _complaint(found)
    if not bad:
        yield fine("accounts", "none needs a person")


def account(service: Daemon, name: str) -> Iterator[Finding]:
    """How one account stands, and what is only on the surface wrong with it."""
    found = service.account(name)
    now = SystemClock().now().wall
    for title, text in sentences(found, now):
        if title not in ("account", "meaning"):
            yield fine(title, text)
    yield from _history(service, name)
    if found.get("reason") and not _is_harmless(found):
        yield _complaint(found)
    elif _is_harmless(found):
        yield fine("harmless", HARMLESS[_harmless(found)])
    at = found.get("usable_until")
    if at is not None and at <= now:
        remedy = plain(found.get("remedy") or f"freshd explain {name}")
        yield trouble("token", f"readers get none since {span(now - at)}", remedy)


def _history(service: Daemon, name: str) -> Iterator[Finding]:
    try:
        lines = service.history(name)
    except FreshdError as error:
        yield warning("history", error.cause, error.remedy)
        return
    failed = sum(line.get("outcome") != "ok" for line in lines)
    last = f"; the last: {plain(lines[-1].get('rung'))}, {plain(lines[-1].get('outcome'))}" if lines else ""
    yield fine("history", f"{len(lines)} attempts kept, {failed} came to nothing{last}")


def _complaint(found: Mapping[str, Any]) -> Finding:
    text = f"{plain(found.get('account'))} is {plain(found.get('phase'))}: {plain(found['reason'])}"
    make = trouble if found.get("renewable") == "no" and found.get("generation") else warning
    return make("account", text, plain(found.get("remedy") or f"freshd explain {found.get('account')}"))


def _harmless(found: Mapping[str, Any]) -> str:
    return "paused" if found.get("paused") else str(found.get("phase"))


def _is_harmless(found: Mapping[str, Any]) -> bool:
    return _harmless(found) in HARMLESS and found.get("renewable") != "no"


def _me() -> Identity:
    return Identity(os.geteuid(), os.getegid(), frozenset(os.getgroups()), os.getpid())


def _policy(settings: Settings) -> Policy:
    return Policy({account.name: account.readers for account in settings.accounts}, settings.operators)


def _name(look_up: Callable[[int], tuple[Any, ...]], number: int) -> str:
    """The name of a user or group, else its number."""
    try:
        return str(look_up(number)[0])
    except KeyError:
        return str(number)
