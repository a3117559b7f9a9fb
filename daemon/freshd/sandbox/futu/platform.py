"""Salt and the platform login of Futu's stand-in, and what a person does when the login asks for one.

Order of a login's checks: known account, haste, complete device, right host, poisoned device, ticket, device check,
third factor. A login attempt, however it ends, voids what an earlier one asked of the person. A text message is sent
only where ``req_device_code`` is called; the names of two fields of ``verify_device_code`` are not known, so they are
told by their values.
"""

import secrets
from collections.abc import Mapping

from freshd.sandbox.futu.account import Check, FutuAccount
from freshd.sandbox.futu.answer import Asked, Granted, Refusal
from freshd.sandbox.futu.credential import Credential, Standing, opaque, standing
from freshd.sandbox.futu.login import grant_login
from freshd.sandbox.futu.state import DEVICE_FIELDS, FutuState, Platform
from freshd.sandbox.tokens import fresh

WRONG_PAIR = 2
CAPTCHA = 11
LONG_AWAY = 15
DEVICE_CHECK = 20
WRONG_CODE = 21
THIRD_FACTOR = 33
OLD_CLIENT = 45
_CHECK_FIELDS = frozenset({"uid", "verify_mode", "sens_state", *DEVICE_FIELDS})
_CHECK_SIZE = 9


class FutuPlatform:
    """The operations."""

    def __init__(self, state: FutuState) -> None:
        """Work on ``state``."""
        self._state = state

    def salt(self, asked: Asked, now: float) -> Granted | Refusal:
        """Give what a password login begins with; the account is found by value, its parameter has no known name."""
        named = {"account": next((text for text in asked.query.values() if self._state.accounts.named(text)), "")}
        account = self._state.accounts.asked({**asked.query, **named, "uid": 0})
        version = asked.headers.get("x-futu-client-version", "")
        least = self._state.promises(account).FUTU_SIM_MIN_CLIENT_VERSION
        if not version.isdecimal() or int(version) < least:
            return Refusal(code=OLD_CLIENT, message="client version too low")
        if account is None or self._is_elsewhere(account, asked):
            return Refusal(code=WRONG_PAIR, message="account and password do not match")
        uid = 0 if asked.query.get("ret_no_uid") == "true" else account.uid
        attribution = account.attribution
        salts = {"salt": opaque(8), "salt32": opaque(32)}
        return Granted(result={"uid": uid, "user_attribution": attribution, "svr_time": int(now), **salts})

    def login(self, asked: Asked, now: float) -> Granted | Refusal:
        """Log in with a ticket."""
        account = self._state.accounts.asked(asked.body)
        if account is None:
            return Refusal(code=WRONG_PAIR, message="account and password do not match")
        promises = self._state.promises(account)
        if account.attempt(now, promises.FUTU_SIM_AUTHORITY_MIN_INTERVAL_S):
            return Refusal(code=LONG_AWAY, message="long not logged in")
        flaw = self._flaw(account, asked)
        if flaw is not None:
            return flaw
        found, live = self._ticket(account, asked, now)
        if live is None:
            return self._bad_ticket(account, found, now)
        return self._unproven(account, asked, live, now) or grant_login(self._state, account, "authority", now, live)

    def _flaw(self, account: FutuAccount, asked: Asked) -> Refusal | None:
        if not all(asked.text(name) for name in DEVICE_FIELDS) or self._is_elsewhere(account, asked):
            return Refusal(code=CAPTCHA, message="captcha needed")
        if asked.text("device_id") in self._state.accounts.poisoned:
            return Refusal(code=LONG_AWAY, message="long not logged in")
        return None

    def _is_elsewhere(self, account: FutuAccount, asked: Asked) -> bool:
        """Whether an overseas account came to the host of the others, which alone is known to refuse."""
        return account.is_overseas and self._state.host(asked.headers.get("host", "")) is Platform.FUTUNN

    def _ticket(self, account: FutuAccount, asked: Asked, now: float) -> tuple[Credential | None, Credential | None]:
        """Return the ticket that was presented, and once more if it is good."""
        found = account.tickets.find(asked.text("tgtgt"))
        if found is None or found.standing(now) is not Standing.LIVE:
            return found, None
        found.present()
        return found, found

    def _bad_ticket(self, account: FutuAccount, found: Credential | None, now: float) -> Refusal:
        if found is not None and standing(found, now) is Standing.SPENT:
            self._state.books.replay(account.label, found)
        return Refusal(
            code=self._state.promises(account).FUTU_SIM_ERR_TICKET_REFUSED, message="account and password do not match"
        )

    def _unproven(self, account: FutuAccount, asked: Asked, ticket: Credential, now: float) -> Refusal | None:
        """Ask for a person where the device is new, seems to be in use twice, or a check was demanded."""
        sig = asked.text("device_sig")
        is_new = asked.text("device_id") not in account.devices or bool(sig and sig not in account.device_sigs)
        is_copy = self._state.promises(account).FUTU_SIM_OLD_TICKET_CHECKED and ticket.has_known_heir
        if is_new or is_copy or account.needs == "device_check":
            return self.ask_device_check(account, now)
        return self.ask_third_factor(account, now) if account.needs == "third_factor" else None

    def ask_device_check(self, account: FutuAccount, now: float) -> Refusal:
        """Open a device check: code 20. Nothing is sent to the person's phone."""
        life = self._state.promises(account).FUTU_SIM_DVS_TTL_S
        account.device_check = Check(sig=fresh("dvs"), expires_at=now + life)
        return Refusal(
            code=DEVICE_CHECK,
            message="device check needed",
            extra={"uid": account.uid, "device_verify_sig": account.device_check.sig, "phone_no": "139****0000"},
        )

    def ask_third_factor(self, account: FutuAccount, now: float) -> Refusal:
        """Open a check by a third factor: code 33."""
        life = self._state.promises(account).FUTU_SIM_DVS_TTL_S
        account.third_factor = Check(sig=fresh("tfs"), expires_at=now + life)
        extra: dict[str, object] = {"uid": account.uid, "third_factor_verify_sig": account.third_factor.sig}
        return Refusal(code=THIRD_FACTOR, message="third factor needed", extra=extra)

    def send_code(self, asked: Asked, now: float) -> Granted | Refusal:
        """Send a text message to the person's phone."""
        account = self._state.accounts.checked(asked.query.get("dvs", ""))
        check = account.device_check if account is not None else None
        promises = self._state.promises(account)
        modes = (asked.query.get("send_mode"), asked.query.get("is_send_no_wait"))
        if account is None or check is None or now >= check.expires_at or modes != ("0", "False"):
            return Refusal(code=promises.FUTU_SIM_ERR_CHECK_REFUSED, message="device check unknown or outdated")
        if check.code is not None and not promises.FUTU_SIM_SECOND_SMS_SENT:
            return Granted(result={})
        if account.messages.enter(now, promises.FUTU_SIM_SMS_MIN_INTERVAL_S):
            return Refusal(code=promises.FUTU_SIM_ERR_SMS_TOO_FREQUENT, message="too many messages")
        check.code = f"{secrets.randbelow(1_000_000):06}"
        account.phone.append(check.code)
        self._state.books.tally(account.uid).sms_sent += 1
        return Granted(result={})

    def verify(self, asked: Asked, now: float) -> Granted | Refusal:
        """Take the code of the text message; success is a login."""
        account = self._state.accounts.find(asked.number("uid"))
        if account is None:
            return Refusal(code=WRONG_PAIR, message="account and password do not match")
        free = {name: value for name, value in asked.body.items() if name not in _CHECK_FIELDS}
        complete = all(asked.text(name) for name in (*DEVICE_FIELDS, "sens_state"))
        if not complete or len(asked.body) != _CHECK_SIZE or str(asked.body.get("verify_mode")) != "0":
            return Refusal(code=CAPTCHA, message="captcha needed")
        device = asked.text("device_id")
        if device in self._state.accounts.poisoned:
            return Refusal(code=LONG_AWAY, message="long not logged in")
        check = account.device_check
        if check is None or check.code is None or now >= check.expires_at or not _holds(free, check):
            return self._mistake(account, device, is_empty="" in free.values())
        account.device_check, account.needs = None, ""
        account.devices.add(device)
        del self._state.accounts.mistakes[device]
        return grant_login(self._state, account, "verify_device_code", now, None)

    def _mistake(self, account: FutuAccount, device: str, *, is_empty: bool) -> Refusal:
        """Count a wrong code; too many of them, or an empty one, poison the device id."""
        accounts = self._state.accounts
        accounts.mistakes[device] += 1
        if is_empty or accounts.mistakes[device] >= self._state.promises(account).FUTU_SIM_SMS_WRONG_LIMIT:
            accounts.poisoned.add(device)
        return Refusal(code=WRONG_CODE, message="code wrong or outdated")

    def third_factor(self, asked: Asked, now: float) -> Granted | Refusal:
        """Finish a login that asked for a third factor; success is a login."""
        account = self._state.accounts.find(asked.number("uid"))
        if account is None:
            return Refusal(code=WRONG_PAIR, message="account and password do not match")
        flaw = self._flaw(account, asked)
        if flaw is not None:
            return flaw
        check = account.third_factor
        if check is None or now >= check.expires_at or asked.text("sig") != check.sig:
            return Refusal(
                code=self._state.promises(account).FUTU_SIM_ERR_CHECK_REFUSED, message="check unknown or outdated"
            )
        found, live = self._ticket(account, asked, now)
        if live is None:
            return self._bad_ticket(account, found, now)
        account.third_factor, account.needs = None, ""
        return grant_login(self._state, account, "third_factor", now, live)


def _holds(free: Mapping[str, object], check: Check) -> bool:
    """Whether the two members without a known name are the check's signature and the code that was sent."""
    return sorted(map(str, free.values())) == sorted((check.sig, str(check.code)))
