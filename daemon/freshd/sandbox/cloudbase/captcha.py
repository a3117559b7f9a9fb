"""Captchas: a page that a person visits, or a picture that a person reads; either earns a token. Pure.

Rules: an answer is tried so often as the constants allow, then the challenge is over. A token is good until its end.
What is wrong or over is refused the same way at every call that takes a token.
"""

import dataclasses
import secrets
import urllib.parse
from collections.abc import Callable

from freshd.sandbox.cloudbase.constants import CloudbaseConstants, Place, Variant, Words
from freshd.sandbox.cloudbase.drawer import Drawer
from freshd.sandbox.cloudbase.picture import LETTERS, data_uri
from freshd.sandbox.cloudbase.refusal import Refusal
from freshd.sandbox.cloudbase.request import Answer, Request
from freshd.sandbox.tokens import fingerprint, fresh

PAGE_PATH = "/cloudbase/captcha"
_LETTERS_SHOWN = 4


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Challenge:
    """One challenge; ``answer`` is empty where a page is visited. ``expires_at`` is wall seconds."""

    name: str
    variant: Variant
    state: str
    redirect_uri: str
    answer: str
    expires_at: float
    tries: int = 0
    is_over: bool = False


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Pass:
    """A captcha token."""

    expires_at: float
    uses: int = 0


class Captchas:
    """All challenges and tokens."""

    def __init__(self, where: Callable[[], str]) -> None:
        """Start empty; ``where`` is asked for the address of the server with the page."""
        self._where = where
        self.challenges: Drawer[Challenge] = Drawer()
        self._passes: Drawer[Pass] = Drawer()

    def init(self, request: Request, constants: CloudbaseConstants, now: float) -> Answer:
        """Give the address of a page, or a token at once where no check is needed."""
        if constants.CLOUDBASE_SIM_CAPTCHA_VARIANT is Variant.IMAGE:
            raise Refusal("unimplemented")
        if constants.CLOUDBASE_SIM_CAPTCHA_INIT_BASIC and request.basic is None:
            raise Refusal("unauthenticated")
        if not request.text("redirect_uri") or not request.text("state"):
            raise Refusal("invalid_argument")
        if constants.CLOUDBASE_SIM_CAPTCHA_DIRECT:
            return Answer(body=self._earned(constants, now))
        life_s = constants.CLOUDBASE_SIM_CAPTCHA_PAGE_TTL_S
        text = self._ask(request, Variant.PAGE, "", now + life_s)
        url = f"{self._where()}{PAGE_PATH}?{urllib.parse.urlencode({'challenge': text})}"
        return Answer(body={"url": url, "expires_in": life_s})

    def data(self, request: Request, constants: CloudbaseConstants, now: float) -> Answer:
        """Give a picture."""
        if constants.CLOUDBASE_SIM_CAPTCHA_VARIANT is Variant.PAGE:
            raise Refusal("unimplemented")
        if not request.text("state"):
            raise Refusal("invalid_argument")
        drawn = "".join(secrets.choice(LETTERS) for _ in range(_LETTERS_SHOWN))
        answer = constants.CLOUDBASE_SIM_CAPTCHA_ANSWER or drawn
        life_s = constants.CLOUDBASE_SIM_CAPTCHA_IMAGE_TTL_S
        text = self._ask(request, Variant.IMAGE, answer, now + life_s)
        return Answer(body={"data": data_uri(answer), "type": "image", "token": text, "expires_in": life_s})

    def verify(self, request: Request, constants: CloudbaseConstants, now: float) -> Answer:
        """Judge what a person read; case does not matter."""
        if not request.text("token") or not request.text("key"):
            raise Refusal("invalid_argument")
        is_own = constants.CLOUDBASE_SIM_CAPTCHA_WORDS is Words.OWN
        challenge = self.challenges.find(request.text("token"))
        is_picture = challenge is not None and challenge.variant is Variant.IMAGE
        if challenge is None or not is_picture or challenge.is_over or now >= challenge.expires_at:
            raise Refusal("captcha_expired" if is_own else "captcha_invalid")
        challenge.tries += 1
        is_right = secrets.compare_digest(challenge.answer.upper().encode(), request.text("key").upper().encode())
        challenge.is_over = is_right or challenge.tries >= constants.CLOUDBASE_SIM_CAPTCHA_TRIES
        if not is_right:
            raise Refusal("invalid_captcha" if is_own else "captcha_invalid")
        return Answer(body=self._earned(constants, now))

    def decide(self, text: str, constants: CloudbaseConstants, now: float, *, allowed: bool) -> str | None:
        """Return where the browser goes with a page's outcome; None for an unknown or finished challenge."""
        challenge = self.challenges.find(text)
        if challenge is None or challenge.variant is not Variant.PAGE or challenge.is_over:
            return None
        challenge.is_over = True
        outcome: dict[str, object] = {"state": challenge.state}
        if now >= challenge.expires_at or not allowed:
            error = "captcha_expired" if allowed else "captcha_invalid"
            outcome |= {"error": error, "error_description": f"refused: {error}"}
        else:
            outcome |= self._earned(constants, now)
        parts = urllib.parse.urlsplit(challenge.redirect_uri)
        query = urllib.parse.urlencode([*urllib.parse.parse_qsl(parts.query), *outcome.items()])
        return parts._replace(query=query).geturl()

    def check(self, request: Request, constants: CloudbaseConstants, now: float, *, due: bool) -> bool:
        """Return whether a good token came with the request; raises Refusal where a bad one did, or a due one did not.

        A token that nothing asked for is judged too, and not used up.
        """
        text = _presented(request, constants.CLOUDBASE_SIM_CAPTCHA_PLACE)
        if not text:
            if due:
                raise Refusal("captcha_required")
            return False
        found = self._passes.find(text)
        is_used = found is not None and found.uses > 0 and constants.CLOUDBASE_SIM_CAPTCHA_TOKEN_SINGLE_USE
        if found is None or is_used or now >= found.expires_at:
            raise Refusal("captcha_invalid")
        found.uses += due
        return True

    def open(self, now: float) -> list[dict[str, object]]:
        """Return the challenges that wait for a person, with their answers."""
        waiting = [one for one in self.challenges if not one.is_over and now < one.expires_at]
        return [dataclasses.asdict(one) for one in waiting]

    def _ask(self, request: Request, variant: Variant, answer: str, expires_at: float) -> str:
        text = fresh("cc")
        challenge = Challenge(
            name=fingerprint(text),
            variant=variant,
            state=request.text("state"),
            redirect_uri=request.text("redirect_uri"),
            answer=answer,
            expires_at=expires_at,
        )
        self.challenges.put(text, challenge)
        return text

    def _earned(self, constants: CloudbaseConstants, now: float) -> dict[str, object]:
        text, life_s = fresh("ct"), constants.CLOUDBASE_SIM_CAPTCHA_TOKEN_TTL_S
        self._passes.put(text, Pass(expires_at=now + life_s))
        return {"captcha_token": text, "expires_in": life_s}


def _presented(request: Request, place: Place) -> str:
    query = request.query.get("captcha_token", "") if place is not Place.HEADER else ""
    return query or (request.headers.get("x-captcha-token", "") if place is not Place.QUERY else "")
