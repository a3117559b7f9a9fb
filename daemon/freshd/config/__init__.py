"""freshd.toml → `Settings`.

Rules
-----
* Everything wrong is said at once: `ConfigError.problems` holds "FILE:LINE: KEY: what is wrong; what to write".
* No value of the file is ever repeated in a problem: it may be a secret in the wrong place.
* Nothing is spent, sent, prompted for or written; secrets are not read, only looked for.
* Providers and channels own their keys: they come in as `KindSchema` and `ChannelKind`, profiles as plain data.  This
  package imports none of them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

from freshd.config.accounts import Accounts
from freshd.config.channels import ChannelTables, mqtt_outlet
from freshd.config.lines import lines_of
from freshd.config.places import Surroundings
from freshd.config.profiles import Profiles
from freshd.config.report import Report, refuse
from freshd.config.sections import Sections
from freshd.config.tables import RootTable, read
from freshd.core.settings import ChannelKind, KindSchema, Settings

__all__ = ["Surroundings", "load"]

SIZE_LIMIT: Final = 64 * 2**20
"""Room for 100 000 accounts; more is no configuration."""
NO_PROFILES: Final[Mapping[str, Any]] = MappingProxyType({})
NO_CHANNELS: Final[Mapping[str, ChannelKind]] = MappingProxyType({})
PLACE: Final = re.compile(r"\s*\(at (?:line (\d+)|end of document).*\)\s*\Z", re.DOTALL)
QUOTED: Final = re.compile(r"'[^']{3,}'|\"[^\"]{3,}\"|\(.*\)", re.DOTALL)


def load(
    path: Path,
    kinds: Mapping[str, KindSchema],
    profiles: Mapping[str, Any] = NO_PROFILES,
    surroundings: Surroundings | None = None,
    channels: Mapping[str, ChannelKind] = NO_CHANNELS,
) -> Settings:
    """The settings that a file means.  Raises ConfigError, and nothing else, whatever the file holds.

    kinds         what accounts may be, by name
    profiles      the packaged profiles as raw tables, by name
    surroundings  environment and user that decide about defaults; by default those of this process
    channels      what channels may be, by name
    """
    text = _text(path)
    raw = _tables(path, text)
    report = Report(path, lines_of(text))
    here = surroundings or Surroundings.here()
    read(report, RootTable, raw)
    sections = Sections(report, raw, here)
    book = Profiles(report, profiles, raw.get("profiles"), kinds)
    state_dir = sections.state_dir()
    accounts = Accounts(report, kinds, book, here).read(raw.get("accounts"))
    names = frozenset(account.name for account in accounts)
    lines = ChannelTables(report, channels, names, here).read(raw.get("channels"))
    settings = Settings(
        state_dir=state_dir,
        socket=sections.socket(),
        vault=sections.vault(state_dir),
        log=sections.log(),
        operators=sections.operators(),
        accounts=accounts,
        channels=lines,
        mqtt=mqtt_outlet(report, raw.get("outlets"), lines),
    )
    report.settle()
    return settings


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        _refuse(path, 1, f"cannot be read ({error.strerror}); make it, or name another file with --config")
    if len(data) > SIZE_LIMIT:
        _refuse(path, 1, f"is larger than {SIZE_LIMIT // 2**20} MiB; name the right file with --config")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _refuse(path, line, "is not UTF-8; save it as UTF-8")


def _tables(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        place = PLACE.search(said)
        last = text.count("\n") + (not text.endswith("\n"))
        line = int(place[1]) if place and place[1] else max(1, last)
        what = QUOTED.sub("…", PLACE.sub("", said))
        _refuse(path, line, f"is not TOML ({what}); correct this line, a string needs quotes")
    except (RecursionError, ValueError):
        # Numbers of thousands of digits, or brackets nested without end.
        _refuse(path, 1, "cannot be taken in (nested too deep, or a number too long); write plain tables")


def _refuse(path: Path, line: int, sentence: str) -> NoReturn:
    refuse(f"1 problem in {path}", (f"{path}:{line}: (file): {sentence}",))
