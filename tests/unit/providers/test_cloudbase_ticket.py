"""The ticket of a custom sign-in, and the cloud's request signature."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.util import urlsafe_b64decode

from freshd.errors import NotPossible
from freshd.providers.cloudbase import tc3, ticket
from freshd.providers.form import claims_of
from tests.unit.providers.cloudbase_parts import ENV, jwt, key_file, private_key

NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize("bits", [1024, 2048])
def test_a_ticket_is_signed_by_the_key_and_counts_milliseconds(bits: int) -> None:
    made = ticket.made(ticket.key_file(key_file(bits), ENV), ENV, "bot-0001", NOW_MS)
    key_id, mark, signed = made.partition("/@@/")
    assert (key_id, mark) == ("key-1", "/@@/")
    head, body, signature = signed.split(".")
    assert json.loads(urlsafe_b64decode(head.encode())) == {"alg": "RS256", "typ": "JWT"}
    assert claims_of(signed) == {
        "alg": "RS256",
        "env": ENV,
        "iat": NOW_MS,
        "exp": NOW_MS + 600_000,
        "uid": "bot-0001",
        "refresh": 3_600_000,
        "expire": NOW_MS + 604_800_000,
    }
    public = private_key(bits).public_key()
    public.verify(urlsafe_b64decode(signature.encode()), f"{head}.{body}".encode(), PKCS1v15(), hashes.SHA256())


def other_key() -> str:
    key = generate_ec_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


WRONG_FILES: list[tuple[str, str]] = [
    ("", "no JSON object"),
    ("[1]", "no JSON object"),
    ("[" * 100_000, "no JSON object"),
    ("{}", "lacks private_key_id, private_key, env_id"),
    (key_file(private_key_id=""), "lacks private_key_id"),
    (key_file(private_key=7), "lacks private_key"),
    (key_file(env_id=None), "lacks env_id"),
    (key_file(env_id="other-env"), "another environment"),
    (key_file(private_key="-----BEGIN RSA PRIVATE KEY-----\nZmFrZQ==\n-----END RSA PRIVATE KEY-----"), "PEM"),
    (key_file(private_key="s3cret-words"), "PEM"),
    (key_file(private_key=other_key()), "no RSA key"),
    (key_file(private_key_id="a/@@/b"), "private_key_id"),
]


@pytest.mark.parametrize(("text", "told"), WRONG_FILES)
def test_a_key_file_is_judged_before_any_request_and_none_of_it_is_told(text: str, told: str) -> None:
    with pytest.raises(NotPossible) as caught:
        ticket.key_file(text, ENV)
    assert told in caught.value.cause
    assert "s3cret" not in caught.value.cause + caught.value.remedy


def from_elsewhere(**over: Any) -> str:
    claims = {"env": ENV, "uid": "bot-0001", "exp": NOW_MS + 60_000, **over}
    return "key-1/@@/" + jwt(**{name: value for name, value in claims.items() if value is not None})


def test_a_ticket_from_elsewhere_is_taken_with_its_line_end() -> None:
    assert ticket.foreign(from_elsewhere() + "\n", ENV, "bot-0001", NOW_MS) == from_elsewhere()
    assert ticket.foreign(from_elsewhere(uid="other"), ENV, None, NOW_MS) == from_elsewhere(uid="other")


WRONG_TICKETS: list[tuple[str, str]] = [
    ("", "no ticket"),
    ("<html>gar\x00bage</html>", "no ticket"),
    (from_elsewhere() + "\n" + from_elsewhere(), "more than one line"),
    ("warning: key is old\n" + from_elsewhere(), "more than one line"),
    ("key-1/@@/not-a-jwt", "no ticket"),
    (from_elsewhere().replace("/@@/", "/@/"), "no ticket"),
    ("k" * 20_000, "no ticket"),
    (from_elsewhere(env="other"), "another environment"),
    (from_elsewhere(uid="bot-0002"), "another user"),
    (from_elsewhere(exp=None), "no end"),
    (from_elsewhere(exp="soon"), "no end"),
    (from_elsewhere(exp=NOW_MS // 1000 + 60), "over"),
    (from_elsewhere(exp=NOW_MS), "over"),
]


@pytest.mark.parametrize(("text", "told"), WRONG_TICKETS)
def test_a_ticket_from_elsewhere_is_looked_at_before_it_is_sent(text: str, told: str) -> None:
    with pytest.raises(NotPossible, match=told):
        ticket.foreign(text, ENV, "bot-0001", NOW_MS)


@pytest.mark.parametrize(
    ("uid", "fits"),
    [("bot-0001", True), ("a_-#@~=*(){}[]:.,<>+", True), ("abc", False), ("a" * 33, False), ("bot 0001", False),
     ("bot/0001", False), ("bötchen", False)],
)  # fmt: skip
def test_a_user_id_has_the_form_that_the_service_takes(uid: str, fits: bool) -> None:
    assert (ticket.UID.fullmatch(uid) is not None) is fits


PUBLISHED = tc3.Request(
    "cvm.tencentcloudapi.com", "/", "application/json; charset=utf-8",
    b'{"Limit": 1, "Filters": [{"Values": ["\\u672a\\u547d\\u540d"], "Name": "instance-name"}]}', service="cvm",
)  # fmt: skip


def test_the_cloud_signature_is_that_of_the_published_example() -> None:
    signed = tc3.signature(PUBLISHED, "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", 1551113065)
    assert signed == "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"


def test_the_cloud_signature_repeats_its_moment_one_second_back_and_a_temporary_keys_token() -> None:
    keys = tc3.Keys("AKIDfake", "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", "tmp-FAKE")
    said = tc3.authorization(PUBLISHED, keys, 1551113066.9)
    assert said == (
        "TC3-HMAC-SHA256 Credential=AKIDfake/2019-02-25/cvm/tc3_request, SignedHeaders=content-type;host, "
        "Signature=72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168, Timestamp=1551113065, "
        "Token=tmp-FAKE"
    )
    assert "Token=" not in tc3.authorization(PUBLISHED, tc3.Keys("AKIDfake", "k"), 1551113066.0)
