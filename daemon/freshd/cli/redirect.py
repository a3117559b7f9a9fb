"""The redirect that ends a person's consent in a browser (RFC 8252 section 7.3): reading one, and waiting for one.

Rules
-----
* Listens on the loopback interface only, on the address that the authorization request names.
* An answer counts if it is for this request: right path, right Host, right `state` (compared in constant time).
  Anything else gets an error page and changes nothing: any page in a browser can reach a local port.
* Where a protocol has no `state`, the daemon names the address itself, and does so only where what comes there can do
  no harm; its answer is called `token`, and goes on as a code.
* The page says that the answer arrived, not what was in it.  Nothing is logged.
* The browser is sent to `start`, which leads on to the service once: the request itself stays out of argv (I10).
"""

from __future__ import annotations

import hmac
import http.server
import queue
import socket
import socketserver
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final, cast
from urllib.parse import parse_qs, parse_qsl, urlsplit

from freshd.errors import FreshdError

PATH: Final = "/callback"
START: Final = "/start"
CLIENT_SECONDS: Final = 10.0
"""How long one browser connection may take to say what it wants."""
POLL_SECONDS: Final = 0.05
"""How long ending takes at most."""
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}
PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>freshd</title>
<style>body {{ font: 1.1em sans-serif; margin: 4em auto; max-width: 32em; padding: 0 1em }}</style></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""


class RedirectUnusable(FreshdError):
    """The redirect cannot be received here, or what came is none."""

    exit_code: ClassVar[int] = 65
    type: ClassVar[str] = "redirect"


@dataclass(frozen=True, slots=True)
class Request:
    """The authorization request as far as its answer is concerned.  is_stateless: the protocol has no `state`."""

    url: str
    redirect_uri: str
    state: str
    is_stateless: bool = False

    @classmethod
    def of(cls, url: str, back: str | None = None) -> Request:
        """From the address that a person is sent to; `back`: where the daemon says that the answer comes."""
        query = parse_qs(urlsplit(url).query)
        if back is not None and not query.keys() & {"redirect_uri", "state"}:
            return cls(url, back, "", is_stateless=True)
        return cls(url, query.get("redirect_uri", [""])[0], query.get("state", [""])[0])

    def answer_in(self, target: str) -> Mapping[str, str] | None:
        """What a redirect's address holds, if it answers this request."""
        if self.is_stateless:
            token = parse_qs(urlsplit(target).query).get("token", [""])
            return {"code": token[0]} if len(token) == 1 and token[0] else None
        found = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
        right = bool(self.state) and hmac.compare_digest(found.get("state", "").encode(), self.state.encode())
        return found if right and ("code" in found or "error" in found) else None


class Listener:
    """Listens for one redirect.  Raises RedirectUnusable where the address cannot be had."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, path: str = PATH) -> None:
        self._path = path
        self._request: Request | None = None
        self._started = False
        self._answers: queue.Queue[Mapping[str, str]] = queue.Queue()
        try:
            self._server = _server(host, port)
        except OSError as error:
            raise RedirectUnusable(
                f"nothing can listen on {host} port {port}: {error.strerror}",
                "choose another one with --port, or use --paste",
            ) from None
        self._server.listener = self
        self.port: int = self._server.server_address[1]
        self.authority = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        serve = partial(self._server.serve_forever, poll_interval=POLL_SECONDS)
        threading.Thread(target=serve, name="freshd-redirect", daemon=True).start()

    @property
    def redirect_uri(self) -> str:
        """Where the service shall send the browser."""
        return f"http://{self.authority}{self._path}"

    @property
    def start_url(self) -> str:
        """Where the browser begins."""
        return f"http://{self.authority}{START}"

    def expect(self, request: Request) -> None:
        """Take the answer to this request from now on."""
        self._request = request

    def wait(self, seconds: float) -> Mapping[str, str] | None:
        """The answer; None if none came in time."""
        try:
            return self._answers.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def respond(self, target: str, host: str) -> tuple[int, str, str, str | None]:
        """Status, title, text and perhaps another address, for a browser that asks for `target`."""
        path = urlsplit(target).path
        request = self._request
        if host != self.authority or request is None or path not in (self._path, START):
            return 404, "Nothing here", "This address only takes the end of an enrolment.", None
        if path == START and path != self._path:
            return self._lead_on(request)
        answer = request.answer_in(target)
        if answer is None:
            return 400, "Not the answer", "This does not belong to the enrolment that is waiting.", None
        self._answers.put(answer)
        if "error" in answer:
            return 200, "Not agreed", "The service gave no permission.  The terminal says more.", None
        return 200, "Received", "You may close this page.  The terminal says how it ends.", None

    def _lead_on(self, request: Request) -> tuple[int, str, str, str | None]:
        if self._started:
            return 410, "Opened already", "Use the address that the terminal shows.", None
        self._started = True
        return 303, "To the service", "", request.url


def listen_for(request: Request, listener: Listener) -> Listener:
    """The listener at the address that the request names: the one given, or another where the account has its own."""
    if request.redirect_uri == listener.redirect_uri:
        return listener
    listener.close()
    place = urlsplit(request.redirect_uri)
    if place.scheme != "http" or place.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise RedirectUnusable("the account's redirect_uri does not lead to this command", "use --paste")
    return Listener(place.hostname, place.port or 80, place.path or "/")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    listener: Listener

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that hung up; the base class would print a traceback."""


class _Server6(_Server):
    address_family = socket.AF_INET6


def _server(host: str, port: int) -> _Server:
    kind = _Server6 if ":" in host else _Server
    return kind(("127.0.0.1" if host == "localhost" else host, port), _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = CLIENT_SECONDS
    server_version = "freshd"
    sys_version = ""

    def do_GET(self) -> None:
        listener = cast("_Server", self.server).listener
        status, title, text, onward = listener.respond(self.path, self.headers.get("Host", ""))
        page = PAGE.format(title=title, text=text).encode()
        self.send_response(status)
        headers = {**HEADERS, "Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(page))}
        for name, value in {**headers, **({} if onward is None else {"Location": onward})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """The address holds the code: nothing of it is written anywhere."""
