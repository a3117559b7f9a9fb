"""``scripts/demo``, once the environment is there: arguments in, story out, an exit status that tells the truth.

0 everything that had to happen happened · 1 something did not, said in a sentence · 2 wrong usage · 130 interrupted
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
from typing import NoReturn

from freshd.cli.demo.cast import SHORTEST_S, USUAL_S
from freshd.cli.demo.play import Wishes, play
from freshd.cli.demo.score import Verdict
from freshd.cli.demo.script import SABOTAGE
from freshd.cli.demo.service import ServiceFailed
from freshd.cli.demo.stage import StageFailed
from freshd.cli.demo.table import Lines, Screen
from freshd.client import ClientError

OK, FAILED, INTERRUPTED = 0, 1, 130
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """The command."""
    given = _arguments()
    for number in ENDINGS:
        signal.signal(number, _interrupt)
    wishes = Wishes(given.duration, given.sabotage or "", given.no_keyring)
    view = Screen() if sys.stdout.isatty() and not given.json else Lines()
    verdict = Verdict((), ())
    try:
        with view:
            verdict = play(wishes, view)
    except KeyboardInterrupt:
        print("demo: interrupted; everything it started has been ended", file=sys.stderr)
        return INTERRUPTED
    except (StageFailed, ServiceFailed, ClientError, OSError) as error:
        verdict = Verdict((), (f"{type(error).__name__}: {error}",))
        with contextlib.suppress(OSError):
            view.say(f"FAILED  {error}")
    if given.json:
        print(json.dumps(verdict.document()), flush=True)
    return OK if verdict.ok else FAILED


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="The real daemon against a service that loses answers, fails and revokes, and a kill -9.",
        epilog="exit status: 0 all went as it should; 1 something did not, and is named; 2 usage; 130 interrupted",
    )
    parser.add_argument(
        "--for", dest="duration", type=_seconds, default=USUAL_S, metavar="S",
        help=f"seconds that count, at least {SHORTEST_S:g} (default: {USUAL_S:g}); a few more go into start and end",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="plain lines, and as the last one a JSON object")
    parser.add_argument("--no-keyring", action="store_true", help="keep the sealing key in a file, whatever is there")
    parser.add_argument("--sabotage", choices=SABOTAGE, help=argparse.SUPPRESS)
    return parser.parse_args()


def _seconds(text: str) -> float:
    value = float(text)
    if not SHORTEST_S <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"from {SHORTEST_S:g} to 86400 seconds")
    return value


def _interrupt(_number: int, _frame: object) -> NoReturn:
    """Once: what ends the children must not be interrupted itself."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
