"""The calls around a token: refresh, client credentials, introspection, revocation, profile, sign-out. Pure."""

from freshd.sandbox.cloudbase.asked import Asked, granted
from freshd.sandbox.cloudbase.captcha import Captchas
from freshd.sandbox.cloudbase.client import CloudbaseClients
from freshd.sandbox.cloudbase.constants import CredentialsPath, Gate, Method, RevokeForm
from freshd.sandbox.cloudbase.notary import CloudbaseNotary
from freshd.sandbox.cloudbase.refusal import Refusal
from freshd.sandbox.cloudbase.request import Answer
from freshd.sandbox.cloudbase.session import Issue, Sessions
from freshd.sandbox.cloudbase.user import Users
from freshd.sandbox.tokens import AccessToken, Holder

TOKEN_PATH = "/auth/v1/token"
_ADMIN_SCOPE = "administrator"


class TokenCalls:
    """The calls."""

    def __init__(
        self,
        users: Users,
        sessions: Sessions,
        clients: CloudbaseClients,
        captchas: Captchas,
        notary: CloudbaseNotary,
    ) -> None:
        """Serve from these."""
        self._users = users
        self._sessions = sessions
        self._clients = clients
        self._captchas = captchas
        self._notary = notary

    def refresh(self, asked: Asked) -> Answer:
        """Give a new pair for a refresh token."""
        text = asked.request.text("refresh_token")
        if not text:
            raise Refusal("invalid_argument")
        due = Gate.REFRESH in asked.constants.CLOUDBASE_SIM_CAPTCHA_FOR
        self._captchas.check(asked.request, asked.constants, asked.now, due=due)
        device_id = asked.request.device_id
        issue = self._sessions.refresh(text, asked.client_id, device_id, asked.now, subject=asked.subject)
        return granted(issue, asked)

    def credentials(self, asked: Asked) -> Answer:
        """Give an access token of the environment itself; nothing renews it."""
        path = CredentialsPath.TOKEN if asked.request.path == TOKEN_PATH else CredentialsPath.OWN
        if asked.constants.CLOUDBASE_SIM_CREDENTIALS_PATH not in (CredentialsPath.BOTH, path):
            raise Refusal("unimplemented")
        if asked.request.text("grant_type") != "client_credentials":
            raise Refusal("unsupported_grant_type")
        secret_id = self._clients.check_cloud_key(asked.request)
        if Method.CREDENTIALS in asked.constants.CLOUDBASE_SIM_METHODS_OFF:
            raise Refusal(asked.constants.CLOUDBASE_SIM_METHOD_OFF_ERROR)
        holder = Holder(client_id=self._clients.env, label=secret_id, subject=secret_id, scope=_ADMIN_SCOPE)
        ledger, life_s = self._sessions.ledger, asked.constants.CLOUDBASE_SIM_CREDENTIALS_TTL_S
        text = self._notary.access_token(holder, Method.CREDENTIALS, asked.now, life_s)
        access = ledger.shelf.new_access(holder, None, asked.now, life_s, text=text)
        commit = ledger.commit("client_credentials", access, asked.now, spent=None, successor=None)
        return granted(Issue(access=access, refresh=None, commit=commit), asked)

    def introspect(self, asked: Asked) -> Answer:
        """Say what a token is; nothing at all about a dead one."""
        access = self._sessions.ledger.accepts(asked.request.bearer, asked.now)
        if access is None:
            return Answer()
        holder = access.holder
        client = {"token_type": "Bearer", "client_id": holder.client_id}
        return Answer(body={**client, "sub": holder.subject, "scope": holder.scope})

    def revoke(self, asked: Asked) -> Answer:
        """End the session of an access token, or the token alone."""
        form = asked.constants.CLOUDBASE_SIM_REVOKE_FORM
        named = [
            asked.request.bearer if form is not RevokeForm.BODY else "",
            asked.request.text("token") if form is not RevokeForm.BEARER else "",
        ]
        texts = {text for text in named if text}
        if not texts:
            raise Refusal("unauthenticated")
        for text in texts:
            self._end(self._alive(text, asked.now), asked, whole=asked.constants.CLOUDBASE_SIM_REVOKE_ENDS_SESSION)
        return Answer()

    def sign_out(self, asked: Asked) -> Answer:
        """End the session of the token that comes as Bearer."""
        self._end(self._alive(asked.request.bearer, asked.now), asked, whole=True)
        back = asked.request.text("redirect_uri")
        return Answer(body={"redirect_uri": back} if back else {})

    def me(self, asked: Asked) -> Answer:
        """Return the profile of whom a token speaks for."""
        access = self._alive(asked.request.bearer, asked.now)
        user = self._users.by_sub.get(access.holder.subject)
        body: dict[str, object] = {"sub": access.holder.subject}
        if user is not None:
            profile = user.profile
            identities = [{"id": profile.provider_id, "provider_user_id": profile.provider_subject}]
            members = {
                "name": profile.username or profile.label,
                "username": profile.username,
                "email": profile.email,
                "phone_number": profile.phone_number,
                "groups": list(profile.groups),
                "providers": identities if profile.provider_id else [],
            }
            body |= {name: value for name, value in members.items() if value}
        return Answer(body=body)

    def _alive(self, text: str, now: float) -> AccessToken:
        access = self._sessions.ledger.accepts(text, now) if text else None
        if access is None:
            raise Refusal("unauthenticated")
        return access

    def _end(self, access: AccessToken, asked: Asked, *, whole: bool) -> None:
        session = self._sessions.session_of(access)
        if session is not None and whole:
            self._sessions.end(session, "revoked", asked.now)
        access.revoked = True
