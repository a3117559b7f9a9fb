"""The calls that give out tokens or end them: login, refresh, another payload, revocation. Pure.

Rules: the caller is known when a call comes here. Then its own form is checked (1), then the token (31, or 6 for that
of a login), then whose application it belongs to (6). A login token is gone from the moment it was looked at, whatever
comes after. Nothing else is ever used up.
"""

import dataclasses

from freshd.sandbox.geniusauth.apps import App
from freshd.sandbox.geniusauth.codes import MALFORMED, NOT_AUTHORISED, Refusal
from freshd.sandbox.geniusauth.gate import Caller
from freshd.sandbox.geniusauth.people import Person
from freshd.sandbox.geniusauth.records import LoginToken, Record
from freshd.sandbox.geniusauth.request import Answer
from freshd.sandbox.geniusauth.state import Broken, State
from freshd.sandbox.geniusauth.verdict import Good, Kind, check_whole, judge
from freshd.sandbox.tokens import AccessToken, Holder, RefreshToken, fingerprint, fresh

_GRANT_TYPES = ("", "once", "refresh_token")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a login asks for, checked."""

    token: str = dataclasses.field(repr=False)
    renewable: bool
    valid_s: int
    payload: str


class Tokens:
    """The operations. ``subject`` (a uid) makes an answer speak for somebody else: a fault on demand."""

    def __init__(self, state: State) -> None:
        self._state = state

    def mint_login(self, app: App, person: Person, label: str, now: float) -> LoginToken:
        """Make a login token, as a browser would bring it to the application."""
        constants = self._state.constants.of(app.app_code, label)
        ends_at = now + constants.GENIUS_SIM_LOGIN_TTL_S
        claims = {"type": Kind.LOGIN.value, "iat": int(now), "exp": int(ends_at), "uid": person.uid}
        text = self._state.signer.token({**claims, "id": fresh("lg"), "appCode": app.app_code})
        holder = Holder(client_id=app.app_code, label=label, subject=str(person.uid))
        token = LoginToken(text=text, holder=holder, uid=person.uid, expires_at=ends_at)
        self._state.records.add_login(token)
        return token

    def open(
        self,
        holder: Holder,
        person: Person,
        now: float,
        *,
        valid_s: float,
        payload: str = "",
        subject: int | None = None,
    ) -> tuple[RefreshToken, AccessToken]:
        """Make a record with its first pair, as if a login had just been exchanged."""
        records = self._state.records
        record = records.open(holder, person.uid, now, int(now) + int(valid_s))
        refresh = self._refresh(record, person, payload, now, subject)
        return refresh, self._access(record, person, payload, now, subject)

    def login(self, caller: Caller, now: float, subject: int | None = None) -> Answer:
        """Exchange a login token."""
        wish = self._wish(caller)
        login = self._look_at(wish.token, caller, now)
        try:
            person = self._person_of(login, caller)
        except Refusal:
            self._state.counts.burnt += 1
            raise
        refresh, access = None, self._bare_access(login, now)
        if wish.renewable:
            refresh, access = self.open(
                login.holder, person, now, valid_s=wish.valid_s, payload=wish.payload, subject=subject
            )
        commit = self._state.records.ledger.commit(
            "login", access, now, spent=fingerprint(login.text), successor=refresh
        )
        login.answer, login.successor = commit, refresh
        constants = caller.constants
        shows_access = wish.renewable and not constants.GENIUS_SIM_LOGIN_EMPTY_ACCESS
        shows_access = shows_access or (not wish.renewable and constants.GENIUS_SIM_ONCE_BRINGS_ACCESS)
        told = {
            "id" if constants.is_wiki else constants.GENIUS_SIM_LOGIN_ID_FIELD: subject or person.uid,
            "name": person.name,
            "groups": list(person.groups) or None,
            "avatarUrl": person.avatar_url,
            "refreshToken": refresh.text if refresh is not None else "",
            "accessToken": access.text if shows_access else "",
        }
        return Answer(data=told, commit=commit, successor=refresh.text if refresh is not None else None)

    def refresh(self, caller: Caller, now: float, subject: int | None = None) -> Answer:
        """Give an access token; nothing else changes."""
        good = self._presented(caller, now)
        if not caller.is_of(good.record.holder.client_id):
            raise Refusal(NOT_AUTHORISED, "another application's")
        records, constants = self._state.records, caller.constants
        records.ledger.books.count(good.record.holder.label, "refreshes")
        good.record.refreshes += 1
        good.record.used_at = now
        if constants.is_wiki:
            return Answer(data={"uid": subject or good.person.uid, "payload": good.payload})
        access = self._access(good.record, good.person, good.payload, now, subject)
        commit = records.ledger.commit("refresh", access, now, spent=None, successor=None)
        told = {constants.GENIUS_SIM_REFRESH_ACCESS_FIELD: access.text, **_payload(good.payload)}
        return Answer(data=told, commit=commit, successor=access.text)

    def change_payload(self, caller: Caller, now: float, subject: int | None = None) -> Answer:
        """Give one more refresh token of the same record, with another payload and the same end."""
        payload, wants_access = caller.required("payload"), caller.given.truth("accessToken")
        if wants_access is None:
            raise Refusal(MALFORMED, "accessToken: expected a truth value")
        good = self._presented(caller, now)
        if caller.constants.GENIUS_SIM_PATCH_CHECKS_APP and not caller.is_of(good.record.holder.client_id):
            raise Refusal(NOT_AUTHORISED, "another application's")
        refresh = self._refresh(good.record, good.person, payload, now, subject)
        access = self._access(good.record, good.person, payload, now, subject)
        commit = self._state.records.ledger.commit("payload", access, now, spent=None, successor=refresh)
        told = {"refreshToken": refresh.text, **({"accessToken": access.text} if wants_access else {})}
        return Answer(data=told, commit=commit, successor=refresh.text)

    def revoke(self, caller: Caller, now: float, subject: int | None = None) -> Answer:
        """End a record with all its tokens."""
        good = self._presented(caller, now)
        if caller.constants.GENIUS_SIM_DELETE_CHECKS_APP and not caller.is_of(good.record.holder.client_id):
            raise Refusal(NOT_AUTHORISED, "another application's")
        self._state.records.kill(good.record, "revoked", now)
        return Answer()

    def _wish(self, caller: Caller) -> Wish:
        given, constants = caller.given, caller.constants
        token, grant_type, valid = caller.required("token"), given.text("grantType"), given.number("valid")
        payload = given.text("payload")
        if grant_type not in _GRANT_TYPES or given.text("clientIp") is None or payload is None or valid is None:
            raise Refusal(MALFORMED, "a field has the wrong form")
        if len(payload) > constants.GENIUS_SIM_PAYLOAD_MOST:
            raise Refusal(MALFORMED, "payload: too long")
        valid = valid or int(constants.GENIUS_SIM_VALID_DEFAULT_S)
        if valid < constants.GENIUS_SIM_VALID_LEAST_S:
            raise Refusal(MALFORMED, "valid: shorter than a login may last")
        if valid > constants.GENIUS_SIM_VALID_MOST_S:
            raise Refusal(MALFORMED, "valid: out of range")
        return Wish(token=token, renewable=grant_type == "refresh_token", valid_s=valid, payload=payload)

    def _look_at(self, text: str, caller: Caller, now: float) -> LoginToken:
        """Take a login token out of the store; raises Refusal."""
        constants, records = caller.constants, self._state.records
        is_store = self._state.broken is Broken.STORE
        burns = constants.GENIUS_SIM_STORE_FAILURE_BURNS_LOGIN if is_store else constants.GENIUS_SIM_FAULT_BURNS_LOGIN
        if not burns:
            check_whole(self._state, constants)
        login = records.login(text)
        if login is None or (not login.seen and now >= login.expires_at) or not records.look_at(login):
            raise Refusal(NOT_AUTHORISED, "no such login")
        return login

    def _person_of(self, login: LoginToken, caller: Caller) -> Person:
        """Return who logged in; raises Refusal, and then the login is lost."""
        check_whole(self._state, caller.constants)
        person = self._state.people.find(login.uid)
        if person is None or not caller.is_of(login.holder.client_id):
            raise Refusal(NOT_AUTHORISED, "not this application's, or nobody's")
        return person

    def _presented(self, caller: Caller, now: float) -> Good:
        return judge(self._state, Kind.REFRESH, caller.required("token"), caller.constants, now)

    def _refresh(self, record: Record, person: Person, payload: str, now: float, subject: int | None) -> RefreshToken:
        claims = _claims(Kind.REFRESH, record, person, payload, int(now), int(record.ends_at), subject)
        return self._state.records.add_token(record, self._state.signer.token(claims), now)

    def _access(self, record: Record, person: Person, payload: str, now: float, subject: int | None) -> AccessToken:
        life_s = self._state.constants.of(record.holder.client_id, record.holder.label).GENIUS_SIM_ACCESS_TTL_S
        claims = _claims(Kind.ACCESS, record, person, payload, int(now), int(now) + int(life_s), subject)
        return self._state.records.add_access(record, self._state.signer.token(claims), now, life_s)

    def _bare_access(self, login: LoginToken, now: float) -> AccessToken:
        """Return what stands for an answer that brings nothing to keep."""
        return AccessToken(text=fresh("at"), holder=login.holder, lineage=None, issued_at=now, expires_at=now)


def _claims(
    kind: Kind, record: Record, person: Person, payload: str, issued_at: int, ends_at: int, subject: int | None
) -> dict[str, object]:
    return {
        "type": kind.value,
        "iat": issued_at,
        "exp": ends_at,
        "uid": subject or person.uid,
        "oid": person.oid,
        "id": record.number,
        "appCode": record.holder.client_id,
        **_payload(payload),
    }


def _payload(payload: str) -> dict[str, str]:
    return {"payload": payload} if payload else {}
