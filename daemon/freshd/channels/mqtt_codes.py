"""What a broker's reason codes call for: one table per moment, from code to `Ended`.  Pure and total.

Codes are those of MQTT 5 (OASIS standard, section 2.4).  Those of MQTT 3.1.1 (section 3.2.2.3) come in as their
counterparts of 5: 1 is 0x84, 2 is 0x85, 3 is 0x88, 4 is 0x86, 5 is 0x87.
An unknown code is taken for trouble of the broker's: tried again, ever more slowly.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from freshd.channels.dialer import Ended, Why

UNAUTHORIZED: Final = 401
"""A refused login in the words that providers judge a reader's refusal by (`Provider.is_dead`)."""
BUSY_SECONDS: Final = 30.0

LOGIN: Final[Mapping[int, tuple[Why, str]]] = MappingProxyType(
    {
        0x84: (Why.WRONG, "the broker does not speak this version of MQTT; write another version"),
        0x85: (Why.WRONG, "the broker does not take this client id; write another client_id"),
        0x86: (Why.REFUSED, "the broker refused user name or password"),
        0x87: (Why.REFUSED, "the broker refused the login"),
        0x88: (Why.LOST, "the broker is not available now"),
        0x89: (Why.LOST, "the broker is busy"),
        0x8A: (Why.WRONG, "the broker has banned this client"),
        0x8C: (Why.WRONG, "the broker wants another way of logging in"),
        0x90: (Why.WRONG, "the broker does not take the topic of the last will"),
        0x95: (Why.WRONG, "the login is larger than the broker allows"),
        0x97: (Why.LOST, "a quota of the broker's is used up"),
        0x99: (Why.WRONG, "the broker does not take the form of the last will"),
        0x9A: (Why.WRONG, "the broker keeps no retained messages, and the last will is one"),
        0x9B: (Why.WRONG, "the broker does not take the quality of service of the last will"),
        0x9C: (Why.LOST, "the broker asks to use another server for a while"),
        0x9D: (Why.WRONG, "the broker has moved; write its new host"),
        0x9F: (Why.LOST, "the broker is being logged in to too fast"),
    }
)
"""CONNACK."""
GOODBYE: Final[Mapping[int, tuple[Why, str]]] = MappingProxyType(
    {
        0x87: (Why.REFUSED, "the broker ended the connection: not authorised any more"),
        0x89: (Why.LOST, "the broker is busy"),
        0x8B: (Why.LOST, "the broker is shutting down"),
        0x8D: (Why.LOST, "the broker heard nothing from us for too long"),
        0x8E: (Why.KICKED, "another client logged in with the same client id"),
        0x97: (Why.LOST, "a quota of the broker's is used up"),
        0x98: (Why.AGAIN, "an administrator of the broker ended the connection"),
        0x9C: (Why.LOST, "the broker asks to use another server for a while"),
        0x9D: (Why.WRONG, "the broker has moved; write its new host"),
        0x9F: (Why.LOST, "the broker is being logged in to too fast"),
        0xA0: (Why.AGAIN, "the connection lasted as long as the broker allows"),
    }
)
"""DISCONNECT, which MQTT 5 alone has.  0x98 also comes when the password was changed: the next login tells."""
PATIENT: Final = frozenset({0x88, 0x89, 0x97, 0x9C, 0x9F})
"""Codes after which coming back at once makes it worse."""


def of_login(code: int) -> Ended:
    """What a refused CONNECT comes to."""
    return _ended(LOGIN, code, "the broker refused the connection")


def of_goodbye(code: int) -> Ended:
    """What a DISCONNECT of the broker's comes to."""
    return _ended(GOODBYE, code, "the broker ended the connection")


def of_loss(*, late: bool = False, may_be_kick: bool = False) -> Ended:
    """A connection that ended without a word: in MQTT 3.1.1 a broker has none, so the next login tells."""
    if late:
        return Ended(Why.LOST, "no-answer", "the broker did not answer in time")
    return Ended(Why.AGAIN if may_be_kick else Why.LOST, "closed", "the connection ended without a word")


def _ended(table: Mapping[int, tuple[Why, str]], code: int, otherwise: str) -> Ended:
    why, reason = table.get(code, (Why.LOST, otherwise))
    status = UNAUTHORIZED if why is Why.REFUSED else None
    return Ended(why, f"0x{code:02x}", reason, status, BUSY_SECONDS if code in PATIENT else 0.0)
