"""The first half of a login: free, and at its end it is certain who answers.

Rules
-----
* The order of the proofs: the answer holds certificate and signature; the certificate is in its time; the issuer's
  chain ends at a root that is trusted here, its first element issued the certificate, and the certificate is the login
  service's own by name; it is not revoked; the signature over our nonce is its.
* What is not proven ends the login before anything is signed with the identity key.  It is told as a fault, with the
  frame, so that `read` can park the account and say why.
* "Revoked" is such a fault; that revocation cannot be asked for is not.
* A refusal is handed on as the frame that it is: what it calls for stands in one table, `refusal`.
* The chain is handed on, for the same answer's certificates are proven with it.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from freshd.core.model import Record, Secret
from freshd.core.outcome import NotSent, Reply
from freshd.errors import FreshdError
from freshd.ports import Clock
from freshd.providers.aun.case import (
    CERTIFICATE,
    FAULT,
    GATEWAYS,
    ISSUERS,
    LOGIN1,
    NONCE,
    REQUEST_ID,
    REVOKED,
    UNSENT,
    held,
)
from freshd.providers.aun.certificate import Certificate, certificate_of, chain_of, chain_problem, is_issued_by
from freshd.providers.aun.gateways import Gateways
from freshd.providers.aun.options import Options
from freshd.providers.aun.revocation import MOST_SERIALS, is_revoked, listed
from freshd.providers.aun.side import Side, text_of
from freshd.providers.aun.signing import is_signed, unbase64
from freshd.providers.aun.transport import Transport
from freshd.providers.form import Foreign, object_of, text

METHOD: Final = "auth.aid_login1"
NONCE_BYTES: Final = 12
NO_AUTH_CERT: Final = "auth-cert-missing"
Material = Mapping[str, Secret]


@dataclass(frozen=True, slots=True)
class Fault:
    """What did not prove true of the service, as a word."""

    word: str


class Login:
    """The first half of logins of one account."""

    def __init__(self, options: Options, gateways: Gateways, transport: Transport, side: Side, clock: Clock) -> None:
        self._options = options
        self._gateways = gateways
        self._transport = transport
        self._side = side
        self._clock = clock

    async def begin(self, record: Record) -> Material:
        """What the second half needs; or the refusal, the fault, or why nothing was sent.  Raises FreshdError."""
        urls = await self._gateways.find()
        if isinstance(urls, NotSent):
            return {UNSENT: Secret(urls.reason)}
        client_nonce = base64.b64encode(secrets.token_bytes(NONCE_BYTES)).decode()
        own = "" if record.grant is None else held(record.grant.secrets, CERTIFICATE) or ""
        params = {"aid": self._options.aid, "cert": own, "client_nonce": client_nonce}
        performed, url = await self._gateways.reach(urls, lambda one: self._transport.call(one, METHOD, params))
        if not isinstance(performed, Reply):
            return {UNSENT: Secret(performed.reason)}
        answer = _answer(performed)
        if isinstance(answer, str):
            return {UNSENT: Secret(answer)}
        common = {GATEWAYS: Secret(" ".join((url, *(one for one in urls if one != url))))}
        frame = Secret(performed.body.decode("utf-8", "replace"))
        if answer is None:
            return {**common, LOGIN1: frame}
        proven = await self._proven(url, answer, client_nonce)
        if isinstance(proven, NotSent):
            return {UNSENT: Secret(proven.reason)}
        if isinstance(proven, Fault):
            return {**common, LOGIN1: frame, FAULT: Secret(proven.word)}
        return {**common, **proven, REQUEST_ID: Secret(answer["request_id"]), NONCE: Secret(answer["nonce"])}

    async def issuers(self, url: str) -> Material | NotSent | Fault:
        """The issuer's chain, proven up to a trusted root.  Raises FreshdError."""
        roots = roots_in(self._options.roots)
        performed = await self._side.chain(url)
        if not isinstance(performed, Reply):
            return NotSent(f"the issuer's chain cannot be had: {performed.reason}")
        if performed.status != 200 or not performed.complete:
            return NotSent(f"the issuer's chain cannot be had: status {performed.status}")
        chain = chain_of(text_of(performed))
        wrong = chain_problem(chain, roots, self._clock.now().wall)
        if wrong is not None:
            return Fault(wrong)
        return {ISSUERS: Secret("".join(one.pem for one in chain))}

    async def _proven(self, url: str, answer: Mapping[str, Any], client_nonce: str) -> Material | NotSent | Fault:
        """Whether the answer comes from the issuer's login service; see the rules for the order."""
        certificate, signature = certificate_of(answer.get("auth_cert")), unbase64(answer.get("client_nonce_signature"))
        if certificate is None or not signature:
            return Fault(NO_AUTH_CERT)
        if not certificate.is_in_time(self._clock.now().wall):
            return Fault("auth-cert-dates")
        issuers = await self.issuers(url)
        if not isinstance(issuers, Mapping):
            return issuers
        if not is_issued_by(certificate, chain_of(issuers[ISSUERS].reveal())[0]):
            return Fault("auth-cert-issuer")
        if certificate.name != self._options.auth_service:
            return Fault("auth-cert-name")
        revoked = await self._revoked(url, certificate)
        if certificate.serial in revoked:
            return Fault("auth-cert-revoked")
        if not is_signed(certificate.key, signature, client_nonce.encode()):
            return Fault("auth-signature")
        few = revoked if len(revoked) <= MOST_SERIALS else frozenset[int]()
        return {**issuers, REVOKED: Secret(" ".join(f"{serial:x}" for serial in sorted(few)))}

    async def _revoked(self, url: str, certificate: Certificate) -> frozenset[int]:
        """Serial numbers known to be revoked; the list first, then the word on this certificate."""
        revoked = listed(await self._side.list_of_revoked(url))
        if certificate.serial in revoked:
            return revoked
        is_bad = is_revoked(await self._side.word_on(url, certificate.serial))
        return revoked | {certificate.serial} if is_bad else revoked


def roots_in(path: str) -> tuple[Certificate, ...]:
    """The roots that are trusted, out of a small file.  Raises FreshdError."""
    try:
        bundle = Path(path).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise FreshdError(
            f"the trusted roots cannot be read ({type(error).__name__})", "check roots in the configuration"
        ) from None
    roots = chain_of(bundle)
    if not roots:
        raise FreshdError("the trusted roots hold no certificate that can be read", "check the file named by roots")
    return roots


def _answer(reply: Reply) -> Mapping[str, Any] | str | None:
    """What the second half needs, in a mapping; None where the service refused; why it is no answer at all."""
    found = object_of(reply)
    if isinstance(found, Foreign):
        return f"what came is no answer: {found}"
    result = found.get("result")
    if found.get("error") is not None or (isinstance(result, dict) and result.get("success") is False):
        return None
    if not isinstance(result, dict) or text(result.get("request_id")) is None or text(result.get("nonce")) is None:
        return "the first answer of the login lacks request_id or nonce"
    return result
