"""A `Secret` shows itself in nothing that Python makes of it, nor do errors that were raised around one."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import json
import logging
import os
import pickle
import pprint
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import hypothesis.strategies as st
import pydantic
import pytest
import rich.console
import rich.pretty
import rich.traceback
import structlog
from hypothesis import given

from freshd.core.mask import MASK, mask
from freshd.core.model import Grant, Lease, Moment, Secret
from freshd.core.outcome import NotSent, Reply
from freshd.log import Log
from freshd.providers.http import Call, Http
from tests.canary import search

PLAIN: Final = "whisper-Zq7 \"'%s{}\n"
SECRET: Final = Secret(PLAIN)
NOW: Final = Moment(1.0, 1.0, "boot")
LEASE: Final = Lease("mail", 1, SECRET, NOW, 60.0, more_secrets={"id_token": SECRET})


class Model(pydantic.BaseModel):
    """As strict as the daemon's own."""

    model_config = pydantic.ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)
    secret: Secret
    number: int = 0


def rich_text(value: object) -> str:
    console = rich.console.Console(file=(out := io.StringIO()), width=400)
    console.print(rich.pretty.Pretty(value))
    console.print(value)
    return out.getvalue()


SHOWN: Final[dict[str, Callable[[Any], object]]] = {
    "repr": repr, "str": str, "ascii": ascii, "format": format,
    "f-string": lambda one: f"{one}", "f-string, repr": lambda one: f"{one!r}",
    "percent s": lambda one: "%s" % one, "percent r": lambda one: "%r" % one,  # noqa: UP031
    "percent, named": lambda one: "%(a)s" % {"a": one},  # noqa: UP031
    "str.format": "{0} {0!r} {0!a}".format,
    "in a list": lambda one: str([one, {one: one}, (one,)]), "pprint": pprint.pformat, "rich": rich_text,
    "logging": lambda one: logging.LogRecord("a", 10, "p", 1, "%s %r", (one, one), None).getMessage(),
    "a model": lambda one: Model.model_construct(secret=one), "an error": ValueError,
    "an error's repr": lambda one: repr(KeyError(one)), "its class's": lambda one: dir(type(one)),
    "json, by default=str": lambda one: json.dumps([one], default=str),
    "json, by default=repr": lambda one: json.dumps([one], default=repr),
    "structlog": lambda one: structlog.processors.JSONRenderer()(None, "", {"a": one, "b": [one]}),
    "the mask": lambda one: mask({"a": one, "b": [one], "c": {"d": one}}),
}  # fmt: skip
REFUSED: Final[dict[str, Callable[[Any], object]]] = {
    "pickle": pickle.dumps, "pickle, old": lambda one: pickle.dumps(one, 0), "copy": copy.copy,
    "deepcopy": copy.deepcopy, "json": json.dumps, "vars": vars, "getstate": lambda one: one.__getstate__(),
    "asdict": lambda _one: dataclasses.asdict(LEASE), "astuple": lambda _one: dataclasses.astuple(LEASE),
    "a width": lambda one: f"{one:>40}", "len": len, "iter": iter, "bytes": bytes, "order": lambda one: one < SECRET,
    "joining": lambda one: "-".join([one] * 2), "adding": lambda one: "a" + one,
}  # fmt: skip


@pytest.mark.parametrize("way", SHOWN)
def test_I10_what_is_shown_of_a_secret_is_a_tag(way: str) -> None:
    assert "whisper" not in str(SHOWN[way](SECRET))


@pytest.mark.parametrize("way", REFUSED)
def test_I10_what_would_carry_a_secret_elsewhere_is_refused_and_the_refusal_does_not_show_it(way: str) -> None:
    with pytest.raises((TypeError, AttributeError)) as caught:
        REFUSED[way](SECRET)
    assert "whisper" not in "".join(traceback.format_exception(caught.value))


def test_I10_what_holds_a_secret_shows_no_more_of_it() -> None:
    grant = Grant("l", None, {"refresh_token": SECRET}, NOW, NOW)  # type: ignore[arg-type]
    assert "whisper" not in repr(LEASE) + repr(grant) + repr(dataclasses.replace(LEASE, generation=2))


@given(st.text(), st.text())
def test_equality_and_hash_are_those_of_the_values(one: str, two: str) -> None:
    assert (Secret(one) == Secret(two)) is (one == two)
    assert Secret(one) == Secret(one)
    assert hash(Secret(one)) == hash(Secret("".join(list(one))))
    assert Secret(one) != one


def test_values_are_compared_by_what_takes_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a comparison of its own only the length may be learnt: it is left to `hmac.compare_digest` whole."""
    import hmac

    asked: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, two: bytes) -> bool:
        asked.append((one, two))
        return one == two

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert Secret("abc") != Secret("abd")
    assert Secret("é") == Secret("é")
    assert asked == [(b"abc", b"abd"), ("é".encode(), "é".encode())]


def test_I10_a_tag_means_nothing_outside_of_its_process_whatever_the_seed_of_hashes() -> None:
    """With PYTHONHASHSEED=0 a tag made of `hash` would be the same everywhere: a password could be guessed from it."""
    code = "from freshd.core.model import Secret; print(Secret('a'), Secret('a'), Secret('b'))"
    seen = set()
    for _ in range(2):
        environ = {**os.environ, "PYTHONHASHSEED": "0"}
        done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
        one, same, other = done.stdout.split()
        assert one == same != other
        seen.add(one)
    assert len(seen) == 2


# -- errors around a secret -------------------------------------------------------------------------------------------


def fall_over(plain: str, wrapped: Secret) -> None:
    local = {"plain": plain, "wrapped": wrapped}
    raise RuntimeError(f"fell over {len(local)}")


def test_I10_no_traceback_of_ours_shows_locals(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    log = Log("json", "debug", stream)
    from freshd.core.events import Event

    try:
        fall_over(PLAIN, SECRET)
    except RuntimeError as error:
        log.tell(Event("bug", None, {"kind": type(error).__name__, "error": error, "exc_info": True}))  # type: ignore[dict-item]
        log.tell(Event("bug", None, {"kind": "x", "stack": traceback.format_exc()}))
    assert stream.getvalue().count("\n") == 2
    assert "whisper" not in stream.getvalue() + capsys.readouterr().err


def test_a_traceback_with_locals_shows_tags_at_most() -> None:
    """What somebody might switch on one day: it shows tags; what was revealed, it would show."""
    text, out = "", io.StringIO()
    try:
        fall_over("x", SECRET)
    except RuntimeError as error:
        text = json.dumps(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=True)((type(error), error, error.__traceback__))
        )
        console = rich.console.Console(file=out, width=200)
        console.print(
            rich.traceback.Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
        )
    assert "Secret(#" in text
    assert "whisper" not in text + out.getvalue()


def test_I10_what_does_not_validate_is_not_shown() -> None:
    """Pydantic's own text has the input: freshd makes its sentences of type and place alone (`core.problem`)."""
    from freshd.core.problem import explain

    with pytest.raises(pydantic.ValidationError) as caught:
        Model(secret=SECRET, number="whisper-in-a-field")  # type: ignore[arg-type]
    assert "whisper-in-a-field" in str(caught.value)
    assert "whisper-in-a-field" not in repr(explain(caught.value.errors()))


async def test_I10_an_address_with_a_code_in_it_is_in_no_reason_of_a_call() -> None:
    """Aiohttp's errors have the address; authorization codes and client secrets may stand in it."""
    http, url = Http(), "http://127.0.0.1:1/token?code=whisper-code&client_secret=whisper-secret"
    with pytest.raises(aiohttp.ClientError) as caught:
        async with aiohttp.ClientSession() as session:
            await session.get("http://whisper-host.invalid:bad/?code=whisper-code")
    assert "whisper" in repr(caught.value)
    for address in (url, "http://[whisper-code/", "http://whisper.invalid/?code=whisper-code"):
        ended = await http.call(Call("GET", address))
        assert isinstance(ended, NotSent)
        assert "whisper" not in repr(Call("GET", address, {"Authorization": "whisper"}, b"whisper")) + ended.reason
    assert "whisper" not in repr(Reply(303, (("Location", url), ("Set-Cookie", "whisper")), b"whisper"))
    await http.aclose()


# -- the second net ---------------------------------------------------------------------------------------------------

KEY: Final = "-----BEGIN EC PRIVATE KEY-----\nMHwhisperQEEI\n-----END EC PRIVATE KEY-----"
MASKED: Final = {
    "a redirect": "GET http://127.0.0.1:8000/callback?code=whisper-1&state=whisper-2 failed",
    "a fragment": "https://a.example/#access_token=whisper-1&token_type=x",
    "a signed call": "https://a.example/?app=1&client_secret=whisper-1&refresh_token=whisper",
    "a header": "Authorization: Bearer whisper-whisper", "a client": "Basic Y2FuYXJ5OmNhbmFyeQ==",
    "a key": f"read {KEY}", "a key that was cut": KEY[:45], "two keys": f"{KEY} {KEY}",
}  # fmt: skip
KEYS: Final = (
    "private_key", "secret_key", "api_key", "vault_key", "passphrase", "assertion", "client_assertion", "id_token",
    "CLIENT_SECRET",
)  # fmt: skip


@pytest.mark.parametrize("look", MASKED)
def test_I10_what_looks_like_a_secret_is_masked_within_other_words(look: str) -> None:
    [told] = mask({"reason": f"it said: {MASKED[look]}"}).values()
    assert "whisper" not in told
    assert "Y2Fu" not in told
    assert MASK in told
    assert told.startswith("it said: ")


@pytest.mark.parametrize("key", KEYS)
def test_I10_what_is_called_a_secret_is_masked(key: str) -> None:
    assert mask({key: "whisper"}) == {key: MASK}


def test_an_address_without_secrets_is_told_whole() -> None:
    line = {
        "endpoint": "https://a.example/token?app=1&status=2",
        "reason": "error=invalid_grant&code_is=x",
        "code": "20029",
    }
    assert mask(line) == line


def test_masking_takes_no_longer_for_what_somebody_chose_with_care() -> None:
    """A service chooses its texts: nothing in them may make the masking slow.  Ended by the test's own deadline."""
    for piece in (
        "-----BEGIN PRIVATE KEY-----",
        "eyJ" + "a" * 20 + ".",
        "?code=",
        "bearer ",
        "&a_token",
        "-----BEGIN ",
    ):
        mask({"reason": piece * 20_000})


def test_the_search_itself_knows_what_is_masked() -> None:
    with contextlib.suppress(search.Seen):
        search.said("a log", KEY)
        pytest.fail("a private key was not seen")
