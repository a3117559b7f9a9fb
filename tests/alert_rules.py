"""The rules of alerting as the catalogue of events says them; `python -m tests.alert_rules` prints them."""

import json

from freshd.core.alerts import LASTING
from freshd.core.catalogue import CATALOGUE
from freshd.core.events import Severity

HEAD = """\
# Which events are alerts, what they mean, what helps, and which events end them: for alerting by other means than
# freshd-alerts.service.  Written by scripts/schema from the catalogue of events; a test fails while it is out of step.
#
# A line of the log tells an event in EVENT (journald) or "event" (JSON), its account in ACCOUNT or "account".
# apart       the field that tells causes of one event apart
# lead        the field with the seconds that are left
# cleared_by  events of the same account that end it; EVENT:VALUE ends it only where the field `apart` has that value.
#             Without any it merely happened.  vault.locked also ends with a daemon.started whose field locked is false.
"""


def text() -> str:
    return HEAD + "".join(_rule(name) for name, entry in CATALOGUE.items() if entry.severity <= Severity.WARNING)


def _rule(name: str) -> str:
    entry = CATALOGUE[name]
    values = {
        "event": name,
        "severity": entry.severity.name.lower(),
        "meaning": entry.meaning,
        "remedy": entry.remedy,
        "apart": entry.apart,
        "lead": entry.lead,
        "cleared_by": _cleared_by(name) if name in LASTING else None,
    }
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if value)
    return "\n[[rule]]\n" + "\n".join(lines) + "\n"


def _cleared_by(name: str) -> list[str]:
    ends = ((other, *clears.partition(":")) for other, entry in CATALOGUE.items() for clears in entry.clears)
    return [f"{other}{colon}{cause}" for other, cleared, colon, cause in ends if cleared == name]


if __name__ == "__main__":
    print(text(), end="")
