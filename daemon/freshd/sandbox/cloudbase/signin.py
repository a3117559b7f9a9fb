"""The sign-in calls: password, verification token, device, ticket, provider token. Pure.

Rules: everything is checked before anything changes, in this order: whether the method is on, the members, the lock,
the captcha, the user, the secret. A user's standing and second factor come last: only who has proven to be the user
hears of them.
"""

import hmac
import re

from freshd.sandbox.cloudbase.asked import Asked, granted
from freshd.sandbox.cloudbase.captcha import Captchas
from freshd.sandbox.cloudbase.code import Verifications
from freshd.sandbox.cloudbase.constants import Gate, Method
from freshd.sandbox.cloudbase.drawer import Drawer, Once
from freshd.sandbox.cloudbase.provider import Providers
from freshd.sandbox.cloudbase.refusal import Refusal
from freshd.sandbox.cloudbase.request import Answer
from freshd.sandbox.cloudbase.session import Sessions, SignIn
from freshd.sandbox.cloudbase.ticket import TicketKeys
from freshd.sandbox.cloudbase.user import Second, User, Users

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-_.:+ @]{1,47}|\+\d{1,3} \d{4,15}")


class SignIns:
    """All ways in."""

    def __init__(
        self,
        users: Users,
        sessions: Sessions,
        keys: TicketKeys,
        captchas: Captchas,
        verifications: Verifications,
        providers: Providers,
    ) -> None:
        """Serve from these."""
        self._users = users
        self._sessions = sessions
        self._keys = keys
        self._captchas = captchas
        self._verifications = verifications
        self._providers = providers
        self._tickets: Drawer[Once] = Drawer()

    def signin(self, asked: Asked) -> Answer:
        """Sign in with a password or with a verification token, never both."""
        has_token, has_password = "verification_token" in asked.request.params, "password" in asked.request.params
        if has_token == has_password:
            raise Refusal("invalid_argument")
        return self._by_code(asked) if has_token else self.password(asked)

    def password(self, asked: Asked) -> Answer:
        """Sign in with name and password."""
        self._check_on(asked, Method.PASSWORD)
        constants, now = asked.constants, asked.now
        name, password = asked.request.text("username"), asked.request.text("password")
        if _NAME.fullmatch(name) is None or not password:
            raise Refusal("invalid_argument")
        user = self._users.named(name)
        if user is not None:
            user.check_lock(now)
        is_suspect = user is not None and user.failures >= constants.CLOUDBASE_SIM_CAPTCHA_AFTER
        has_captcha = self._pass(asked, due=is_suspect)
        if user is None:
            raise Refusal(constants.CLOUDBASE_SIM_NO_USER_ERROR)
        if not user.profile.password:
            raise Refusal("password_not_set")
        if not hmac.compare_digest(user.profile.password.encode(), password.encode()):
            raise user.fail(constants, now, has_captcha=has_captcha)
        answer = self._let_in(asked, user, Method.PASSWORD)
        user.failures = 0
        return answer

    def anonymously(self, asked: Asked) -> Answer:
        """Sign in as the device."""
        if Method.ANONYMOUS in asked.constants.CLOUDBASE_SIM_METHODS_OFF:
            raise Refusal(asked.constants.CLOUDBASE_SIM_ANONYMOUS_OFF_ERROR)
        self._check_on(asked, Method.ANONYMOUS)
        if not asked.request.device_id:
            raise Refusal("invalid_argument")
        self._pass(asked, due=False)
        return self._let_in(asked, self._users.welcome("device", asked.request.device_id), Method.ANONYMOUS)

    def custom(self, asked: Asked) -> Answer:
        """Sign in with a ticket."""
        self._check_on(asked, Method.CUSTOM)
        text = asked.request.text("ticket")
        if asked.request.text("provider_id") != "custom" or not text:
            raise Refusal("invalid_argument")
        self._pass(asked, due=False)
        ticket = self._keys.check(text, asked.constants, asked.now)
        once = self._tickets.find(text)
        if once is not None and asked.constants.CLOUDBASE_SIM_TICKET_SINGLE_USE:
            self._check_unused(once, self._users.label_of("uid", ticket.uid), asked, "unauthenticated")
        once = once or Once(expires_at=asked.now + asked.constants.CLOUDBASE_SIM_TICKET_LIFE_S)
        self._tickets.put(text, once)
        claims_s = None
        if asked.constants.CLOUDBASE_SIM_TICKET_CLAIMS_COUNT and ticket.refresh_s and ticket.left_s:
            claims_s = (ticket.refresh_s, ticket.left_s)
        return self._let_in(asked, self._users.welcome("uid", ticket.uid), Method.CUSTOM, once, claims_s)

    def with_provider(self, asked: Asked) -> Answer:
        """Sign in with a provider token."""
        self._check_on(asked, Method.PROVIDER)
        text = asked.request.text("provider_token")
        if not text:
            raise Refusal("invalid_argument")
        self._pass(asked, due=False)
        token = self._providers.token(text)
        if token is None or asked.request.text("provider_id") not in ("", token.provider_id):
            raise Refusal("invalid_argument")
        if asked.constants.CLOUDBASE_SIM_PROVIDER_TOKEN_SINGLE_USE:
            self._check_unused(token, self._users.label_of(token.provider_id, token.subject), asked, "invalid_argument")
        if asked.now >= token.expires_at:
            raise Refusal("invalid_argument")
        user = self._users.coming_by(token.provider_id, token.subject)
        if user is None and asked.request.params.get("force_disable_sign_up") is True:
            raise Refusal(asked.constants.CLOUDBASE_SIM_NO_USER_ERROR)
        user = user or self._users.welcome(token.provider_id, token.subject)
        return self._let_in(asked, user, Method.PROVIDER, token)

    def _by_code(self, asked: Asked) -> Answer:
        self._check_on(asked, Method.CODE)
        verified = self._verifications.verified(asked.request.text("verification_token"))
        if verified is None:
            raise Refusal("invalid_argument")
        self._pass(asked, due=False)
        user = self._users.named(verified.address)
        if user is None or asked.request.text("username") not in ("", verified.address, user.profile.username):
            raise Refusal(asked.constants.CLOUDBASE_SIM_NO_USER_ERROR)
        self._check_unused(verified, user.label, asked, "permission_denied")
        if asked.now >= verified.expires_at:
            raise Refusal("permission_denied")
        return self._let_in(asked, user, Method.CODE, verified)

    def _check_on(self, asked: Asked, method: Method) -> None:
        if method in asked.constants.CLOUDBASE_SIM_METHODS_OFF:
            raise Refusal(asked.constants.CLOUDBASE_SIM_METHOD_OFF_ERROR)
        if method in asked.constants.CLOUDBASE_SIM_DEVICE_REQUIRED_FOR and not asked.request.device_id:
            raise Refusal("invalid_argument")

    def _pass(self, asked: Asked, *, due: bool) -> bool:
        is_due = due or Gate.SIGN_IN in asked.constants.CLOUDBASE_SIM_CAPTCHA_FOR
        return self._captchas.check(asked.request, asked.constants, asked.now, due=is_due)

    def _check_unused(self, once: Once, label: str, asked: Asked, error: str) -> None:
        if once.answer is not None:
            self._sessions.count_again(label, once.answer)
            raise Refusal(error)

    def _let_in(
        self,
        asked: Asked,
        user: User,
        method: Method,
        once: Once | None = None,
        claims_s: tuple[float, float] | None = None,
    ) -> Answer:
        user.check_standing()
        if user.profile.second is not Second.NOTHING:
            raise Refusal(user.profile.second)
        wish = SignIn(
            user=user,
            method=method,
            grant_type=asked.operation,
            client_id=asked.client_id,
            device_id=asked.request.device_id,
            presented=asked.presented,
            once=once,
            claims_s=claims_s,
        )
        return granted(self._sessions.sign_in(wish, asked.now, subject=asked.subject), asked)
