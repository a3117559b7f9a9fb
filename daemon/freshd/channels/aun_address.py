"""Addresses of AUN gateways: which of them a token may be sent to.  Pure.

Rules
-----
* wss:// anywhere; plain ws:// only on this machine itself: a token is in the first frame we send.
* A list keeps its order; what cannot be used, or comes twice, is left out, and so is what comes after the first few.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

MOST_GATEWAYS: Final = 8
LONGEST_URL: Final = 2048


def url_problem(url: str) -> str | None:
    """What is wrong with an address, as the end of a sentence; None if a token may be sent there."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is malformed"
    if not host or port == 0 or len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        return "is malformed"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "holds a user name, a password or a fragment"
    if parts.scheme == "wss" or (parts.scheme == "ws" and is_loopback(host)):
        return None
    return "must begin with wss:// (plain ws is only for this machine itself)"


def gateways_of(listed: str) -> tuple[str, ...]:
    """The addresses in a list parted by blanks that can be used."""
    usable = (url for url in listed.split() if url_problem(url) is None)
    return tuple(dict.fromkeys(usable))[:MOST_GATEWAYS]


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine, whoever asks."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
