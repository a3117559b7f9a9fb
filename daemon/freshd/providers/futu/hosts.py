"""Where the platform and its brokers live, and how an account is written.  Pure.

Rules
-----
* The region an account belongs to decides which platform it logs in at; a broker's number decides its host.
* What an operator writes as `auth_url` or `broker_url` wins, and is never left for another host.
* A phone account is written +COUNTRY-NUMBER; from there on its bare number is the account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

FUTUNN: Final = "futunn"
MOOMOO: Final = "moomoo"
PLATFORM_URLS: Final[Mapping[str, str]] = MappingProxyType(
    {FUTUNN: "https://auth.futunn.com", MOOMOO: "https://auth.moomoo.com"}
)
REGIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("cn", "hk"), FUTUNN),
        **dict.fromkeys(("us", "sg", "au", "jp", "my", "ca"), MOOMOO),
    }
)
"""Region of an account → its platform."""
ATTRIBUTIONS: Final[Mapping[int, str]] = MappingProxyType({1: "cn", 2: "us", 3: "sg", 4: "au", 5: "jp", 6: "hk"})
"""`user_attribution` as the service numbers it → region.  The numbers of my and ca are not known."""
BROKER_URLS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1001: "https://authority.futuhk.com",
        1007: "https://authority.us.moomoo.com",
        1008: "https://authority.sg.moomoo.com",
        1009: "https://authority.au.moomoo.com",
        1012: "https://authority.jp.moomoo.com",
        1017: "https://authority.my.moomoo.com",
        1019: "https://authority.ca.moomoo.com",
    }
)
"""Broker → its host.  Of others, such as 1022, none is known."""
PHONE: Final = re.compile(r"\+(\d{1,4})-([\d -]{3,24})")
BLANKS: Final = re.compile(r"[ -]")


@dataclass(frozen=True, slots=True)
class Identity:
    """An account in its one form.  name: of a phone the bare number; region_no: the digits of its country, or None."""

    name: str
    region_no: str | None = None


def identity(written: str) -> Identity:
    """An account however it is written.  Anything that is no phone keeps its form, less blanks and capitals."""
    plain = written.strip()
    found = PHONE.fullmatch(plain)
    if found is not None:
        return Identity(BLANKS.sub("", found[2]), found[1])
    return Identity(plain.casefold())


def platform_of(region: str | None) -> str:
    """The platform of a region; where none is said, that of the Chinese mainland and Hong Kong."""
    return FUTUNN if region is None else REGIONS[region]
