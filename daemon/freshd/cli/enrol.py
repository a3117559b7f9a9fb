"""freshd enrol: a person agrees, the daemon obtains the grant.

Rules
-----
* The exchange is the daemon's.  This process carries what the browser brought, once, and sees no token.
* It ends well only when the daemon says that the grant was written and read back.
* Codes stand neither in argv nor in any output; a pasted address is not echoed.
"""

from __future__ import annotations

import getpass
import os
import re
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, ClassVar, Final

import click

from freshd.cli.daemon import Daemon
from freshd.cli.options import Scene, account, as_json, examples, on_scene
from freshd.cli.output import dump, hint, plain, say, span
from freshd.cli.redirect import PATH, Listener, RedirectUnusable, Request, listen_for
from freshd.errors import FreshdError

SLOWER_BY_SECONDS: Final = 5.0
"""RFC 8628 section 3.5."""
UNSENT_MOST: Final = 3
"""How often a code is handed over again after nothing could be sent; the daemon keeps its pace in between."""
SECRET_MOST: Final = 16_384
FREE_PORTS: Final = range(49152, 65536)
CODE: Final = re.compile(r"[a-z_]{1,40}")


class NotEnrolled(FreshdError):
    """The enrolment came to nothing; a grant held before is untouched."""

    exit_code: ClassVar[int] = 65
    type: ClassVar[str] = "not-enrolled"


@dataclass(frozen=True, slots=True)
class Begun:
    """An enrolment that the daemon has begun.  `ends`: monotonic second after which it is forgotten."""

    daemon: Daemon
    account: str
    session: str
    url: str
    user_code: str | None
    interval: float
    ends: float

    def left(self) -> float:
        """Seconds that remain."""
        return self.ends - monotonic()


@click.command(
    epilog=examples(
        "freshd enrol work-mail",
        "freshd enrol work-mail --device          on a machine without a browser",
        "freshd enrol work-mail --paste           browser elsewhere, service without device flow",
        "freshd enrol work-mail --import < token  a refresh token obtained by another program",
    )
)
@account
@click.option("--device", is_flag=True, help="Device flow: type a short code on any other machine.")
@click.option("--paste", is_flag=True, help="Open the address elsewhere, and paste the one the browser ends at.")
@click.option("--import", "imports", is_flag=True, help="Take a refresh token from standard input, and own it.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port for the redirect.  [default: a free one]")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@as_json
@on_scene
def enrol(scene: Scene, account: str, *, port: int, no_browser: bool, json: bool, **ways: bool) -> None:
    """Give an account its grant: a person agrees at the service.

    Ends when the daemon has written the new grant and read it back.  Nothing of it is spent, and an older grant
    stays in force until then.  An imported token must have no other user left: two would spend it from under each
    other.
    """
    if sum(ways.values()) > 1:
        raise click.UsageError("--device, --paste and --import exclude each other")
    daemon = scene.daemon()
    done: Mapping[str, Any]
    if ways["imports"]:
        done = daemon.operate(account, "import", secrets={"refresh_token": _given(account)})
    elif ways["device"]:
        done = _by_device(daemon, account, json)
    elif ways["paste"]:
        done = _by_paste(daemon, account, port, json)
    else:
        done = _by_browser(daemon, account, port, not no_browser, json)
    if json:
        dump(done)
    else:
        say(f"enrolled: {account}, generation {done.get('generation')}; written and read back")


# -- the three ways -------------------------------------------------------------------------------------------------


def _given(account: str) -> str:
    """A secret from standard input: one line, never echoed, never in argv."""
    text = getpass.getpass("refresh token: ") if sys.stdin.isatty() else sys.stdin.read(SECRET_MOST)
    if not text.strip():
        raise NotEnrolled("standard input holds no token", f"freshd enrol {account} --import < FILE")
    return text.strip()


def _by_browser(daemon: Daemon, account: str, port: int, may_open: bool, json: bool) -> Mapping[str, Any]:
    listener = Listener(port=port)
    try:
        begun = _begin(daemon, account, flow="code", redirect_uri=listener.redirect_uri)
        request = Request.of(begun.url)
        listener = listen_for(request, listener)
        listener.expect(request)
        _show_address(begun, json, "Open this address, and agree:")
        if may_open and _has_display():
            _open(listener.start_url)
        answer = listener.wait(begun.left())
        if answer is None:
            raise NotEnrolled("nobody agreed in time", f"begin again: freshd enrol {account}")
        return _finish(begun, **_good(answer, account))
    finally:
        listener.close()


def _by_paste(daemon: Daemon, account: str, port: int, json: bool) -> Mapping[str, Any]:
    place = port or secrets.choice(FREE_PORTS)
    begun = _begin(daemon, account, flow="code", redirect_uri=f"http://127.0.0.1:{place}{PATH}")
    _show_address(begun, json, "Open this address in any browser, and agree.  The page it ends at cannot be shown:")
    answer = Request.of(begun.url).answer_in(_pasted())
    if answer is None:
        raise RedirectUnusable(
            "this is not the address at which this enrolment ends", f"begin again: freshd enrol {account} --paste"
        )
    return _finish(begun, **_good(answer, account))


def _by_device(daemon: Daemon, account: str, json: bool) -> Mapping[str, Any]:
    begun = _begin(daemon, account, flow="device")
    _show_address(begun, json, "Open this address on any machine, and enter the code:")
    return _finish(begun)


# -- what they share ------------------------------------------------------------------------------------------------


def _begin(daemon: Daemon, account: str, **wishes: str) -> Begun:
    told = daemon.operate(account, "enrol-begin", **wishes)
    ends = monotonic() + float(told.get("expires_in") or 600.0)
    interval = max(1.0, float(told.get("interval") or SLOWER_BY_SECONDS))
    return Begun(daemon, account, told["session"], told["url"], told.get("user_code"), interval, ends)


def _finish(begun: Begun, **brought: str) -> Mapping[str, Any]:
    """Hand over what was brought until the daemon says done, at the pace that the service asked for."""
    interval, unsent = begun.interval, 0
    if not brought:
        _pause(begun, interval)
    while True:
        told = begun.daemon.operate(begun.account, "enrol-finish", session=begun.session, **brought)
        if told.get("done"):
            return told
        pending = told.get("pending")
        interval += SLOWER_BY_SECONDS if pending == "slow_down" else 0.0
        unsent += pending == "unsent"
        if unsent >= UNSENT_MOST:
            raise NotEnrolled("nothing could be sent to the service", f"freshd explain {begun.account}, then try again")
        _pause(begun, interval)


def _pause(begun: Begun, seconds: float) -> None:
    if begun.left() <= seconds:
        raise NotEnrolled("nobody agreed in time", f"begin again: freshd enrol {begun.account}")
    sleep(seconds)


def _good(answer: Mapping[str, str], account: str) -> dict[str, str]:
    """What the daemon needs of a redirect; raises where the service or the person said no."""
    if "error" in answer:
        said = answer["error"] if CODE.fullmatch(answer["error"]) else "an error"
        raise NotEnrolled(f"the service answered {said}", f"begin again, and agree: freshd enrol {account}")
    return {name: answer[name] for name in ("code", "state", "iss") if name in answer}


def _show_address(begun: Begun, json: bool, text: str) -> None:
    if json:
        dump({"url": begun.url, "user_code": begun.user_code, "expires_in": round(begun.left())})
        return
    hint(text)
    say(f"  {plain(begun.url)}")
    if begun.user_code is not None:
        say(f"  code: {plain(begun.user_code)}")
    hint(f"Waiting for at most {span(begun.left())} …")


def _pasted() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("The whole address it ends at (not shown): ").strip()
    return sys.stdin.readline().strip()


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _open(url: str) -> None:
    import webbrowser

    try:
        webbrowser.open(url)
    except webbrowser.Error:
        hint("No browser could be started; open the address yourself.")
