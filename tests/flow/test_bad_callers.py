"""Whatever a local program sends, it is told what was wrong with it, and the others are answered."""

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.crash.scene import Process
from tests.crash.services import Sandbox
from tests.flow.bed import PATIENCE_SECONDS, Bed, account, drained, enrol, lease_of, memory_kib, until

GROWTH_KIB = 40 * 1024
PER_USER = 256
ENDS = b"Host: x\r\nConnection: close\r\n"
READ = b"GET /v1/tokens/mail HTTP/1.1\r\n" + ENDS + b"\r\n"


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with Bed(tmp_path_factory.mktemp("callers")) as made:
        yield made


@pytest.fixture(scope="module")
def daemon(bed: Bed, service: Sandbox) -> Process:
    bed.write(*account("mail", service))
    started = bed.up()
    enrol(started, service, "mail")
    return started


@pytest.fixture(autouse=True)
def well(bed: Bed, daemon: Process) -> Iterator[None]:
    """Before and after each test the daemon lives, a reader is answered, and nothing was a surprise."""
    yield
    assert daemon.runs
    assert lease_of(daemon, "mail").startswith("at-")
    assert not bed.events("bug")


def post(length: int | str, body: bytes = b"", more: bytes = b"") -> bytes:
    return b"POST /v1/tokens/mail/refused HTTP/1.1\r\n%bContent-Length: %b\r\n%b\r\n%b" % (
        ENDS, str(length).encode(), more, body,
    )  # fmt: skip


def get(target: str, more: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\n%b%b\r\n" % (target.encode(), ENDS, more)


BAD: dict[str, tuple[bytes, int, str, str]] = {
    "head too large": (get("/healthz", b"A: " + b"a" * 9000 + b"\r\n"), 431, "head-too-large", "8192 bytes"),
    "head without end": (b"GET /" + b"a" * 20_000, 431, "head-too-large", "8192 bytes"),
    "too many headers": (get("/healthz", b"A: b\r\n" * 99), 431, "head-too-large", "64 headers"),
    "body too large": (post(99_999_999, b"x" * 70_000), 413, "body-too-large", "may have 16384 bytes."),
    "length below zero": (post(-1), 400, "malformed", "Content-Length is no number"),
    "length in words": (post("many"), 400, "malformed", "Content-Length is no number"),
    "two lengths": (post(2, b"{}", b"Content-Length: 3\r\n"), 400, "malformed", "content-length is there more than"),
    "chunks": (get("/healthz", b"Transfer-Encoding: chunked\r\n"), 411, "length-required", "chunks are not taken"),
    "garbage": (bytes(range(256)) * 16, 400, "malformed", "A line ends with something else"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\n" * 99, 400, "malformed", "A line ends with"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version", "speaks HTTP/1.1"),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400, "malformed", "request line is not METHOD TARGET HTTP/1.1"),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: x\n\n", 400, "malformed", "something else than CR LF"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400, "malformed", "needs a Host header"),
    "broken escape": (get("/v1/tokens/%zz"), 400, "malformed", "broken escape"),
    "no JSON": (post(3, b"{a}"), 400, "bad-request", "The body is no JSON object"),
    "JSON without end": (post(16_000, b"[" * 16_000), 400, "bad-request", "The body is no JSON object"),
    "a misspelt parameter": (get("/v1/tokens/mail?min_tll=9"), 400, "bad-request", "Known here: min_ttl, wait."),
    "a wait without end": (get("/v1/tokens/mail?wait=inf"), 400, "bad-request", "wait: seconds from 0 to 60."),
    "a life nobody has": (get("/v1/tokens/mail?min_ttl=9999"), 422, "min-ttl-too-long", "at most 1800 s"),
    "unknown account": (get("/v1/tokens/nobody"), 404, "not-found", "no such thing here, or this program may not"),
    "unknown path": (get("/v2/tokens"), 404, "not-found", "no such thing here"),
    "a way out": (get("/v1/tokens/..%2f..%2fkey"), 404, "not-found", "no such thing here"),
    "wrong method": (READ.replace(b"GET", b"DELETE"), 405, "method-not-allowed", "This path takes GET."),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_told_in_a_problem_document(bed: Bed, daemon: Process, name: str) -> None:
    sent, status, kind, detail = BAD[name]
    [(told, document)] = answers(bed.talk(sent))
    assert (told, document["status"], document["type"]) == (status, status, f"urn:freshd:problem:{kind}")
    assert detail in document["detail"]
    assert document["title"]
    assert document["remedy"]


def answers(data: bytes) -> list[tuple[int, dict[str, Any]]]:
    """Status and body of each of a connection's answers."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        length = int(re.findall(rb"Content-Length: (\d+)", head)[0])
        found.append((int(head.split()[1]), json.loads(data[:length])))
        data = data[length:]
    return found


@pytest.mark.parametrize(
    ("words", "code", "cause"),
    [
        (["token", "nobody"], 77, "There is no such thing here, or this program may not use it."),
        (["token", "mail", "--min-ttl", "9999"], 64, "tokens of this account live 3600 s; at most 1800 s"),
        (["token", "mail", "--min-ttl", "soon"], 64, "--min-ttl takes seconds, such as --min-ttl 60"),
        (["refresh", "nobody"], 65, "the account 'nobody' is not configured"),
        (["explain", "nobody"], 77, "There is no such thing here, or this program may not use it."),
    ],
)
def test_the_command_line_says_it_too(bed: Bed, daemon: Process, words: list[str], code: int, cause: str) -> None:
    said = bed.token(*words[1:]) if words[0] == "token" else bed.run(*words)
    assert (said.code, said.out) == (code, "")
    assert cause in said.err
    assert "remedy:" in said.err or "usage:" in said.err


def test_a_request_in_single_bytes_is_a_request(bed: Bed, daemon: Process) -> None:
    [(status, _)] = answers(bed.talk(*(bytes([one]) for one in READ)))
    assert status == 200


def test_requests_in_one_piece_are_answered_in_their_order(bed: Bed, daemon: Process) -> None:
    one = b"GET /v1/tokens/mail HTTP/1.1\r\nHost: x\r\n\r\n"
    waits = b"GET /v1/accounts/mail HTTP/1.1\r\nHost: x\r\n\r\n"
    found = answers(bed.talk((one + waits) * 200 + get("/v1/tokens/nobody")))
    assert [status for status, _ in found] == [200] * 400 + [404]
    assert all(("access_token" in document) == (number % 2 == 0) for number, (_, document) in enumerate(found[:-1]))


def test_a_flood_is_cut_off_and_costs_no_memory(bed: Bed, daemon: Process) -> None:
    before = memory_kib(daemon.pid)
    for begin in (b"", b"POST /v1/accounts/mail/import HTTP/1.1\r\nHost: x\r\nContent-Length: 16000\r\n\r\n"):
        with connected(bed) as caller:
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                caller.sendall(begin + bytes(50 << 20))
            assert b" 400 " in drained(caller) or begin == b""
    assert memory_kib(daemon.pid) - before < GROWTH_KIB


def test_who_never_finishes_is_told_so_while_others_are_answered(bed: Bed, daemon: Process) -> None:
    with connected(bed) as idler, connected(bed) as teller:
        idler.sendall(b"GET /v1/tok")
        teller.sendall(post(100, b"{"))
        assert bed.token("mail").code == 0
        for slow in (idler, teller):
            [(status, document)] = answers(drained(slow))
            assert (status, document["type"]) == (408, "urn:freshd:problem:too-slow")


def test_a_crowd_is_told_that_it_is_one_and_the_rest_of_it_is_served(bed: Bed, daemon: Process) -> None:
    with ExitStack() as stack:
        busy = [stack.enter_context(connected(bed)) for _ in range(PER_USER)]
        for caller in busy:
            caller.sendall(b"GET /v1/tok")
        until("a crowd", lambda: bed.token("mail").code == 75)
        said = bed.token("mail")
        assert "hold as many busy connections as the daemon allows" in said.err
        assert "remedy: Keep one connection per program and use it again." in said.err
        [(status, document)] = answers(bed.talk(READ))
        assert (status, document["type"], document["retry_after"]) == (503, "urn:freshd:problem:crowded", 1.0)
        for caller in busy:
            caller.sendall(READ.removeprefix(b"GET /v1/tok"))
        assert {answers(drained(caller))[0][0] for caller in busy} == {200}
    until("room", lambda: bed.token("mail").code == 0)


def test_idle_connections_make_way_and_nobody_who_has_asked_goes_without_an_answer(bed: Bed, daemon: Process) -> None:
    """The daemon is held up meanwhile, so that it meets them all at once."""
    with ExitStack() as stack:
        idle = [stack.enter_context(connected(bed)) for _ in range(PER_USER)]
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            asking = [stack.enter_context(connected(bed)) for _ in range(400)]
            for caller in asking:
                caller.sendall(READ)
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        statuses = [[status for status, _ in answers(drained(caller))] for caller in asking]
        assert all(found in ([200], [503]) for found in statuses), statuses
        assert statuses.count([200]) >= PER_USER
        assert drained(idle[0]) == b""


def connected(bed: Bed) -> socket.socket:
    caller = socket.socket(socket.AF_UNIX)
    caller.settimeout(PATIENCE_SECONDS)
    caller.connect(str(bed.socket))
    return caller
