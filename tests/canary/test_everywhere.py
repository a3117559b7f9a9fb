"""Secrets of any text through an account's whole life, at a service that says them back: none shows in any output.

Every secret has the run's mark inside, between texts that are hard to write: the search knows the mark in any writing,
also where a text was cut.  One daemon lives through all examples; the commands run in this process.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import itertools
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import hypothesis.strategies as st
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings

from freshd.cli.verbs import cli
from tests.canary import search
from tests.canary.mark import Kind, mark
from tests.crash.scene import Connection, Process, Told
from tests.crash.services import Sandbox
from tests.flow.bed import Bed, account, until

EXAMPLES: Final = 12
HARD: Final = st.one_of(
    st.text(max_size=12),
    st.text("\r\n\t \"'\\%&=+?#/<>{}$;`\0\x1b\x7f", max_size=12),
    st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=", max_size=60),
    st.sampled_from(["%s%(a)s{0}{a!r}", "rt-", "eyJhbGciOi.", "\u202e\u2028", "Bearer ", "\ud83d\ude00", "é" * 20]),
)


@dataclass(frozen=True, slots=True)
class Cast:
    """What one account's life is made of."""

    refresh: tuple[str, str, str]
    access: tuple[str, str]
    client: str
    echo: str


def secret(kind: Kind, head: str) -> st.SearchStrategy[str]:
    count = itertools.count()
    return st.tuples(HARD, HARD).map(lambda parts: f"{head}{parts[0]}{mark(kind)}{next(count)}{parts[1]}")


HELD: Final = secret(Kind.HELD, "")
PRINTED: Final = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
LENT: Final = st.tuples(PRINTED, PRINTED).map(lambda parts: f"{parts[0]}{mark(Kind.LENT)}{parts[1]}")
ECHOES: Final = ("description", "code", "client", "name", "page", "header", "access")
"""Where the service says a secret back: this one's refresh token, but for the client's secret and the access token."""
CASTS: Final = st.builds(
    Cast, st.tuples(HELD, HELD, HELD), st.tuples(LENT, LENT),
    # What rests in a file is one line.
    HELD.map(lambda text: "".join(one for one in text if one.isprintable())),
    st.sampled_from(ECHOES),
)  # fmt: skip


@dataclass
class Echo:
    """A token endpoint that hands out what it was told to and then says back what it was shown."""

    url: str = ""
    give: list[dict[str, object]] = field(default_factory=list)
    echo: str = "description"
    shown: list[Mapping[str, str]] = field(default_factory=list)
    lent: str = ""

    def answer(self, form: Mapping[str, str]) -> tuple[int, str, dict[str, str], bytes]:
        self.shown.append(form)
        if self.give:
            return 200, "application/json", {}, json.dumps({"token_type": "bearer", **self.give.pop(0)}).encode()
        back = form.get("client_secret", "") if self.echo == "client" else form.get("refresh_token", "")
        back = self.lent if self.echo == "access" else back
        told: dict[str, object] = {"error": "invalid_grant"}
        if self.echo == "page":
            return 502, "text/html", {}, f"<h1>{back}</h1>".encode("utf-8", "replace")
        if self.echo in ("code", "client", "access"):
            told["error"] = back
        if self.echo == "name":
            told |= {"error": "strange", back: 1}
        told["error_description"] = f"no such token: {back} / {json.dumps(form)}"
        headers = (
            {"X-Said": back.encode("ascii", "ignore").decode().translate(_ONE_LINE)} if self.echo == "header" else {}
        )
        return 400, "application/json", headers, json.dumps(told).encode()


_ONE_LINE: Final = dict.fromkeys((*range(32), 127))


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    made = Echo()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}
            status, kind, more, body = made.answer(form)
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/token"
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory, echo: Echo) -> Iterator[Bed]:
    with Bed(tmp_path_factory.mktemp("everywhere")) as made:
        fake: Any = Sandbox()
        lines = [line for line in account("mail", fake) if not line.startswith("issuer")]
        file = made.folder / "client.secret"
        file.touch(0o600)
        lines += [f'token_endpoint = "{echo.url}"', f'client_secret = {{ file = "{file}" }}']
        made.write(*lines, 'client_auth = "client_secret_post"')
        yield made


@pytest.fixture(scope="module")
def daemon(bed: Bed) -> Process:
    return bed.up()


class Stream:
    """The stream of events, read to the end of what there is."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(str(path))
        self._socket.sendall(b"GET /v1/watch HTTP/1.1\r\nHost: freshd\r\n\r\n")
        self.said = b""

    def read(self, until_there: bytes) -> bytes:
        while until_there not in self.said:
            self.said += self._socket.recv(65536)
        self._socket.settimeout(0.01)
        with contextlib.suppress(TimeoutError):
            while part := self._socket.recv(65536):
                self.said += part
        return self.said

    def close(self) -> None:
        self._socket.close()


def raw(path: Path, target: str) -> bytes:
    """The body of any answer."""
    connection = Connection(path, 20)
    try:
        connection.request("GET", target)
        return connection.getresponse().read()
    except http.client.HTTPException:
        return b""
    finally:
        connection.close()


LOOKS: Final = (
    ("status", "--json"), ("status", "mail"), ("explain", "mail"), ("explain", "mail", "--json"), ("doctor", "mail"),
    ("doctor", "mail", "--json"), ("watch", "--once", "--json"), ("check",),
)  # fmt: skip
ENDS: Final = frozenset({"account.parked", "code.unknown", "doubt.opened", "refresh.rejected"})
TARGETS: Final = ("/v1/accounts", "/v1/accounts/mail", "/v1/accounts/mail/history", "/metrics", "/healthz")


def live(daemon: Process, bed: Bed, echo: Echo, cast: Cast) -> None:
    """Import, renew, hand out, refuse, park.  What is no token may end it early: then it did."""
    (bed.folder / "client.secret").write_text(cast.client)
    answers = zip(cast.access, cast.refresh[1:], strict=True)
    echo.give = [{"access_token": lent, "refresh_token": held, "expires_in": 600} for lent, held in answers]
    echo.echo, echo.lent = cast.echo, cast.access[1]
    with contextlib.suppress(Told):
        daemon.operate("forget", "mail")
    with contextlib.suppress(Told):
        daemon.operate("import", "mail", secrets={"refresh_token": cast.refresh[0]})
    with contextlib.suppress(Told):
        daemon.operate("refresh", "mail")
    with contextlib.suppress(Told):
        lease = daemon.ask("GET", "/v1/tokens/mail?wait=0&min_ttl=0")
        daemon.ask("POST", "/v1/tokens/mail/refused", {"fingerprint": lease["fingerprint"], "status": 401})
    echo.give = []
    with contextlib.suppress(Told):
        daemon.operate("refresh", "mail")
    with contextlib.suppress(Told):
        daemon.operate("import", "mail", secrets={cast.refresh[2]: cast.refresh[1]})
    with contextlib.suppress(Told):
        daemon.operate("enrol-finish", "mail", session=cast.refresh[1], code=cast.refresh[2], state=cast.client)
    with contextlib.suppress(Told):
        daemon.ask("POST", "/v1/tokens/mail/refused", {"fingerprint": cast.refresh[0], "code": cast.refresh[1]})


def look_at(bed: Bed, daemon: Process, since: int) -> None:
    """Everything that can be asked for, and everything that lies about.  `since`: where the log had ended before."""
    for target in TARGETS:
        search.said(target, raw(bed.socket, target))
    for words in LOOKS:
        done = CliRunner().invoke(cli, ["--config", str(bed.config), "--socket", str(bed.socket), *words])
        search.said(f"freshd {' '.join(words)}", done.output)
        assert done.output
    search.said("the log", bed.log.read_bytes()[since:])
    assert search.in_folder(bed.state) == []
    assert search.of_process(daemon.pid) == []
    assert not bed.events("bug")


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(cast=CASTS)
def test_I10_no_secret_of_any_text_shows_in_any_output(bed: Bed, daemon: Process, echo: Echo, cast: Cast) -> None:
    stream, size = Stream(bed.socket), bed.log.stat().st_size
    try:
        live(daemon, bed, echo, cast)
        search.said("the stream of events", stream.read(b"mail"))
    finally:
        stream.close()
    look_at(bed, daemon, size)


@pytest.mark.parametrize("echo_at", ECHOES)
def test_I10_what_a_service_says_back_is_not_repeated_where_nothing_in_its_letters_gives_it_away(
    bed: Bed, daemon: Process, echo: Echo, echo_at: str
) -> None:
    """Secrets that could be words of a code; and the lives above are whole ones: renewed, refused, parked."""
    plain = [f"x{mark(Kind.HELD)}{number}" for number in range(4)]
    cast = Cast((plain[0], plain[1], plain[2]), (f"a{mark(Kind.LENT)}", f"b{mark(Kind.LENT)}"), plain[3], echo_at)
    seen, before, size = len(echo.shown), len(bed.events()), bed.log.stat().st_size
    live(daemon, bed, echo, cast)
    until("the service refused", lambda: len(echo.shown) > seen + 2)
    told = until("and that was told", lambda: [one for one in bed.events()[before:] if one["event"] in ENDS])
    assert [form["refresh_token"] for form in echo.shown[seen:]][:3] == [plain[0], plain[1], plain[2]]
    assert {form["client_secret"] for form in echo.shown[seen:]} == {plain[3]}
    assert told
    look_at(bed, daemon, size)
