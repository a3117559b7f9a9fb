"""Who calls: the checks that every call has to pass before anybody looks at what it wants. Pure.

Rules: the order is fixed. The body or query can be read (1), the application's fields are there (1), the stamp is young
(9), the application is known (3), the signature is right (6). Nothing is used up here. In the wiki's dialect a call
without a signature comes from nobody in particular and passes.
"""

import dataclasses

from freshd.sandbox.geniusauth.apps import App
from freshd.sandbox.geniusauth.codes import MALFORMED, NOT_AUTHORISED, STAMP_OUTSIDE, UNKNOWN_APP, Refusal
from freshd.sandbox.geniusauth.constants import GeniusConstants
from freshd.sandbox.geniusauth.orders import Operation
from freshd.sandbox.geniusauth.request import Asked, Given, given
from freshd.sandbox.geniusauth.signature import Unsignable, is_signed
from freshd.sandbox.geniusauth.state import State


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A call that may go on. ``app`` None: nobody has signed it."""

    given: Given
    constants: GeniusConstants
    app: App | None

    def is_of(self, app_code: str) -> bool:
        """Whether a token of that application is this caller's own, as far as anybody can tell."""
        return self.app is None or self.app.app_code == app_code

    def required(self, name: str) -> str:
        """Return a text field that must be there; raises Refusal."""
        text = self.given.text(name)
        if not text:
            raise Refusal(MALFORMED, f"{name}: required")
        return text


def admit(state: State, operation: Operation, asked: Asked, constants: GeniusConstants, now: float) -> Caller:
    """Let a call pass; raises Refusal. ``now`` is the service's own clock."""
    fields = given(asked, constants, header_decides=operation is Operation.LOGIN)
    if fields is None:
        raise Refusal(MALFORMED, "cannot be read")
    if constants.is_wiki and "signature" not in fields.fields:
        return Caller(given=fields, constants=constants, app=None)
    app_code, stamp = fields.text("appCode"), fields.number("timeStamp")
    if not app_code or not stamp or not fields.text("signature"):
        raise Refusal(MALFORMED, "not signed")
    if not -constants.GENIUS_SIM_STAMP_AHEAD_S <= now - stamp <= constants.GENIUS_SIM_STAMP_OLDEST_S:
        raise Refusal(STAMP_OUTSIDE)
    app = state.apps.believed(app_code, now, constants.GENIUS_SIM_SECRET_CACHE_S)
    if app is None:
        raise Refusal(UNKNOWN_APP)
    try:
        is_right = is_signed(fields.fields, app.secret)
    except Unsignable as error:
        raise Refusal(MALFORMED, "cannot be signed") from error
    if not is_right:
        raise Refusal(NOT_AUTHORISED, "wrong signature")
    return Caller(given=fields, constants=constants, app=app)
