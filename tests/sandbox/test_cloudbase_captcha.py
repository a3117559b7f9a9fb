"""CloudBase's captchas: the picture, the page, the token, and where it is looked for."""

import base64
import struct
import urllib.parse

import pytest

from freshd.sandbox.cloudbase.constants import Gate
from freshd.sandbox.cloudbase.picture import LETTERS, data_uri, gif
from tests.sandbox.cloudbase_bed import V1, Bed, refused

BACK = "https://app.example/back?x=1"


@pytest.fixture
def bed() -> Bed:
    return Bed()


def unpacked(data: bytes, least_bits: int) -> list[int]:
    """LZW as any reader of GIFs does it."""
    clear, end = 1 << least_bits, (1 << least_bits) + 1
    stream, at, bits = int.from_bytes(data, "little"), 0, least_bits + 1
    table: list[list[int]] = []
    found: list[int] = []
    last: list[int] | None = None
    while True:
        code, at = stream >> at & ((1 << bits) - 1), at + bits
        if code == end:
            return found
        if code == clear:
            table, bits, last = [[one] for one in range(clear)] + [[], []], least_bits + 1, None
            continue
        entry = table[code] if code < len(table) else [*(last or []), (last or [0])[0]]
        found += entry
        if last is not None:
            table.append([*last, entry[0]])
            if len(table) == 1 << bits and bits < 12:
                bits += 1
        last = entry


def drawn(picture: bytes) -> list[str]:
    """The rows of a GIF as text."""
    assert picture[:6] == b"GIF89a"
    width, height, flags = struct.unpack("<HHB", picture[6:11])
    at = 13 + 3 * (2 << (flags & 7))
    assert picture[at : at + 1] == b","
    least_bits, at, data = picture[at + 10], at + 11, b""
    while picture[at]:
        data, at = data + picture[at + 1 : at + 1 + picture[at]], at + 1 + picture[at]
    assert picture[at:] == b"\0;"
    dots = unpacked(data, least_bits)
    assert len(dots) == width * height
    return ["".join(".#"[dot] for dot in dots[row * width : (row + 1) * width]) for row in range(height)]


def test_a_picture_shows_its_letters() -> None:
    assert [row[::4].strip(".") for row in drawn(gif("HE"))[8:36:4]] == [
        "#...#.#####",
        "#...#.#",
        "#...#.#",
        "#####.####",
        "#...#.#",
        "#...#.#",
        "#...#.#####",
    ]


def test_every_letter_has_a_picture_of_its_own() -> None:
    assert len({gif(one) for one in LETTERS}) == len(LETTERS)


def test_a_picture_is_small_and_comes_in_its_address(bed: Bed) -> None:
    said = bed.post(f"{V1}/captcha/data", {"state": "POST:/v1/signin", "redirect_uri": ""}).json
    head, _, body = said["data"].partition(",")
    assert (head, said["type"], said["expires_in"]) == ("data:image/gif;base64", "image", 300)
    assert len(drawn(base64.b64decode(body))) == 44
    assert len(body) < 16_000
    (waiting,) = bed.environment.captchas.open(bed.now)
    assert said["data"] == data_uri(str(waiting["answer"]))


def test_a_right_answer_earns_a_token_whatever_its_case(bed: Bed) -> None:
    picture, answer = bed.picture()
    said = bed.post(f"{V1}/captcha/data/verify", {"token": picture, "key": answer.lower()})
    assert (said.status, said.json["expires_in"]) == (200, 600)


def test_a_wrong_answer_ends_the_picture(bed: Bed) -> None:
    picture, answer = bed.picture()
    wrong = bed.post(f"{V1}/captcha/data/verify", {"token": picture, "key": "zzzz"})
    assert (wrong.json["error"], wrong.json["error_code"]) == ("invalid_captcha", 4001)
    again = bed.post(f"{V1}/captcha/data/verify", {"token": picture, "key": answer})
    assert (again.json["error"], again.json["error_code"]) == ("captcha_expired", 4002)


def test_a_picture_is_over_in_five_minutes(bed: Bed) -> None:
    picture, answer = bed.picture()
    bed.now += 300
    said = bed.post(f"{V1}/captcha/data/verify", {"token": picture, "key": answer})
    assert said.json["error"] == "captcha_expired"


def opened(bed: Bed) -> str:
    said = bed.post(f"{V1}/captcha/init", {"redirect_uri": BACK, "state": "st"}).json
    assert said["expires_in"] == 600
    challenge: str = urllib.parse.parse_qs(urllib.parse.urlsplit(said["url"]).query)["challenge"][0]
    return challenge


def came_back(place: str | None) -> dict[str, str]:
    assert place is not None
    assert place.startswith("https://app.example/back?")
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(place).query))


def test_a_page_sends_the_browser_back_with_a_token(bed: Bed) -> None:
    bed.set(CAPTCHA_FOR=["signin"])
    challenge = opened(bed)
    told = came_back(bed.levers.visit(challenge))
    assert (told["x"], told["state"], told["expires_in"]) == ("1", "st", "600")
    assert bed.signin(captcha_token=told["captcha_token"]).status == 200
    assert bed.levers.visit(challenge) is None


@pytest.mark.parametrize(
    ("allowed", "late_s", "error"), [(False, 0, "captcha_invalid"), (True, 600, "captcha_expired")]
)
def test_a_page_sends_the_browser_back_with_an_error(bed: Bed, allowed: bool, late_s: float, error: str) -> None:
    challenge = opened(bed)
    bed.now += late_s
    told = came_back(bed.levers.visit(challenge, allowed=allowed))
    assert (told["state"], told["error"]) == ("st", error)
    assert "captcha_token" not in told


def test_a_page_is_no_picture(bed: Bed) -> None:
    said = bed.post(f"{V1}/captcha/data/verify", {"token": opened(bed), "key": "x"})
    assert said.json["error"] == "captcha_expired"


@pytest.mark.parametrize("body", [{"state": "s"}, {"redirect_uri": BACK}])
def test_a_page_needs_both_members(bed: Bed, body: dict[str, str]) -> None:
    assert refused(bed.post(f"{V1}/captcha/init", body)) == (400, "invalid_argument")


@pytest.mark.parametrize("gate", list(Gate))
def test_a_call_may_ask_for_a_captcha(bed: Bed, gate: Gate) -> None:
    asked: tuple[str, dict[str, str]] = {
        Gate.SIGN_IN: ("signin", {"username": "ann", "password": "right"}),
        Gate.REFRESH: ("token", {"grant_type": "refresh_token", "refresh_token": bed.token()}),
        Gate.CODES: ("verification", {"email": "ann@mail.example"}),
    }[gate]
    path, body = asked
    bed.set(CAPTCHA_FOR=[gate])
    required = bed.post(f"{V1}/{path}", body)
    wrong = bed.post(f"{V1}/{path}", body, None, captcha_token="ct-wrong")
    assert (required.json["error"], required.json["error_code"]) == ("captcha_required", 4001)
    assert (wrong.json["error"], wrong.json["error_code"]) == ("captcha_invalid", 4002)
    assert bed.post(f"{V1}/{path}", body, None, captcha_token=bed.captcha()).status == 200


def test_a_captcha_token_has_an_end(bed: Bed) -> None:
    bed.set(CAPTCHA_FOR=["signin"])
    token = bed.captcha()
    bed.now += 600
    assert bed.signin(captcha_token=token).json["error"] == "captcha_invalid"


def test_a_wrong_token_is_refused_even_where_none_was_asked_for(bed: Bed) -> None:
    assert bed.signin(captcha_token="ct-wrong").json["error"] == "captcha_invalid"
