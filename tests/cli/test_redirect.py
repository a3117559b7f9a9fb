"""The listener takes one answer, from anybody's browser, if it is the right one."""

from collections.abc import Iterator

import pytest

from freshd.cli.redirect import Listener, Request
from tests.cli.test_enrol import fetch

REQUEST = "https://service.example/authorize?state=right&redirect_uri="


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    found.expect(Request.of(REQUEST + found.redirect_uri))
    yield found
    found.close()


def test_the_right_answer_is_taken(listener: Listener) -> None:
    assert fetch(f"{listener.redirect_uri}?code=c&state=right").status == 200
    assert listener.wait(0) == {"code": "c", "state": "right"}


@pytest.mark.parametrize("query", ["code=c", "code=c&state=wrong", "code=c&state=", "state=right", ""])
def test_anything_else_is_not(listener: Listener, query: str) -> None:
    assert fetch(f"{listener.redirect_uri}?{query}").status == 400
    assert listener.wait(0) is None


def test_a_request_without_state_has_no_answer() -> None:
    assert Request.of("https://service.example/").answer_in("/callback?code=c&state=") is None


def test_another_path_or_host_finds_nothing(listener: Listener) -> None:
    assert fetch(f"http://{listener.authority}/favicon.ico").status == 404
    rebound = fetch(f"{listener.redirect_uri}?code=c&state=right", host="evil.example")
    assert rebound.status == 404
    assert listener.wait(0) is None


def test_before_the_request_is_known_nothing_is_taken() -> None:
    early = Listener()
    assert fetch(f"{early.redirect_uri}?code=c&state=").status == 404
    early.close()


def test_the_way_to_the_service_is_shown_once(listener: Listener) -> None:
    first, second = fetch(listener.start_url), fetch(listener.start_url)
    assert (first.status, first.headers["Location"]) == (303, REQUEST + listener.redirect_uri)
    assert second.status == 410
    assert "Location" not in second.headers


def test_pages_are_kept_by_nobody_and_run_nothing(listener: Listener) -> None:
    headers = fetch(listener.redirect_uri).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Referrer-Policy"] == "no-referrer"
