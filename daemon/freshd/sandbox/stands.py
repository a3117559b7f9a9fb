"""The stand-ins that need nothing of the sandbox but its ports: where each lives, and what it is given.

A stand-in is one function, ``mount(ground) -> stand``, named in ``Settings.stands`` as ``module:function``. It adds its
routes to the public and the control application and keeps its own state; ``Running.stands`` holds what it returns, by
the name of its module. Routes on the control port begin with the stand-in's own name.
"""

import dataclasses
import importlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from aiohttp import web

from freshd.sandbox.oauth2 import Service

STANDS: tuple[str, ...] = (
    "freshd.sandbox.geniusauth.service:mount",
    "freshd.sandbox.cloudbase.service:mount",
    "freshd.sandbox.aun.service:mount",
)
"""What is mounted unless the settings say otherwise."""


@dataclasses.dataclass(slots=True)
class Ground:
    """What a stand-in is given. ``service.stage`` holds faults, clock and the event that ends all waits;
    ``service.ledger.books`` is where calls and secrets are counted, ``service.issuer`` the public address once it is
    bound. ``farewells`` are awaited when the sandbox stops.
    """

    service: Service
    public: web.Application
    control: web.Application
    farewells: list[Callable[[], Awaitable[None]]] = dataclasses.field(default_factory=list)


def mount_all(ground: Ground, places: Sequence[str]) -> dict[str, Any]:
    """Mount each of them; a name is the module's last part but one of ``package.module``, or the module itself."""
    return {_name(place): _found(place)(ground) for place in places}


def _name(place: str) -> str:
    module = place.partition(":")[0].split(".")
    return module[-2] if module[-1] == "service" else module[-1]


def _found(place: str) -> Callable[[Ground], Any]:
    module, _, name = place.partition(":")
    return cast("Callable[[Ground], Any]", getattr(importlib.import_module(module), name))
