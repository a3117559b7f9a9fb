"""Moments as JSON, for the small durable state of an account: when it signed in, when a captcha's token was given.

Total: whatever is not a moment is none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from freshd.core.age import age
from freshd.core.model import Moment, Record, Secret

SIGN_INS: Final = "sign_ins"
"""Name of the secret that holds the times of automatic sign-ins."""
MOST: Final = 8


def told(moment: Moment) -> dict[str, object]:
    """A moment for JSON."""
    return {"wall": moment.wall, "boot": moment.boot, "boot_id": moment.boot_id}


def moment_of(value: object) -> Moment | None:
    """The moment that JSON holds."""
    if not isinstance(value, Mapping):
        return None
    wall, boot, boot_id = value.get("wall"), value.get("boot"), value.get("boot_id")
    is_whole = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (wall, boot))
    if not is_whole or not isinstance(boot_id, str):
        return None
    try:
        moment = Moment(float(wall), float(boot), boot_id)  # type: ignore[arg-type]
    except OverflowError:
        return None
    return moment if math.isfinite(moment.wall) and math.isfinite(moment.boot) else None


def json_of(record: Record, name: str) -> Any:  # noqa: ANN401 - whatever JSON it is
    """What a secret of the grant holds as JSON; None for everything else."""
    held = None if record.grant is None else record.grant.secrets.get(name)
    try:
        return None if held is None else json.loads(held.reveal())
    except (ValueError, RecursionError):
        return None


def sign_ins(record: Record) -> tuple[Moment, ...]:
    """When freshd signed in by itself, oldest first; as far back as is kept."""
    found = json_of(record, SIGN_INS)
    moments = (moment_of(one) for one in (found if isinstance(found, list) else []))
    return tuple(moment for moment in moments if moment is not None)[-MOST:]


def with_one_more(record: Record, sent: Moment) -> Secret:
    """The times with one more."""
    return Secret(json.dumps([told(one) for one in (*sign_ins(record), sent)[-MOST:]]))


def count_since(record: Record, seconds: float, now: Moment) -> int:
    """How many automatic sign-ins lie within so many seconds before `now`."""
    return sum(age(one, now).seconds < seconds for one in sign_ins(record))
