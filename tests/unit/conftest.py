"""Unit tests are about pure rules: whoever reaches for the network here has left them."""

import socket
from typing import NoReturn

import pytest


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way out through the socket module raises; an event loop's own socket pair still works."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a unit test used the network")

    for name in ("bind", "connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
