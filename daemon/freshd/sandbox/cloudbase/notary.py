"""Access tokens: JWTs signed with RS256 by a key made at first use. Nobody here needs to verify one."""

import functools
import hashlib
import secrets
from collections.abc import Callable

from joserfc import jwk, jwt

from freshd.sandbox.cloudbase.constants import Method
from freshd.sandbox.tokens import Holder

_KEY_ID = "cloudbase-sandbox"
_KEY_BITS = 2048


class CloudbaseNotary:
    """Signs; the key lives as long as the object."""

    def __init__(self, env: str, where: Callable[[], str]) -> None:
        """Sign for the environment ``env``; ``where`` is asked for its address."""
        self._where = where
        self._env = env

    @functools.cached_property
    def _key(self) -> jwk.RSAKey:
        return jwk.RSAKey.generate_key(_KEY_BITS, {"use": "sig", "alg": "RS256", "kid": _KEY_ID}, private=True)

    def access_token(self, holder: Holder, method: Method, now: float, life_s: float) -> str:
        """Return a new token; no two are alike. ``now`` is wall seconds; the token's times are whole ones."""
        is_anonymous = method is Method.ANONYMOUS
        mark = hashlib.sha256(secrets.token_bytes(16)).hexdigest()[:24]
        claims: dict[str, object] = {
            "iss": self._where() or f"https://{self._env}.example",
            "sub": holder.subject,
            "aud": holder.client_id,
            "exp": int(now + life_s),
            "iat": int(now),
            "at_hash": f"r.{mark}",
            "scope": holder.scope,
            "project_id": self._env,
            "provider_type": method.value,
            "meta": {"wxOpenId": "", "wxUnionId": ""},
            "user_type": "" if is_anonymous else "external",
        }
        if is_anonymous:
            claims |= {"name": "Anonymous", "nonce": mark}
        return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": _KEY_ID}, claims, self._key)
