"""The window that no order can close, measured without a kill: from the service's answer to the durable escrow.

    python -m tests.crash.window [--refreshes N]

One daemon, one account, the sandbox, one refresh after the other; the first ones, which load code, are told apart.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Final

from tests.crash import stamps
from tests.crash.scene import ACCOUNT, Scene
from tests.crash.services import Sandbox
from tests.crash.stamps import Window
from tests.crash.tables import spread

LABEL: Final = "window"
COLD: Final = 1
LONG_SECONDS: Final = 3600
PAUSE_SECONDS: Final = 0.02
"""Between two refreshes: real ones come alone."""


def measure(refreshes: int) -> tuple[Window, ...]:
    """One window for each refresh, the first after a start foremost."""
    with Sandbox(access_seconds=LONG_SECONDS) as service, Scene("sealed") as scene:
        scene.configure({ACCOUNT: service.settings(scene.folder)})
        victim = scene.victim().wait_ready()
        victim.operate("import", secrets={"refresh_token": service.mint(LABEL)})
        while victim.view()["generation"] <= refreshes:
            time.sleep(PAUSE_SECONDS)
            victim.operate("refresh")
        return stamps.windows(scene.stamps(), service.page(LABEL).commits)


def told(found: Sequence[Window]) -> str:
    """Three lines, one for each beginning of the window."""
    kinds = {"service began to write": "from_begin", "service had written": "from_write", "point 4": "from_reply"}
    rows = {name: spread([round(getattr(one, field)) for one in found]) for name, field in kinds.items()}
    return "\n".join(f"  since {name:24} {row}" for name, row in rows.items())


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.window", description="The window, in microseconds.")
    parser.add_argument("--refreshes", type=int, default=300, help="how many (default: 300)")
    found = measure(parser.parse_args().refreshes)
    print("first refresh after a start", told(found[:COLD]), "every later one", told(found[COLD:]), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
