"""What is salvaged of a broken reply is part of what came, whatever came."""

from hypothesis import given
from hypothesis import strategies as st

from freshd.core.outcome import Reply
from freshd.providers.cut import BODY_LIMIT_BYTES, MARK, salvage, why_cut
from freshd.providers.form import fragment_of, object_of

PIECES = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK", b"HTTP/1.1 100 Continue", b"Transfer-Encoding: chunked"),
        *(b"\r\n", b"\r\n\r\n", b"\n", b"5\r\nhello", b"ffffffffff", b"{", b"\x00"),
    ]
)


@given(st.lists(PIECES | st.binary(max_size=8), max_size=12).map(b"".join))
def test_no_bytes_make_it_raise_and_nothing_is_invented(raw: bytes) -> None:
    reply = salvage(raw, "why")
    assert not reply.complete
    assert reply.headers[0] == (MARK, "why")
    assert len(reply.body) <= len(raw)


def test_no_more_is_kept_than_the_limit() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    assert len(salvage(head + b" " * 200_000, "why").body) == BODY_LIMIT_BYTES
    assert len(salvage(b" " * 200_000, "why").body) == BODY_LIMIT_BYTES


def test_many_interim_replies_are_no_deep_recursion() -> None:
    assert salvage(b"HTTP/1.1 103 Early\r\n\r\n" * 12_000, "why").status in (0, 103)


def test_a_whole_reply_was_not_cut_whatever_its_headers_say() -> None:
    assert why_cut(Reply(200, ((MARK, "forged"),), b"", complete=True)) == "cut short"


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_can_be_read_in_part(body: bytes, complete: bool) -> None:
    fragment_of(Reply(200, (), body, complete))
    object_of(Reply(200, (), body, complete))


def test_deep_nesting_is_no_deep_recursion() -> None:
    for opening in (b"[", b'{"a":'):
        assert fragment_of(Reply(200, (), b'{"a":' + opening * 60_000, complete=False)) == {}
