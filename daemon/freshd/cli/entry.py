"""Where the command starts: `freshd token` at once, every other verb through click.

Other people's scripts call `freshd token` all day, so its start-up time is the product.  Nothing is imported for it
but sys, os and the interpreter's own socket module (`import socket` alone would double the time: enum, selectors);
no argparse, no json while all is well.

Exit codes (sysexits.h): 0 the token is on standard output, alone · 64 wrong usage, or a min-ttl no lease can have
· 69 no daemon answers · 75 not now: ask again · 77 unknown account, or not for this user · 1 anything else, such as an
account that waits for a person: the remedy on standard error says what.
"""

import sys

OK, OTHER, USAGE, NO_DAEMON, TEMPORARY, DENIED = 0, 1, 64, 69, 75, 77
PATIENCE_SECONDS = 10.0
DEFAULT_WAIT_SECONDS = 10.0
USAGE_TEXT = """\
usage: freshd token NAME [--min-ttl S] [--wait S] [--json] [--socket PATH]

Prints an access token of the account NAME, and nothing else, on standard output.

  --min-ttl S    the token must live S more seconds (default: 1)
  --wait S       wait at most S seconds for such a token (default: 10)
  --json         print all that comes with the token, as one JSON object
  --socket PATH  where the daemon listens; else $FRESHD_SOCKET, else
                 $XDG_RUNTIME_DIR/freshd/freshd.sock, else /run/freshd/freshd.sock, else what the
                 configuration says

exit status: 0 done, 64 wrong usage, 69 no daemon, 75 temporary, 77 denied or unknown, 1 other
"""
_WITH_VALUE = ("--min-ttl", "--wait", "--socket")


class _Wrong(Exception):
    """Wrong usage; carries what is wrong."""


def main() -> int:
    """The command `freshd`."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["token"]:
        return token(arguments[1:])
    from freshd.cli.verbs import cli

    cli()
    return OK


def token(arguments: list[str]) -> int:
    """The verb `token`; returns the exit code."""
    if "--help" in arguments or "-h" in arguments:
        sys.stdout.write(USAGE_TEXT)
        return OK
    try:
        account, options = _parsed(arguments)
        wait = _seconds(options, "--wait")
        _seconds(options, "--min-ttl")
    except _Wrong as wrong:
        sys.stderr.write(f"freshd token: {wrong}\n\n{USAGE_TEXT}")
        return USAGE
    from freshd.client.address import token_path

    place = options.get("--socket") or _place()
    path = token_path(account, options.get("--min-ttl"), options.get("--wait"))
    try:
        status, body = _asked(place, path, PATIENCE_SECONDS + (DEFAULT_WAIT_SECONDS if wait is None else wait))
    except TimeoutError:
        return _trouble("the daemon did not answer in time", "ask again", TEMPORARY)
    except BlockingIOError:
        return _trouble("so many programs call the daemon that there is no room left", "ask again", TEMPORARY)
    except OSError as error:
        remedy = "start it (freshd run, or systemctl start freshd), or name its socket with --socket or FRESHD_SOCKET"
        return _trouble(f"no daemon answers on {place}: {error.strerror or error}", remedy, NO_DAEMON)
    return _shown(status, body, whole="--json" in options)


def _place() -> str:
    """Where clients look first; only where nothing is there, what the configuration says: reading it takes a while."""
    import os

    from freshd.client.address import find_socket

    usual = find_socket()
    if "FRESHD_SOCKET" in os.environ or os.path.exists(usual):  # noqa: PTH110 - pathlib costs 5 ms
        return usual
    from freshd.cli.places import config_path, socket_path

    return str(socket_path(os.environ, config_path(os.environ, os.getuid())))


def _parsed(arguments: list[str]) -> tuple[str, dict[str, str]]:
    names: list[str] = []
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.partition("=")
        if argument == "--json":
            options[argument] = ""
        elif name in _WITH_VALUE:
            if not equals and not rest:
                raise _Wrong(f"{name} needs a value")
            options[name] = value if equals else rest.pop(0)
        elif argument.startswith("-"):
            raise _Wrong(f"there is no option {name}")
        else:
            names.append(argument)
    if len(names) != 1 or not names[0]:
        raise _Wrong("one account is needed" if not names else "one account at a time")
    return names[0], options


def _seconds(options: dict[str, str], name: str) -> float | None:
    if name not in options:
        return None
    try:
        value = float(options[name])
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise _Wrong(f"{name} takes seconds, such as {name} 60")
    return value


def _asked(place: str, path: str, patience: float) -> tuple[int, bytes]:
    """Status and body.  Raises OSError."""
    from _socket import AF_UNIX, SOCK_STREAM, socket

    connection = socket(AF_UNIX, SOCK_STREAM)
    connection.settimeout(patience)
    try:
        connection.connect(place)
    except OSError:
        connection.close()
        raise
    try:  # noqa: SIM105 - contextlib is one more import
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: freshd\r\nConnection: close\r\n\r\n".encode())
    except BrokenPipeError:
        pass  # it may have said why before it closed
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:  # it closed without reading the question; its answer may be here all the same
        if not parts:
            raise
    finally:
        connection.close()
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    if head[:7] != b"HTTP/1." or not head[9:12].isdigit():
        raise OSError("what answers there is not freshd")
    if not body.endswith(b"}"):
        raise ConnectionResetError("the answer was cut short")
    return int(head[9:12]), body


def _shown(status: int, body: bytes, *, whole: bool) -> int:
    if status != 200:
        return _explained(status, body)
    text = body.decode() if whole else _access_token(body)
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        return OTHER
    return OK


def _access_token(body: bytes) -> str:
    """The token.  Its key can stand in no value: there the quotes would be escaped."""
    _, found, rest = body.partition(b'"access_token":"')
    value, end, _ = rest.partition(b'"')
    if found and end and b"\\" not in value:
        return value.decode()
    import json

    return str(json.loads(body)["access_token"])


def _explained(status: int, body: bytes) -> int:
    import json

    try:
        told = json.loads(body)
    except ValueError:
        told = {}
    code = {403: DENIED, 404: DENIED, 400: USAGE, 422: USAGE}.get(status, OTHER)
    if status in (408, 429, 503, 504):
        code = TEMPORARY
    cause = told.get("detail") or f"the daemon answered {status}"
    if told.get("maximum") is not None:
        cause += f" (at most {told['maximum']:g} s)"
    return _trouble(cause, told.get("remedy") or "see the daemon's log", code)


def _trouble(cause: str, remedy: str, code: int) -> int:
    sys.stderr.write(f"freshd token: {cause}\n  remedy: {remedy}\n")
    return code
