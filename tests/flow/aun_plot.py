"""What is done to AUN accounts, scene by scene.  What is expected of it stands in `test_aun_scenarios`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from freshd.sandbox.aun.pki import Pki
from tests.flow.aun_stage import Scene, Stage, Strike, play
from tests.flow.scenarios import Rows

DAY: Final = 86_400
PARKED: Final = ("account.parked",)
HEALED: Final = "refresh.succeeded"
AT_ONCE: Final = ()
TEXTS: Final = {
    "text-missing": "missing refresh_token",
    "text-invalid": "invalid_or_expired_refresh_token",
    "text-not-supported": "refresh not supported",
    "text-unknown": "this will not do",
}


def faulty(method: str, fault: str = "lost_after_commit", **more: Any) -> Strike:
    def strike(stage: Stage, name: str) -> None:
        stage.fault(name, method, fault, **more)

    return strike


def ordered(method: str, count: int | None = 1, **line: Any) -> Strike:
    def strike(stage: Stage, name: str) -> None:
        stage.order(name, method, count, **line)

    return strike


def must_log_in(*first: Strike) -> Strike:
    """The refresh token ends, so that the next renewal becomes a login."""

    def strike(stage: Stage, name: str) -> None:
        for one in first:
            one(stage, name)
        stage.revoke(name)

    return strike


def says(text: str, *, relogin: bool = False) -> Strike:
    """The refresh is refused with this text."""

    def strike(stage: Stage, name: str) -> None:
        stage.set(name, REFRESH_REFUSAL_TEXT=text, RELOGIN_FLAG=relogin)
        stage.revoke(name)

    return strike


def renewed(times: int, rung: str = "") -> Strike:
    """Nothing is done but wait for so many renewals."""

    def strike(stage: Stage, name: str) -> None:
        for _ in range(times):
            stage.wait_for(name, HEALED, since=stage.mark(), rung=rung)

    return strike


def both(*strikes: Strike) -> Strike:
    def strike(stage: Stage, name: str) -> None:
        for one in strikes:
            one(stage, name)

    return strike


# -- certificates and keys -------------------------------------------------------------------------------------------


def certificate_noted(stage: Stage, name: str) -> None:
    """How the certificate in hand relates to the one that is registered."""
    facts = stage.operate(name, "certificate")
    told = facts.get("facts", facts)
    stage.facts[name] = f"{told['registered']}, {told['state']}"


def until_rung(rung: str) -> Strike:
    def strike(stage: Stage, name: str) -> None:
        stage.wait_for(name, HEALED, rung=rung)

    return strike


def given(*secrets: str) -> Strike:
    def strike(stage: Stage, name: str) -> None:
        stage.give(name, *secrets)

    return strike


def revoked(what: str) -> Strike:
    def strike(stage: Stage, name: str) -> None:
        stage.revoke(name, what)

    return strike


def rekeyed(stage: Stage, name: str) -> None:
    """An operator wants another key; whatever comes of it.  Then only a login with the registered one helps."""
    stage.base.told("operate", name, operation="rekey")
    stage.revoke(name)


def enrolled(stage: Stage, name: str) -> None:
    stage.enrol(name)


def enrolled_again(stage: Stage, name: str) -> None:
    """The first answer is lost, so the operator does it once more."""
    assert stage.enrol(name), "a lost answer is told"
    assert not stage.enrol(name)


def root_of_another(stage: Stage, name: str) -> None:
    (stage.base.bed.folder / "other.pem").write_text(Pki(time.time()).roots)
    stage.revoke(name)


def certificate_held(method: str) -> Strike:
    """After a login, what is held is compared with what is registered."""
    return both(must_log_in(), until_rung(method), certificate_noted)


OVER: Final = {"cert_ttl_s": 730 * DAY, "cert_age_s": 760 * DAY}
LONG_OVER: Final = {"cert_ttl_s": 730 * DAY, "cert_age_s": 850 * DAY}
PAST_HALF: Final = {"cert_ttl_s": 730 * DAY, "cert_age_s": 400 * DAY}
KEY_ONLY: Final = ("private_key", "cert")
REFRESHES: Final = (
    Scene("refresh-lost-before", faulty("refresh_token", "lost_before_commit")),
    Scene("refresh-lost-after", faulty("refresh_token")),
    Scene("refresh-slow", faulty("refresh_token", "slow", seconds=1.0, when="after")),
    Scene(
        "refresh-slower-than-the-deadline", faulty("refresh_token", "slow", seconds=4.0, when="after"),
        keys=("deadline = 1.0",),
    ),
    *(Scene(name, says(text)) for name, text in TEXTS.items()),
    Scene("relogin-required", says("come again", relogin=True)),
    Scene("refresh-refused-as-error", must_log_in(), constants={"REFRESH_REFUSAL": "error"}),
    Scene("refresh-retryable", ordered("refresh_token", result={"success": False, "error": "x", "retryable": True})),
    Scene("chain-used-up", lambda *_: None, constants={"CHAIN_REFRESHES": 0}),
    Scene("chain-used-up-as-result", lambda *_: None, constants={"CHAIN_REFRESHES": 0, "CHAIN_END": "result"}),
    Scene("rate-limited-32029", ordered("refresh_token", code=-32029, data={"retry_after": 1})),
    Scene("rate-limited-429", ordered("refresh_token", code=429, data={"retry_after": 1})),
    Scene("rate-limited-without-a-time", ordered("refresh_token", code=-32029)),
    Scene("trouble-5003", ordered("refresh_token", code=5003)),
    Scene("internal-32603", ordered("refresh_token", code=-32603)),
    Scene("no-rotation", renewed(2), AT_ONCE, constants={"ROTATES": False}),
)  # fmt: skip
LOGINS: Final = (
    Scene("login-lost", must_log_in(faulty("aid_login2"))),
    Scene("login-1-lost", must_log_in(faulty("aid_login1"))),
    Scene("login-nonce-stale", must_log_in(ordered("aid_login2", code=-32002))),
    Scene("login-32001-once", must_log_in(ordered("aid_login2", code=-32001))),
    Scene("login-32001", must_log_in(ordered("aid_login2", None, code=-32001)), PARKED),
    Scene("login-32003", must_log_in(ordered("aid_login2", None, code=-32003)), PARKED),
    Scene(
        "login-success-false",
        must_log_in(ordered("aid_login2", None, result={"success": False, "error": "no"})), PARKED,
    ),
    Scene(
        "login-without-refresh-token", both(must_log_in(), renewed(2, "login")), AT_ONCE,
        constants={"LOGIN_TOKENS": "no_refresh"},
    ),
    Scene(
        "login-token-only", both(must_log_in(), renewed(2, "login")), AT_ONCE, constants={"LOGIN_TOKENS": "token_only"},
    ),
    Scene("wrong-root", root_of_another, PARKED, keys=('roots = "{folder}/other.pem"',)),
)  # fmt: skip
CERTIFICATES: Final = (
    Scene("new-cert", certificate_held("login"), AT_ONCE, constants={"NEW_CERT": "always"}),
    Scene(
        "new-cert-wrong-key", certificate_held("login"), AT_ONCE,
        constants={"NEW_CERT": "wrong_key", "ACTIVE_CERT": False},
    ),
    Scene(
        "new-cert-foreign", certificate_held("login"), AT_ONCE, constants={"NEW_CERT": "foreign", "ACTIVE_CERT": False}
    ),
    Scene(
        "active-cert-alone", both(ordered("aid_login2", over={"new_cert": None}), certificate_held("login")), AT_ONCE,
        constants={"NEW_CERT": "always"},
    ),
    Scene("past-half-life", both(until_rung("login"), certificate_noted), AT_ONCE, minted=PAST_HALF),
    Scene(
        "past-half-life-and-no-new-cert", both(until_rung("renew"), certificate_noted), AT_ONCE, minted=PAST_HALF,
        constants={"NEW_CERT": "never"},
    ),
    Scene("certificate-over-30-days", given(*KEY_ONLY), (HEALED, *PARKED), rung="login", minted=OVER, gives=KEY_ONLY),
    Scene("certificate-over-120-days", given(*KEY_ONLY), PARKED, minted=LONG_OVER, gives=KEY_ONLY),
    Scene("certificate-revoked", revoked("certificate"), PARKED),
    Scene("rekey", rekeyed, rung="login"),
    Scene("rekey-lost-before", both(faulty("rekey", "lost_before_commit"), rekeyed), rung="login"),
    Scene("rekey-lost-after", both(faulty("rekey"), rekeyed), rung="login"),
    Scene("create", enrolled, rung="login", minted=None, gives=()),
    Scene(
        "create-lost-before", both(faulty("create_aid", "lost_before_commit"), enrolled_again), rung="login",
        minted=None, gives=(),
    ),
    Scene("create-lost-after", both(faulty("create_aid"), enrolled_again), rung="login", minted=None, gives=()),
)  # fmt: skip


def lived(folder: Path) -> Rows:
    """All of it, a stage for each chapter."""
    rows: dict[str, Any] = {}
    for name, scenes in (("refreshes", REFRESHES), ("logins", LOGINS), ("certificates", CERTIFICATES)):
        (folder / name).mkdir()
        rows |= play(folder / name, scenes)
    return rows
