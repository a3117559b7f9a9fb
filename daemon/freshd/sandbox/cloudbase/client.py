"""Which clients and cloud keys there are, and how a request shows whose it is. Pure.

Rules: a client has a secret, which may be empty. A cloud key is an id and a secret of its own and is good for client
credentials only.
"""

import dataclasses
import hmac

from freshd.sandbox.cloudbase.constants import CloudbaseConstants
from freshd.sandbox.cloudbase.refusal import Refusal
from freshd.sandbox.cloudbase.request import Request

ENV = "sandbox-env"
SECRET_ID = "AKIDsandbox"
SECRET_KEY = "sandbox-secret"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CloudbaseClient:
    """One client. ``allowed`` False: known, and refused."""

    client_id: str
    client_secret: str = dataclasses.field(default="", repr=False)
    allowed: bool = True


class CloudbaseClients:
    """All clients of the environment ``env``, whose id is also the first client's, and all cloud keys."""

    def __init__(self, env: str = ENV) -> None:
        """Register the environment's own client and one cloud key."""
        self.env = env
        self._known = {env: CloudbaseClient(client_id=env)}
        self._cloud_keys = {SECRET_ID: SECRET_KEY}

    def register(self, client: CloudbaseClient) -> None:
        """Add a client or replace the one of the same id."""
        self._known[client.client_id] = client

    def add_cloud_key(self, secret_id: str, secret_key: str) -> None:
        """Add a cloud key or replace the one of the same id."""
        self._cloud_keys[secret_id] = secret_key

    def identify(self, request: Request, constants: CloudbaseConstants) -> str:
        """Return the id of the client that asks; raises Refusal. None named: the environment's own."""
        named = request.client_id
        if not named and constants.CLOUDBASE_SIM_CLIENT_ID_REQUIRED:
            raise Refusal("invalid_argument")
        client = self._known.get(named or self.env)
        if client is None:
            raise Refusal("invalid_client")
        basic = request.basic or (client.client_id, request.text("client_secret"))
        is_same = hmac.compare_digest(basic[1].encode(), client.client_secret.encode())
        if basic[0] != client.client_id or not is_same or not client.allowed:
            raise Refusal("unauthorized_client")
        return client.client_id

    def check_cloud_key(self, request: Request) -> str:
        """Return the id of the cloud key that asks; raises Refusal."""
        secret_id, secret_key = request.basic or ("", "")
        expected = self._cloud_keys.get(secret_id, "")
        if not expected or not hmac.compare_digest(expected.encode(), secret_key.encode()):
            raise Refusal("unauthorized_client")
        if request.text("client_id") not in ("", *self._known):
            raise Refusal("invalid_client")
        return secret_id
