"""The two operations of Futu's stand-in that concern one broker: a new code by ``repull``, and its exchange.

A refused repull changes nothing but the clock of its pace. The exchange spends the code, whatever becomes of the
answer; a code that was replaced is refused like a spent one.
"""

from freshd.sandbox.futu.account import Broker, FutuAccount
from freshd.sandbox.futu.answer import Asked, Fields, Granted, Refusal, whole
from freshd.sandbox.futu.books import bump
from freshd.sandbox.futu.constants import FutuConstants
from freshd.sandbox.futu.credential import Credential, Standing, opaque, standing
from freshd.sandbox.futu.login import code_fields, replace_code
from freshd.sandbox.futu.state import FutuState
from freshd.sandbox.tokens import fresh

NO_VALID_CID = 20029


class FutuBroker:
    """The operations."""

    def __init__(self, state: FutuState) -> None:
        """Work on ``state``."""
        self._state = state

    def repull(self, asked: Asked, now: float) -> Granted | Refusal:
        """Give one broker a new code."""
        account = self._state.accounts.find(asked.number("uid"))
        promises = self._state.promises(account)
        broker_id = asked.number("broker_id")
        if account is None or broker_id is None or not asked.text("device_id"):
            return Refusal(code=promises.FUTU_SIM_ERR_MALFORMED, message="incomplete")
        broker = account.brokers.get(broker_id)
        if broker is not None and broker.repulls.enter(now, promises.FUTU_SIM_REPULL_MIN_INTERVAL_S):
            return Refusal(code=promises.FUTU_SIM_ERR_REPULL_TOO_FREQUENT, message="too frequent")
        web_sig = account.web_sigs.find(asked.text("web_sig"))
        is_known = asked.text("device_id") in account.devices
        if web_sig is None or standing(web_sig, now) is not Standing.LIVE or not is_known:
            return Refusal(code=promises.FUTU_SIM_ERR_WEB_SIG_REFUSED, message="web_sig refused")
        web_sig.present()
        if broker is None:
            return Refusal(code=NO_VALID_CID, message="no valid cid")
        return self._repulled(account, broker, promises, now, web_sig)

    def _repulled(
        self, account: FutuAccount, broker: Broker, promises: FutuConstants, now: float, web_sig: Credential
    ) -> Granted:
        code, commit = replace_code(self._state, broker, promises, "repull", now, web_sig)
        result: Fields = {"uid": account.uid, **code_fields(broker, code, promises)}
        if promises.FUTU_SIM_REPULL_ROTATES_WEB_SIG:
            account.web_sigs.void()
            made = account.web_sigs.issue(fresh("ws"), now, promises.FUTU_SIM_WEB_SIG_TTL_S)
            made.born = commit
            result["web_sig_new"] = made.text
        return Granted(result=result, commit=commit, successor=code.text)

    def client_auth(self, asked: Asked, now: float) -> Granted | Refusal:
        """Exchange a code for the signature of the trading connection."""
        account = self._state.accounts.find(asked.number("uid"))
        promises = self._state.promises(account)
        broker_id, device = asked.number("broker_id"), asked.text("device_id")
        if account is None or broker_id is None or device not in account.devices:
            return Refusal(code=promises.FUTU_SIM_ERR_MALFORMED, message="incomplete, or a device never seen")
        broker = account.brokers.get(broker_id)
        code = broker.codes.find(asked.text("auth_code")) if broker is not None else None
        worth = standing(code, now)
        if worth is Standing.EXPIRED:
            return Refusal(code=promises.FUTU_SIM_ERR_AUTH_CODE_EXPIRED, message="code expired")
        if broker is None or code is None or worth is not Standing.LIVE:
            if broker is not None and code is not None:
                self._count(account, broker, code)
            return Refusal(code=promises.FUTU_SIM_ERR_AUTH_CODE_USED, message="code used")
        code.present()
        return self._exchanged(account, broker, promises, now, code)

    def _count(self, account: FutuAccount, broker: Broker, code: Credential) -> None:
        """Count the use of a code that is worth nothing any more."""
        tally = self._state.books.tally(account.uid)
        if code.spent_at is None:
            if code.has_known_heir:
                bump(tally.void_uses, broker.broker_id)
        elif self._state.books.replay(broker.label, code):
            bump(tally.spent_uses, broker.broker_id)

    def _exchanged(
        self, account: FutuAccount, broker: Broker, promises: FutuConstants, now: float, code: Credential
    ) -> Granted:
        if promises.FUTU_SIM_BROKER_AUTH_VOIDS_OLD_SIG:
            broker.sigs.void()
        sig = broker.sigs.issue(opaque(), now, promises.FUTU_SIM_BROKER_SIG_TTL_S)
        commit = self._state.books.commit("broker_auth", broker.label, now, code, sig)
        code.replace(commit, sig)
        if promises.FUTU_SIM_AUTH_CODE_SINGLE_USE:
            code.spent_at = now
        result: Fields = {
            "customer_id": self._state.accounts.customer_id(broker),
            promises.FUTU_SIM_BROKER_SIG_FIELD: sig.text,
            promises.FUTU_SIM_BROKER_KEY_FIELD: opaque(),
            "cltsig_invalidtime": whole(promises.FUTU_SIM_BROKER_SIG_TTL_S),
        }
        return Granted(result=result, commit=commit, successor=sig.text)
