"""freshd enrol: a person agrees, the daemon obtains the grant.

Rules
-----
* The exchange is the daemon's.  This process carries what the person brought, once, and sees no token.
* It ends well only when the daemon says that the grant was written and read back.
* Codes stand neither in argv nor in any output; a pasted address is not echoed.
* What costs something (an SMS) is told and agreed to first.
* Where one step leads to another, as a login to the check of a device, this goes on by itself: a few steps at most,
  and no second time what asks nothing of the person, for a service takes repeated logins for abuse.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, Final

import click

from freshd.cli.daemon import Daemon, Told
from freshd.cli.given import NotEnrolled, agrees, code_given, line_given, secrets_given
from freshd.cli.options import Scene, account, as_json, examples, on_scene
from freshd.cli.output import dump, hint, plain, say, span
from freshd.cli.picture import shown
from freshd.cli.redirect import PATH, Listener, RedirectUnusable, Request, listen_for
from freshd.errors import NeedsConsent

SLOWER_BY_SECONDS: Final = 5.0
"""RFC 8628 section 3.5."""
UNSENT_MOST: Final = 3
"""How often a code is handed over again after nothing could be sent; the daemon keeps its pace in between."""
STEPS_MOST: Final = 6
"""Logging in again, a device check with a wrong code or two, a third factor; more goes round in circles."""
NEXT_STEP: Final = "next-step"
FREE_PORTS: Final = range(49152, 65536)
CODE: Final = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True, slots=True)
class Begun:
    """An enrolment that the daemon has begun.

    prompt  what the person is to type in, where it is no redirect; picture: an image file to look at for that
    step    what it is called; the same one is not taken twice where it asks nothing of the person
    back    where the browser comes back to, where the address does not say so
    ends    monotonic second after which it is forgotten
    """

    daemon: Daemon
    account: str
    session: str
    url: str
    user_code: str | None
    interval: float
    ends: float
    prompt: str | None = None
    picture: bytes | None = field(default=None, repr=False)
    back: str | None = None
    step: str = ""

    @property
    def is_at_once(self) -> bool:
        """Whether it asks nothing of the person."""
        return self.prompt is None and not self.url

    def left(self) -> float:
        """Seconds that remain."""
        return self.ends - monotonic()


@click.command(
    epilog=examples(
        "freshd enrol work-mail",
        "freshd enrol work-mail --device          on a machine without a browser",
        "freshd enrol work-mail --paste           browser elsewhere, service without device flow",
        "freshd enrol work-mail --import < token  a refresh token obtained by another program",
        "freshd enrol futu --import < record.json  what another client has stored, as a JSON object",
    )
)
@account
@click.option("--device", is_flag=True, help="Device flow: type a short code on any other machine.")
@click.option("--paste", is_flag=True, help="Open the address elsewhere, and paste the one the browser ends at.")
@click.option("--import", "imports", is_flag=True, help="Take a token, or a JSON object, from standard input.")
@click.option("--yes", is_flag=True, help="Agree to what costs something, such as an SMS, without being asked.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port for the redirect.  [default: a free one]")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@as_json
@on_scene
def enrol(scene: Scene, account: str, *, port: int, no_browser: bool, json: bool, yes: bool, **ways: bool) -> None:
    """Give an account its grant: a person agrees at the service.

    Ends when the daemon has written the new grant and read it back.  Nothing of it is spent, and an older grant
    stays in force until then.  What is imported must have no other user left: two would spend it from under each
    other.
    """
    if sum(ways.values()) > 1:
        raise click.UsageError("--device, --paste and --import exclude each other")
    daemon, screen = scene.daemon(), Screen(port, json, yes, may_open=not no_browser)
    done: Mapping[str, Any]
    if ways["imports"]:
        done = daemon.operate(account, "import", secrets=secrets_given(account))
    elif ways["device"]:
        done = _by_device(daemon, account, json)
    elif ways["paste"]:
        done = _by_paste(daemon, account, screen)
    else:
        done = _by_what_fits(daemon, account, screen)
    if json:
        dump(done)
    else:
        say(f"enrolled: {account}, generation {done.get('generation')}; written and read back")


# -- the ways -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Screen:
    """What the person at this command wants: port of the redirect, output as JSON, everything agreed to, a browser."""

    port: int
    json: bool
    yes: bool
    may_open: bool


def _by_what_fits(daemon: Daemon, account: str, screen: Screen) -> Mapping[str, Any]:
    """The steps that the account's kind and state call for."""
    listener, taken = Listener(port=screen.port), set[str]()
    try:
        for _ in range(STEPS_MOST):
            begun = _begin_agreed(daemon, account, listener.redirect_uri, is_agreed=screen.yes)
            if begun.is_at_once and begun.step in taken:
                break
            taken = {*taken, begun.step} if begun.is_at_once else set()
            done = _step(begun, listener, screen)
            if done is not None:
                return done
    finally:
        listener.close()
    raise NotEnrolled("the service asks for one step after another", f"freshd explain {account}")


def _begin_agreed(daemon: Daemon, account: str, redirect_uri: str, *, is_agreed: bool) -> Begun:
    """Begin; where that costs something, once the person has agreed."""
    try:
        return _begin(daemon, account, flow="auto", redirect_uri=redirect_uri)
    except Told as told:
        if told.kind != NeedsConsent.type:
            raise
        if is_agreed:
            hint(plain(told.cause))
        else:
            agrees(plain(told.cause), account)
    return _begin(daemon, account, flow="auto", redirect_uri=redirect_uri, consent=True)


def _step(begun: Begun, listener: Listener, screen: Screen) -> Mapping[str, Any] | None:
    """One step; None where it leads to another."""
    if begun.prompt is not None:
        told = _by_typing(begun, begun.prompt, screen)
    elif begun.is_at_once:
        told = _finish(begun, {}, is_at_once=True)
    elif begun.user_code is not None:
        told = _by_code(begun, screen.json)
    else:
        told = _by_browser(begun, listener, screen)
    return told if told.get("done") else None


def _by_typing(begun: Begun, prompt: str, screen: Screen) -> Mapping[str, Any]:
    if begun.url:
        _show_address(begun, screen.json, "Open this address in any browser:")
    with shown(begun.picture, may_open=screen.may_open and _has_display()):
        return _finish(begun, {"code": code_given(plain(prompt), begun.account)})


def _by_browser(begun: Begun, listener: Listener, screen: Screen) -> Mapping[str, Any]:
    request = Request.of(begun.url, begun.back)
    listener = listen_for(request, listener)
    try:
        listener.expect(request)
        _show_address(begun, screen.json, "Open this address, and agree:")
        if screen.may_open and _has_display():
            _open(listener.start_url)
        answer = listener.wait(begun.left())
        if answer is None:
            raise NotEnrolled("nobody agreed in time", f"begin again: freshd enrol {begun.account}")
        return _finish(begun, _good(answer, begun.account))
    finally:
        listener.close()


def _by_paste(daemon: Daemon, account: str, screen: Screen) -> Mapping[str, Any]:
    place = screen.port or secrets.choice(FREE_PORTS)
    begun = _begin(daemon, account, flow="code", redirect_uri=f"http://127.0.0.1:{place}{PATH}")
    if begun.prompt is not None:
        return _by_typing(begun, begun.prompt, screen)
    text = "Open this address in any browser, and agree.  The page it ends at cannot be shown:"
    _show_address(begun, screen.json, text)
    answer = Request.of(begun.url).answer_in(line_given("The whole address it ends at"))
    if answer is None:
        raise RedirectUnusable(
            "this is not the address at which this enrolment ends", f"begin again: freshd enrol {account} --paste"
        )
    return _finish(begun, _good(answer, account))


def _by_device(daemon: Daemon, account: str, json: bool) -> Mapping[str, Any]:
    return _by_code(_begin(daemon, account, flow="device"), json)


def _by_code(begun: Begun, json: bool) -> Mapping[str, Any]:
    _show_address(begun, json, "Open this address on any machine, and enter the code:")
    return _finish(begun, {})


# -- what they share ------------------------------------------------------------------------------------------------


def _begin(daemon: Daemon, account: str, **wishes: object) -> Begun:
    told = daemon.operate(account, "enrol-begin", **wishes)
    ends = monotonic() + float(told.get("expires_in") or 600.0)
    interval = max(1.0, float(told.get("interval") or SLOWER_BY_SECONDS))
    url, prompt, picture = told.get("url") or "", told.get("prompt"), told.get("picture")
    image, code, back = b64decode(picture) if picture else None, told.get("user_code"), told.get("redirect_uri")
    step = str(told.get("step", ""))
    return Begun(daemon, account, told["session"], url, code, interval, ends, prompt, image, back, step)


def _finish(begun: Begun, brought: Mapping[str, str], *, is_at_once: bool = False) -> Mapping[str, Any]:
    """Hand over what was brought until the daemon says done or names another step, at the pace that the service wants.

    is_at_once: nothing is to be brought or waited for.
    """
    interval, unsent = begun.interval, 0
    if not brought and not is_at_once:
        _pause(begun, interval)
    while True:
        told = begun.daemon.operate(begun.account, "enrol-finish", session=begun.session, **brought)
        if told.get("done") or told.get("pending") == NEXT_STEP:
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


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _open(url: str) -> None:
    import webbrowser

    try:
        webbrowser.open(url)
    except webbrowser.Error:
        hint("No browser could be started; open the address yourself.")
