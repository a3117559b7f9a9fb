"""The packaged profiles of well-known servers: data that comes with freshd.

They have the form of [profiles.NAME] tables; `config` validates them together with those of the configuration.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any


def packaged() -> dict[str, dict[str, Any]]:
    """The raw tables of profiles.toml, by name."""
    return tomllib.loads(files("freshd.providers").joinpath("profiles.toml").read_text(encoding="utf-8"))
