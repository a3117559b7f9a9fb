"""For programs that need a token: `Client` for threads, `AsyncClient` for asyncio.

    from freshd.client import Client

    token = Client().token("calendar", min_ttl=60)
    call_the_service(token.value)

Nothing of the daemon and nothing but the standard library is imported, and that only when a name is first used.
Every error is a `ClientError` with cause and remedy; see `freshd.client.errors`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from freshd.client.aio import AsyncClient
    from freshd.client.errors import ClientError, Denied, Temporary, Unreachable
    from freshd.client.sync import Client
    from freshd.client.token import Token
    from freshd.client.wire import Change

__all__ = ["AsyncClient", "Change", "Client", "ClientError", "Denied", "Temporary", "Token", "Unreachable"]

_HOMES = {
    "AsyncClient": "aio",
    "Change": "wire",
    "Client": "sync",
    "ClientError": "errors",
    "Denied": "errors",
    "Temporary": "errors",
    "Token": "token",
    "Unreachable": "errors",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - most programs that import this file want one name

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
