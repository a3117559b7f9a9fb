"""A person at a browser, played over plain HTTP.

`Browser.open` follows redirects, keeps cookies, and fills in whatever form the server shows: login,
consent, the device pages. It runs no script and loads no picture. A redirect that leaves the server's
origin is the callback: it is delivered as a browser would, and its address is the result.

A fresh `Browser` is a fresh person: no session, so the login page comes first.
"""

from __future__ import annotations

import http.client
import http.cookiejar
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus
from typing import Final

#: Authorization: 2 pages and 6 redirects. More than this is a loop.
MOST_STEPS: Final = 20
PAGE_DEADLINE_S: Final = 15


class BrowserStuck(RuntimeError):
    """The server showed a page that is neither a form nor a redirect; the message is its title and status."""


@dataclass(frozen=True)
class Arrival:
    """Where it ended: at the callback, or on the server's own last page (then `callback` is None)."""

    callback: str | None
    status: int
    page: str = field(repr=False)

    @property
    def query(self) -> dict[str, str]:
        """The callback's parameters: `code` and `state`, or `error`."""
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.callback or "").query))


@dataclass
class Form:
    """A form of a page with the values that a submit would send."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Browser:
    """A person named `account`, with cookies. Not for use by two threads at once."""

    def __init__(self, account: str, *, deliver: bool = True) -> None:
        """With `deliver` False the callback is not called; its address is returned only."""
        self._account = account
        self._deliver = deliver
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
            _Stay(),
        )

    def open(self, address: str, *, consent: bool = True) -> Arrival:
        """Log in and consent (or cancel at the first page), until the callback or a last page.

        Raises `BrowserStuck` on an error page and `OSError` when the callback's listener is not there.
        """
        origin = _origin(address)
        form: Form | None = None
        for _ in range(MOST_STEPS):
            if _origin(address) != origin:
                return self._arrive(address)
            status, location, page = self._load(address, form)
            form = None
            if location is not None:
                address = urllib.parse.urljoin(address, location)
                continue
            document = _Page(page)
            if status != HTTPStatus.OK:
                raise BrowserStuck(f"{document.title or 'a page without a title'} (status {status})")
            if not document.forms:
                return Arrival(None, status, page)
            if not consent and document.cancel is not None:
                address = urllib.parse.urljoin(address, document.cancel)
                continue
            form = self._filled(document.forms[0])
            address = urllib.parse.urljoin(address, form.action)
        raise BrowserStuck(f"no end after {MOST_STEPS} pages")

    def _filled(self, form: Form) -> Form:
        if "login" in form.fields:
            form.fields.update(login=self._account, password="anything")
        return form

    def _arrive(self, address: str) -> Arrival:
        if not self._deliver:
            return Arrival(address, 0, "")
        status, _, page = self._load(address, None)
        return Arrival(address, status, page)

    def _load(self, address: str, form: Form | None) -> tuple[int, str | None, str]:
        data = None if form is None else urllib.parse.urlencode(form.fields).encode()
        request = urllib.request.Request(address, data)
        try:
            response = self._opener.open(request, timeout=PAGE_DEADLINE_S)
        except urllib.error.HTTPError as refusal:
            response = refusal
        with response:
            return (
                response.status,
                response.headers.get("Location"),
                response.read().decode("utf-8", "replace"),
            )


class _Stay(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to the caller, who must see where each one goes."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


class _Page(HTMLParser):
    """The forms of a page, its title and its cancel link."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.title = ""
        self.cancel: str | None = None
        self._in_title = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note forms, their fields and the cancel link."""
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(values.get("action", "")))
        elif tag == "input" and self.forms and "name" in values:
            self.forms[-1].fields[values["name"]] = values.get("value", "")
        elif tag == "a" and values.get("href", "").endswith("/abort"):
            self.cancel = values["href"]
        self._in_title = tag == "title"

    def handle_data(self, data: str) -> None:
        """Note the title."""
        if self._in_title:
            self.title += data

    def handle_endtag(self, tag: str) -> None:
        """End the title."""
        if tag == "title":
            self._in_title = False


def _origin(address: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(address)
    return parts.scheme, parts.netloc
