"""Reading what the checks answer: of the characters of a captcha's picture, of the code of an SMS or e-mail.  Pure.

A check brings a token for the step that it is made for.  Both are kept as a refusal keeps what it brought, for neither
is a grant; the enrolment then goes on with the next step.  Wrong characters are counted; of codes too, so that nobody
guesses on and on.
"""

from __future__ import annotations

import json
from typing import Final

from freshd.core.model import Secret
from freshd.core.outcome import Judged, Rejected, Remedy
from freshd.providers.cloudbase.case import CAPTCHA, CAPTCHA_CHECK, VERIFIED, WRONG_CODES, Case
from freshd.providers.cloudbase.flow import QUERY, Flow, Ticket, flow_of, verified
from freshd.providers.cloudbase.pasted import life_of
from freshd.providers.cloudbase.refusal import detail_of, refused, slow_down
from freshd.providers.cloudbase.times import json_of
from freshd.providers.cloudbase.unknowns import VERIFIED_SECONDS
from freshd.providers.cloudbase.verdict import CAPTCHA_CHECKED, CODE_CHECKED
from freshd.providers.form import bearer
from freshd.providers.oauth2.refusal import shown, unreadable

PASSED: Final = "captcha-passed"
CHECKED: Final = "code-checked"


def check_of(case: Case) -> Judged:
    """Judge the answer of a check."""
    return _captcha(case) if case.rung == CAPTCHA_CHECK else _code(case)


def _captcha(case: Case) -> Judged:
    flow, sent = flow_of(case.record) or Flow("signin"), case.intent.sent
    token = bearer(case.answer.get("captcha_token")) if case.code is None else None
    if token is not None:
        passed = Ticket(token, sent, life_of(case.answer.get("expires_in")))
        kept = Flow(flow.operation, flow.used, passed, QUERY)
        return _kept(case, PASSED, CAPTCHA, kept.secret, "the characters were right")
    if case.code is not None and case.code.lower() in CAPTCHA_CHECKED:
        after = flow.refused(sent)
        hint = "wrong or too late; nothing is tried for some minutes" if after.rests else "wrong or too late"
        return _kept(case, case.code, CAPTCHA, after.secret, hint)
    return _else(case)


def _code(case: Case) -> Judged:
    token = bearer(case.answer.get("verification_token")) if case.code is None else None
    if token is not None:
        ticket = Ticket(token, case.intent.sent, life_of(case.answer.get("expires_in"), VERIFIED_SECONDS))
        return _kept(case, CHECKED, VERIFIED, verified(ticket), "the code was right")
    if case.code is not None and case.code.lower() in CODE_CHECKED:
        given = case.intent.material.get("verification_id")
        name = "" if given is None else given.reveal()
        count = Secret(json.dumps([name, 1 + wrong_of(json_of(case.record, WRONG_CODES), name)]))
        return _kept(case, case.code, WRONG_CODES, count, "the code is wrong or over")
    return _else(case)


def wrong_of(kept: object, name: str) -> int:
    """How many wrong codes were typed in for that verification."""
    if not isinstance(kept, list) or len(kept) != 2 or kept[0] != name:
        return 0
    return kept[1] if isinstance(kept[1], int) and 0 <= kept[1] < 100 else 0


def _kept(case: Case, code: str, name: str, secret: Secret, hint: str) -> Rejected:
    return Rejected(shown(code, case), Remedy.PERSON, detail=detail_of(case, hint), dead=frozenset(),
                    keep={name: secret})  # fmt: skip


def _else(case: Case) -> Judged:
    if case.reply.status == 429 and case.reply.complete and case.code is None:
        return slow_down(case)
    return refused(case) or unreadable(case.reply, case.foreign or "JSON with neither token nor error")
