"""What a sign-in presents, by method: a fresh ticket, a password, nothing, a provider's token, a checked code.

Rules
-----
* All of it is made or fetched before the intent and reaches neither intent nor journal; it is used once.
* A password that was refused is known again by a salted, slow digest, kept with the grant: nothing is sent then.
* What another service has refused is not asked for again for some minutes (`REFUSED_SECONDS`): whoever waits for a
  sign-in must not hammer.
* No sign-in creates a user where the service can be told not to.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from freshd.core.model import EMPTY, Record, Secret
from freshd.core.outcome import Reply
from freshd.core.settings import SecretRef
from freshd.errors import FreshdError, NotPossible
from freshd.providers.cloudbase import ticket
from freshd.providers.cloudbase.case import PASSWORD_MARK, REFUSED_PASSWORD, held
from freshd.providers.cloudbase.client import Client, NotDone
from freshd.providers.cloudbase.flow import verified_of
from freshd.providers.cloudbase.service import ANONYMOUSLY, CUSTOM, PROVIDER_TOKEN, SIGN_IN, WITH_PROVIDER
from freshd.providers.form import Foreign, bearer, object_of
from freshd.providers.http import Call

REFUSED_SECONDS: Final = 600.0
SALT_BYTES: Final = 12
ROUNDS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Presented:
    """A sign-in's path and body, and what the reading of its answer needs."""

    path: str
    body: Mapping[str, Any] = field(repr=False)
    material: Mapping[str, Secret] = field(repr=False, default_factory=lambda: EMPTY)


class Ways:
    """One account's sign-ins.  Remembers what another service has refused, and until when."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._refusal: tuple[float, FreshdError] | None = None

    async def presented(self, record: Record) -> Presented:
        """What the sign-in of this account sends.  Raises FreshdError where it cannot be made: nothing was sent."""
        match self._client.options.method:
            case "custom":
                return Presented(CUSTOM, {"provider_id": "custom", "ticket": await self._ticket()})
            case "password":
                return await self._password(record)
            case "anonymous":
                return Presented(ANONYMOUSLY, {})
            case "provider":
                return await self._provider(record)
        return self._code(record)

    async def check(self) -> None:
        """Whether a ticket could be made; nothing is sent.  Raises FreshdError."""
        reference = self._client.options.key_file
        if reference is not None:
            ticket.key_file((await self._resolved(reference)).reveal(), self._client.options.env)

    async def _ticket(self) -> str:
        options, now_ms = self._client.options, int(self._client.deps.clock.now().wall * 1000)
        if options.key_file is not None:
            key = ticket.key_file((await self._resolved(options.key_file)).reveal(), options.env)
            return ticket.made(key, options.env, options.uid or "", now_ms)
        if options.ticket is not None:
            return ticket.foreign((await self._resolved(options.ticket)).reveal(), options.env, options.uid, now_ms)
        return ticket.foreign(await self._fetched(), options.env, options.uid, now_ms)

    async def _fetched(self) -> str:
        """The ticket that an address of the operators' hands out: JSON with `ticket`, or the ticket alone."""
        options = self._client.options
        head = {} if options.ticket_url_token is None else await self._bearing(options.ticket_url_token)
        self._rest()
        performed = await self._client.deps.http.call(Call("GET", options.ticket_url or "", head, route=options.route))
        if not isinstance(performed, Reply):
            raise self._refused(f"ticket_url brings no ticket: {performed.reason}", "look at what makes the tickets")
        if performed.status != 200 or not performed.complete:
            wrong = f"ticket_url brings no ticket (status {performed.status})"
            raise self._refused(wrong, "look at what makes the tickets")
        found = object_of(performed)
        given = None if isinstance(found, Foreign) else found.get("ticket")
        if isinstance(given, str):
            return given
        return performed.body.decode("utf-8", "replace") if isinstance(found, Foreign) else ""

    async def _bearing(self, reference: SecretRef) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {(await self._resolved(reference)).reveal()}"}

    async def _password(self, record: Record) -> Presented:
        options = self._client.options
        if options.password is None:
            raise NotPossible("there is no password", "write password = { file = … }")
        user, word = options.username or "", (await self._resolved(options.password)).reveal()
        before = held(record, REFUSED_PASSWORD)
        if before is not None and is_marked(before, user, word):
            raise PasswordRefused(
                "the service has refused this password before, so it is not presented again",
                "store the right one where password points to; freshd then goes on by itself",
            )
        mark = Secret(mark_of(user, word, secrets.token_hex(SALT_BYTES)))
        return Presented(SIGN_IN, {"username": user, "password": word}, {PASSWORD_MARK: mark})

    async def _provider(self, record: Record) -> Presented:
        """A provider's token becomes one of the service, which is good for an hour; nothing of ours is spent."""
        options = self._client.options
        access = options.provider_access_token
        reference, name = (
            (access, "provider_access_token") if access else (options.provider_id_token, "provider_id_token")
        )
        if reference is None:
            raise NotPossible("there is no token of the provider", "write provider_id_token = { command = … }")
        body = {"provider_id": options.provider_id, name: (await self._resolved(reference)).reveal()}
        self._rest()
        said = await self._client.free(
            self._client.post(PROVIDER_TOKEN, body, self._client.device(record, is_new=True))
        )
        if isinstance(said, FreshdError):
            raise self._refused(f"the provider's token is not taken: {said.cause}", "renew it; check provider_id")
        token = bearer(said.members.get("provider_token"))
        if token is None:
            raise self._refused("the service gave no provider_token", "check provider_id")
        sent = {"provider_token": token, "provider_id": options.provider_id, "force_disable_sign_up": True}
        return Presented(WITH_PROVIDER, sent)

    def _code(self, record: Record) -> Presented:
        """What a checked code brought."""
        found = verified_of(record)
        if found is None or found.left(self._client.deps.clock.now()) <= 0:
            raise NotPossible("no code was checked, or that is too long ago", "freshd enrol ACCOUNT")
        body = {"verification_token": found.token, "username": self._client.options.login}
        return Presented(SIGN_IN, body)

    async def _resolved(self, reference: SecretRef) -> Secret:
        return await self._client.deps.resolve(reference)

    def _rest(self) -> None:
        """Raise the last refusal again while it is fresh."""
        if self._refusal is not None and self._client.deps.clock.boot() < self._refusal[0]:
            raise self._refusal[1]

    def _refused(self, cause: str, remedy: str) -> FreshdError:
        error = NotPossible(cause, remedy)
        self._refusal = (self._client.deps.clock.boot() + REFUSED_SECONDS, error)
        return error


class PasswordRefused(FreshdError):
    """The configured password is the one that the service has refused.  Nothing was sent."""

    exit_code = 77
    type = "password-refused"


def mark_of(user: str, word: str, salt: str) -> str:
    """What tells this password, for this user, from another one."""
    digest = hashlib.pbkdf2_hmac("sha256", f"{user}\0{word}".encode("utf-8", "surrogatepass"), salt.encode(), ROUNDS)
    return f"{salt}:{digest.hex()}"


def is_marked(mark: Secret, user: str, word: str) -> bool:
    """Whether it is the marked one."""
    salt = mark.reveal().partition(":")[0]
    return hmac.compare_digest(mark_of(user, word, salt).encode(), mark.reveal().encode("utf-8", "surrogatepass"))


__all__ = ["NotDone", "PasswordRefused", "Presented", "Ways", "is_marked", "mark_of"]
