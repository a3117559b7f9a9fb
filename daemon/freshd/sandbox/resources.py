"""The endpoints around a token: metadata (RFC 8414), revocation (RFC 7009), introspection (RFC 7662), and a resource.

None of them issues anything. ``/userinfo`` is the harmless call with which a client finds out whether a token works.
"""

from collections.abc import Callable

from aiohttp import web

from freshd.sandbox.clients import ALL_GRANTS, Client
from freshd.sandbox.fault_queue import Plan, Scope
from freshd.sandbox.oauth2 import BadForm, Service, read_form, refusal
from freshd.sandbox.turn import Work, Worked

_INVALID = 'Bearer realm="sandbox", error="invalid_token", error_description="expired, revoked or unknown"'


class Resources:
    """The handlers."""

    def __init__(self, service: Service) -> None:
        """Serve for ``service``."""
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        """Return where they live."""
        return [
            web.get("/.well-known/oauth-authorization-server", self.metadata),
            web.get("/.well-known/openid-configuration", self.metadata),
            web.get("/jwks", self.keys),
            web.get("/userinfo", self.userinfo),
            web.post("/revoke", self.revoke),
            web.post("/introspect", self.introspect),
            web.post("/elsewhere", self.elsewhere),
        ]

    async def metadata(self, request: web.Request) -> web.StreamResponse:
        """Say where everything is (RFC 8414 section 2)."""
        return await self._perform(request, "metadata", lambda _: Worked(answer=_metadata(self._service.issuer)))

    async def keys(self, request: web.Request) -> web.StreamResponse:
        """Show the keys that sign id_tokens."""
        return await self._perform(request, "jwks", lambda _: Worked(answer=self._service.notary.keys()))

    async def userinfo(self, request: web.Request) -> web.StreamResponse:
        """Answer 200 or the 401 of RFC 6750 section 3.1; a token that was never good has no label for faults."""
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        known = self._service.ledger.shelf.access_token(text) if scheme.lower() == "bearer" else None

        def work(_: Plan) -> Worked:
            if not text:
                return Worked(answer={}, status=401, headers={"WWW-Authenticate": 'Bearer realm="sandbox"'})
            access = self._service.ledger.accepts(text, self._service.now()) if known is not None else None
            if access is None:
                return refusal(
                    "invalid_token", "expired, revoked or unknown", status=401, headers={"WWW-Authenticate": _INVALID}
                )
            return Worked(
                answer={
                    "sub": access.holder.subject,
                    "client_id": access.holder.client_id,
                    "scope": access.holder.scope,
                }
            )

        label, client_id = (known.holder.label, known.holder.client_id) if known is not None else (None, None)
        return await self._service.stage.perform(
            request, Scope(endpoint="userinfo", label=label, client_id=client_id), work
        )

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """End a token (RFC 7009): a refresh token takes its lineage along; an unknown token is no error."""
        return await self._for_client(request, "revoke", self._revoke)

    async def introspect(self, request: web.Request) -> web.StreamResponse:
        """Say whether a token is active (RFC 7662 section 2.2)."""
        return await self._for_client(request, "introspect", self._introspect)

    async def elsewhere(self, request: web.Request) -> web.StreamResponse:
        """Count a secret that followed a redirect to where it should never have gone."""
        await request.read()
        self._service.leaked_posts += 1
        return web.json_response({"error": "invalid_request"}, status=400)

    def _revoke(self, client: Client, form: dict[str, str]) -> Worked:
        ledger, now = self._service.ledger, self._service.now()
        text = form.get("token", "")
        refresh, access = ledger.find(text), ledger.shelf.access_token(text)
        if refresh is not None and refresh.lineage.holder.client_id == client.client_id:
            ledger.kill(refresh.lineage, "revoked", now)
        elif access is not None and access.holder.client_id == client.client_id:
            access.revoked = True
        return Worked(answer={})

    def _introspect(self, client: Client, form: dict[str, str]) -> Worked:
        ledger, now = self._service.ledger, self._service.now()
        text = form.get("token", "")
        access, refresh = ledger.shelf.access_token(text), ledger.find(text)
        if access is not None and access.holder.client_id == client.client_id and access.is_alive(now):
            return Worked(
                answer={
                    "active": True,
                    "token_type": "Bearer",
                    "sub": access.holder.subject,
                    "client_id": access.holder.client_id,
                    "scope": access.holder.scope,
                    "iat": int(access.issued_at),
                    "exp": int(access.expires_at),
                    "iss": self._service.issuer,
                }
            )
        if (
            refresh is not None
            and refresh.lineage.holder.client_id == client.client_id
            and ledger.would_take(refresh, now)
        ):
            return Worked(
                answer={
                    "active": True,
                    "sub": refresh.lineage.holder.subject,
                    "client_id": client.client_id,
                    "scope": refresh.lineage.holder.scope,
                    "iss": self._service.issuer,
                }
            )
        return Worked(answer={"active": False})

    async def _for_client(
        self, request: web.Request, endpoint: str, work: Callable[[Client, dict[str, str]], Worked]
    ) -> web.StreamResponse:
        try:
            form, flaw = await read_form(request), None
        except BadForm as error:
            form, flaw = {}, str(error)

        def whole(_: Plan) -> Worked:
            if flaw is not None:
                return refusal("invalid_request", flaw)
            client = self._service.authenticate(request, form)
            return client if isinstance(client, Worked) else work(client, form)

        return await self._service.stage.perform(request, Scope(endpoint=endpoint), whole)

    async def _perform(self, request: web.Request, endpoint: str, work: Work) -> web.StreamResponse:
        return await self._service.stage.perform(request, Scope(endpoint=endpoint), work)


def _metadata(issuer: str) -> dict[str, object]:
    methods = ["client_secret_basic", "client_secret_post", "none"]
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "device_authorization_endpoint": f"{issuer}/device_authorization",
        "revocation_endpoint": f"{issuer}/revoke",
        "introspection_endpoint": f"{issuer}/introspect",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "jwks_uri": f"{issuer}/jwks",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(ALL_GRANTS),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": methods,
        "authorization_response_iss_parameter_supported": True,
        "scopes_supported": ["openid", "offline_access"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }
