"""The calls around a token that change nothing: what an access token is worth, whose it is, keys, people. Pure."""

import base64

from freshd.sandbox.geniusauth.codes import MALFORMED, NOT_AUTHORISED, Refusal
from freshd.sandbox.geniusauth.gate import Caller
from freshd.sandbox.geniusauth.people import Person
from freshd.sandbox.geniusauth.request import Answer
from freshd.sandbox.geniusauth.state import State
from freshd.sandbox.geniusauth.verdict import Good, Kind, judge


class Api:
    """The operations; ``subject`` as in ``Tokens``."""

    def __init__(self, state: State) -> None:
        self._state = state

    def verify(self, caller: Caller, now: float, subject: int | None = None) -> Answer:
        """Say whose an access token is."""
        good = self._presented(caller, now)
        payload = {"payload": good.payload} if good.payload else {}
        return Answer(data={"uid": subject or good.person.uid, **payload})

    def whoami(self, caller: Caller, now: float, subject: int | None = None) -> Answer:
        """Tell about the person whose access token it is."""
        person = self._presented(caller, now).person
        told = {"userID": subject or person.uid, "name": person.name, "groups": list(person.groups) or None}
        return Answer(data={**told, "avatarUrl": person.avatar_url})

    def keypair(self, caller: Caller, _now: float, _subject: int | None = None) -> Answer:
        """Show the key with which tokens can be checked, and the certificate of the authority."""
        pem = self._state.signer.public_pem(caller.constants.GENIUS_SIM_KEY_LABEL)
        return Answer(data={"jwt": _wrapped(pem), "ca": _wrapped(self._state.signer.ca_pem)})

    def users(self, caller: Caller, _now: float, _subject: int | None = None) -> Answer:
        """Tell what is public of some people; who is not there is left out."""
        parts = caller.required("id").split(",")
        if not all(part.isdecimal() for part in parts):
            raise Refusal(MALFORMED, "id: expected numbers")
        found = [self._state.people.find(int(part)) for part in parts]
        return Answer(data=[self._public(person) for person in found if person is not None])

    def _presented(self, caller: Caller, now: float) -> Good:
        good = judge(self._state, Kind.ACCESS, caller.required("token"), caller.constants, now)
        if not caller.is_of(good.record.holder.client_id):
            raise Refusal(NOT_AUTHORISED, "another application's")
        return good

    def _public(self, person: Person) -> dict[str, object]:
        groups = [{"id": self._state.people.group_id(group), "name": group} for group in person.groups]
        return {"id": person.uid, "name": person.name, "avatarUrl": person.avatar_url, "groups": groups}


def _wrapped(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()
