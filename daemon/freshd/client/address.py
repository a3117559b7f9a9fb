"""Where the daemon listens, and how calls are written.  Imports os alone: `freshd token` starts with this file."""

import os

SYSTEM_SOCKET = "/run/freshd/freshd.sock"
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def find_socket() -> str:
    """FRESHD_SOCKET; else the user's own daemon, if its socket is there; else the system's."""
    named = os.environ.get("FRESHD_SOCKET")
    if named:
        return named
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.exists(own := f"{runtime}/freshd/freshd.sock"):  # noqa: PTH110 - pathlib costs 5 ms
        return own
    return SYSTEM_SOCKET


def quoted(text: str) -> str:
    """Text as one segment of a path or one value of a query."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in os.fsencode(text))


def token_path(account: str, min_ttl: float | str | None = None, wait: float | str | None = None) -> str:
    """The path that reads an account's lease."""
    query = [f"{name}={value}" for name, value in (("min_ttl", min_ttl), ("wait", wait)) if value is not None]
    return f"/v1/tokens/{quoted(account)}" + ("?" + "&".join(query) if query else "")
