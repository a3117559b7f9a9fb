"""CloudBase's place in the sandbox: its calls on the public port, its levers on the control port.

The OAuth 2.0 service beside it is its upstream: access tokens and id_tokens of that service prove somebody to the
provider calls here.
"""

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from freshd.sandbox.cloudbase.control import CloudbaseControl
from freshd.sandbox.cloudbase.environment import Environment
from freshd.sandbox.cloudbase.levers import Levers
from freshd.sandbox.cloudbase.routes import CloudbaseRoutes
from freshd.sandbox.oauth2 import Service
from freshd.sandbox.stands import Ground


def mount(ground: Ground) -> Environment:
    """Serve an environment whose books are those of the whole sandbox."""
    service = ground.service
    environment = Environment(service.ledger, where=lambda: service.issuer)
    environment.providers.vouches = {
        "provider_access_token": lambda text, now: _whose_access_token(service, text, now),
        "provider_id_token": lambda text, now: _whose_id_token(service, text, now),
    }
    ground.public.add_routes(CloudbaseRoutes(environment, service.stage).routes())
    ground.control.add_routes(CloudbaseControl(Levers(environment, service.now)).routes())
    return environment


def _whose_access_token(service: Service, text: str, now: float) -> str | None:
    access = service.ledger.accepts(text, now)
    return access.holder.subject if access is not None else None


def _whose_id_token(service: Service, text: str, now: float) -> str | None:
    try:
        claims = jwt.decode(text, KeySet.import_key_set(service.notary.keys()), algorithms=["ES256"]).claims  # type: ignore[arg-type] # the keys are a plain object
    except (JoseError, ValueError):
        return None
    is_good = claims.get("iss") == service.issuer and now < claims.get("exp", 0)
    return str(claims["sub"]) if is_good and "sub" in claims else None
