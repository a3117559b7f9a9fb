"""What a platform login brings, whichever way it was reached: a new ticket, new signatures, a code for each broker.

One function, one change: it is final when it returns. Overseas accounts get a second set of signatures and no
signature of the device; the others get that and not the second set.
"""

from freshd.sandbox.futu.account import Broker, FutuAccount
from freshd.sandbox.futu.answer import Fields, Granted, whole
from freshd.sandbox.futu.constants import FutuConstants
from freshd.sandbox.futu.credential import Credential, opaque
from freshd.sandbox.futu.state import FutuState
from freshd.sandbox.tokens import Commit, fresh

RAND_KEY_BYTES = 32


def grant_login(
    state: FutuState, account: FutuAccount, operation: str, now: float, ticket: Credential | None
) -> Granted:
    """Log the account in; ``ticket`` is what was presented, if anything was."""
    promises = state.promises(account)
    renewed = account.tickets.issue(fresh("tg"), now, promises.FUTU_SIM_TGTGT_TTL_S)
    commit = state.books.commit(operation, account.label, now, ticket, renewed)
    if ticket is not None:
        ticket.replace(commit, renewed)
        if promises.FUTU_SIM_TGTGT_SINGLE_USE:
            ticket.spent_at = now
    result: Fields = {
        "uid": account.uid,
        "tgtgt_new": renewed.text,
        "rand_key_new": opaque(RAND_KEY_BYTES),
        "web_sig_new": _web_sig(account, promises, now, commit).text,
        **_client_sig(account, promises, now, commit),
        **_device(account),
        "svr_time": int(now),
    }
    entries = []
    listed: list[Fields] = []
    for broker in account.brokers.values():
        code, entry = replace_code(state, broker, promises, operation, now, None)
        entries.append(entry)
        listed.append(code_fields(broker, code, promises))
    result["auth_code_list"] = listed
    return Granted(result=result, commit=commit, others=tuple(entries), successor=renewed.text)


def replace_code(
    state: FutuState,
    broker: Broker,
    promises: FutuConstants,
    operation: str,
    now: float,
    presented: Credential | None,
) -> tuple[Credential, Commit]:
    """Make a code for one broker and enter it; the unspent ones before it become worthless, by a constant each way."""
    repulled = operation == "repull"
    voids = promises.FUTU_SIM_REPULL_VOIDS_OLD_CODE if repulled else promises.FUTU_SIM_LOGIN_VOIDS_OLD_CODE
    former = broker.codes.unspent() if voids else []
    code = broker.codes.issue(fresh("ac"), now, promises.FUTU_SIM_AUTH_CODE_TTL_S)
    commit = state.books.commit(operation, broker.label, now, presented, code)
    for old in former:
        old.is_void = True
        old.replace(commit, code)
    return code, commit


def code_fields(broker: Broker, code: Credential, promises: FutuConstants) -> Fields:
    """Return how an answer writes a code; its end is an instant or, by a constant, a time to live."""
    until = code.expires_at if promises.FUTU_SIM_INVALID_TIME_ABSOLUTE else code.expires_at - code.issued_at
    return {"broker_id": broker.broker_id, "auth_code": code.text, "invalid_time": int(until)}


def _web_sig(account: FutuAccount, promises: FutuConstants, now: float, commit: Commit) -> Credential:
    if promises.FUTU_SIM_LOGIN_VOIDS_OLD_WEB_SIG:
        account.web_sigs.void()
    made = account.web_sigs.issue(fresh("ws"), now, promises.FUTU_SIM_WEB_SIG_TTL_S)
    made.born = commit
    return made


def _client_sig(account: FutuAccount, promises: FutuConstants, now: float, commit: Commit) -> Fields:
    made = account.client_sigs.issue(opaque(), now, promises.FUTU_SIM_CLIENT_SIG_TTL_S)
    made.born = commit
    lifetime = whole(promises.FUTU_SIM_CLIENT_SIG_TTL_S)
    return {"client_sig": made.text, "client_key": opaque(), "cltsig_invalidtime": lifetime}


def _device(account: FutuAccount) -> Fields:
    if account.is_overseas:
        return {"moomoo_client_sig": opaque(), "moomoo_client_key": opaque(), "moomoo_web_sig_new": fresh("mw")}
    made = fresh("ds")
    account.device_sigs.add(made)
    return {"device_sig_new": made}
