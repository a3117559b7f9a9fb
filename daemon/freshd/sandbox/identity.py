"""Who the service says somebody is: id_tokens (OpenID Connect Core section 2), signed with a key made at first use."""

import functools
from typing import Any

from joserfc import jwk, jwt

_LIFE_S = 3600  # nobody here looks at an id_token later than at its arrival


class Notary:
    """Signs id_tokens with ES256; the key lives as long as the object."""

    @functools.cached_property
    def _key(self) -> jwk.ECKey:
        return jwk.ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": "sandbox"}, private=True)

    def keys(self) -> dict[str, Any]:
        """Return the public key set (RFC 7517 section 5)."""
        return {"keys": [self._key.as_dict(private=False)]}

    def id_token(self, issuer: str, subject: str, client_id: str, now: float, nonce: str | None = None) -> str:
        """Return a signed id_token for ``client_id`` about ``subject``; ``now`` is wall seconds."""
        claims: dict[str, Any] = {
            "iss": issuer,
            "sub": subject,
            "aud": client_id,
            "iat": int(now),
            "exp": int(now) + _LIFE_S,
        }
        if nonce is not None:
            claims["nonce"] = nonce
        return jwt.encode({"alg": "ES256", "kid": "sandbox"}, claims, self._key)
