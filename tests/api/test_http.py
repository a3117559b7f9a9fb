"""The parser: whatever two readers might read in two ways is refused, and pieces change nothing."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freshd.api.http import MAX_BODY_BYTES, MAX_HEAD_BYTES, Request, take
from freshd.api.problem import Problem

HEAD = b"GET /v1/tokens/a HTTP/1.1\r\nHost: x\r\n"


def first(data: bytes) -> Request | Problem | None:
    return take(bytearray(data))


def status(data: bytes) -> int | None:
    found = first(data)
    return found.status if isinstance(found, Problem) else None


def parsed(data: bytes) -> Request:
    found = first(data)
    assert isinstance(found, Request)
    return found


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),  # bare LF
        (b"GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n", 400),  # bare CR
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: x\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
        (b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET a:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /?a=1&a=2 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /?a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505),
        (HEAD + b"Content-Length: 1\r\n\r\nx", 400),  # a body on GET
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \xb2\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", 417),
        (HEAD + b"".join(b"A%d: x\r\n" % number for number in range(64)) + b"\r\n", 431),
        (HEAD + b"A: " + b"x" * MAX_HEAD_BYTES, 431),
        (HEAD + b"A: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
        (b"\n", 400),
    ],
)
def test_what_is_no_clear_request_is_refused(data: bytes, expected: int) -> None:
    assert status(data) == expected


def test_a_head_may_have_its_full_size() -> None:
    filler = MAX_HEAD_BYTES - len(HEAD) - len(b"A: ")
    assert parsed(HEAD + b"A: " + b"x" * filler + b"\r\n\r\n").keep
    assert status(HEAD + b"A: " + b"x" * (filler + 5) + b"\r\n\r\n") == 431


@pytest.mark.parametrize("target", [b"/v1/tokens/a%2Fb?min_ttl=6%30", b"http://host:80/v1/tokens/a%2Fb?min_ttl=60"])
def test_path_and_query_are_decoded_after_they_are_cut(target: bytes) -> None:
    found = parsed(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert found.segments == ("v1", "tokens", "a/b")
    assert found.query == {"min_ttl": "60"}


@pytest.mark.parametrize(
    ("line", "keep"), [(b"", True), (b"Connection: Close\r\n", False), (b"Connection: x, close\r\n", False)]
)
def test_a_connection_is_kept_unless_the_client_says_otherwise(line: bytes, keep: bool) -> None:
    assert parsed(HEAD + line + b"\r\n").keep is keep


def test_http_1_0_needs_no_host_and_is_not_kept() -> None:
    assert parsed(b"GET / HTTP/1.0\r\n\r\n").keep is False


def test_what_follows_a_request_stays_in_the_buffer() -> None:
    buffer = bytearray(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" + HEAD)
    found = take(buffer)
    assert isinstance(found, Request)
    assert found.body == b"{}"
    assert bytes(buffer) == HEAD


def results(pieces: list[bytes]) -> list[object]:
    """Every request, up to the first refusal, when the bytes arrive in these pieces."""
    found: list[object] = []
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while True:
            one = take(buffer)
            if one is None:
                break
            found.append(one)
            if isinstance(one, Problem):
                return found
    return found


FRAGMENTS = st.sampled_from(
    [
        b"GET /v1/tokens/a HTTP/1.1\r\n", b"POST /v1/tokens/a/refused HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n", b"\n",
        b"\r", b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"abc", b"Connection: close\r\n",
        b"Transfer-Encoding: chunked\r\n", b" folded\r\n", b"A: b\r\n", b"x" * 3000, b"\x00", b"GET /%4", b":",
    ]
)  # fmt: skip
STREAMS = st.lists(FRAGMENTS | st.binary(max_size=8), max_size=12).map(b"".join)


@given(data=STREAMS, cuts=st.lists(st.integers(0, 12000), max_size=6))
@example(data=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", cuts=[15, 16, 26, 27])
@example(data=b"A\r\n" * 2731 + b"\n", cuts=[8192, 8193, 8194, 8195, 8196])
@example(data=b"x" * 8195 + b"\r\n\r\n", cuts=[8196])
@example(data=b"x" * 8192 + b"\r\n\r\n", cuts=[8193, 8194, 8195])
def test_however_the_bytes_are_cut_the_answer_is_the_same(data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    whole = results([data])
    assert results(pieces) == whole
    if len(data) < 500:
        assert results([data[at : at + 1] for at in range(len(data))]) == whole


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    results([data, b"\r\n\r\n"])
