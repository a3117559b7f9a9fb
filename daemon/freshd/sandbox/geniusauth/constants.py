"""Every number of GeniusAuth, and what nobody outside knows about it: one named value each, switchable at run time.

Rules: a constant answers one question. An override is partial; the server's values lie lowest, an application's over
them, a label's on top. What is out keeps the end it was given.
"""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from freshd.sandbox.shape import checked

DAY_S = 86400


class Dialect(enum.StrEnum):
    """Which description the service follows: its own code, or the page of its wiki to the letter."""

    CODE = "code"
    WIKI = "wiki"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GeniusConstants:
    """One resolved set; names end in their unit where there is one (``_S`` seconds). The folder's README explains."""

    GENIUS_SIM_DIALECT: Dialect = Dialect.CODE
    GENIUS_SIM_STAMP_OLDEST_S: float = 300
    GENIUS_SIM_STAMP_AHEAD_S: float = 10
    GENIUS_SIM_ACCESS_TTL_S: float = 300
    GENIUS_SIM_VALID_LEAST_S: float = 7 * DAY_S
    GENIUS_SIM_VALID_MOST_S: float = 30 * DAY_S
    GENIUS_SIM_VALID_DEFAULT_S: float = 7 * DAY_S
    GENIUS_SIM_LOGIN_TTL_S: float = 300
    GENIUS_SIM_LEEWAY_S: float = 3
    GENIUS_SIM_PAYLOAD_MOST: int = 32
    GENIUS_SIM_SECRET_CACHE_S: float = 3600
    GENIUS_SIM_LOGIN_PER_MIN: int = 60
    GENIUS_SIM_REDIRECT_STATUS: int = 307
    GENIUS_SIM_REFRESH_ACCESS_FIELD: str = "access_token"
    GENIUS_SIM_LOGIN_ID_FIELD: str = "userID"
    GENIUS_SIM_KEY_LABEL: str = "EC PUBLIC KEY"
    GENIUS_SIM_LOGIN_EMPTY_ACCESS: bool = False
    GENIUS_SIM_ONCE_BRINGS_ACCESS: bool = False
    GENIUS_SIM_PATCH_CHECKS_APP: bool = False
    GENIUS_SIM_DELETE_CHECKS_APP: bool = False
    GENIUS_SIM_DELETE_IN_BODY: bool = False
    GENIUS_SIM_HEADER_DECIDES: bool = False
    GENIUS_SIM_STORE_FAILURE_CODE: int = 31
    GENIUS_SIM_STORE_FAILURE_BURNS_LOGIN: bool = False
    GENIUS_SIM_FAULT_BURNS_LOGIN: bool = True
    GENIUS_SIM_CODE_AS_TEXT: bool = False
    GENIUS_SIM_WIKI_CODE: int = 5
    GENIUS_SIM_WIKI_STATUS: int = 401
    GENIUS_SIM_WIKI_TAKES_JSON: bool = True

    @property
    def is_wiki(self) -> bool:
        """Whether the wiki's page is followed."""
        return self.GENIUS_SIM_DIALECT is Dialect.WIKI


class ConstantsBook:
    """The overrides in force; ``of`` answers from a cache that every change empties."""

    def __init__(self, default: GeniusConstants | None = None) -> None:
        """Start with one set for everybody; None takes the values above."""
        self._default = default or GeniusConstants()
        self._over: dict[tuple[str, str], dict[str, Any]] = {}
        self._resolved: dict[tuple[str, str], GeniusConstants] = {}

    def of(self, app_code: str = "", label: str = "") -> GeniusConstants:
        """Return what holds now for one account of one application."""
        found = self._resolved.get((app_code, label))
        if found is None:
            over = {**self._over.get(("app_code", app_code), {}), **self._over.get(("label", label), {})}
            found = dataclasses.replace(self._default, **over)
            self._resolved[app_code, label] = found
        return found

    def change(self, over: Mapping[str, object], *, app_code: str | None = None, label: str | None = None) -> None:
        """Lay ``over`` on top of what one label, one application, or (neither given) the server already has.

        Raises ValueError and changes nothing if a name is unknown or a value does not fit.
        """
        fields = checked(GeniusConstants, over, partial=True)
        wrong = [f"{name}: negative" for name, value in fields.items() if _is_number(value) and value < 0]
        wrong += [f"{name}: expected 200 to 599" for name, value in fields.items() if _is_no_status(name, value)]
        if wrong:
            raise ValueError("; ".join(wrong))
        if label is None and app_code is None:
            self._default = dataclasses.replace(self._default, **fields)
        else:
            key = ("label", label) if label is not None else ("app_code", app_code or "")
            self._over.setdefault(key, {}).update(fields)
        self._resolved.clear()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_no_status(name: str, value: object) -> bool:
    return name.endswith("_STATUS") and isinstance(value, int) and not 200 <= value <= 599
