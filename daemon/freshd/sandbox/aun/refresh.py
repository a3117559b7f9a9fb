"""``auth.refresh_token``, in the words of the wire."""

from freshd.sandbox.aun.answer import BAD_PARAMS, Asked, Fields, Refusal, Told
from freshd.sandbox.aun.chains import Denied
from freshd.sandbox.aun.constants import AunConstants, Form
from freshd.sandbox.aun.login import successor_of, tokens_of
from freshd.sandbox.aun.state import AunState
from freshd.sandbox.tokens import fingerprint


class Refresh:
    """The operation."""

    def __init__(self, state: AunState) -> None:
        """Work on ``state``."""
        self._state = state

    def refresh(self, asked: Asked, now: float) -> Told:
        """Spend a refresh token for a new pair."""
        text = asked.text("refresh_token")
        if not text:
            raise Refusal(BAD_PARAMS, "missing refresh_token", as_result=_detail(""))
        found = self._state.chains.find(text)
        aid = found[1].holder.client_id if found is not None else None
        promises = self._state.constants.of(aid)
        try:
            issue = self._state.chains.refresh(text, promises, now, device=asked.text("device_id"))
        except Denied as denied:
            raise _refusal(denied, promises, text) from denied
        chain = self._state.chains.find(text)
        result: Fields = {"success": True, **tokens_of(issue, promises, now)}
        if promises.AUN_SIM_REFRESH_DETAIL and chain is not None:
            result |= {"aid": aid, "refresh_count": chain[1].refreshes}
        return Told(result=result, commit=issue.commit, successor=successor_of(issue))


def _refusal(denied: Denied, promises: AunConstants, text: str) -> Refusal:
    """Put a no into the form that was chosen."""
    detail = _detail(text) if promises.AUN_SIM_RELOGIN_FLAG else {}
    if denied.is_chain_end:
        as_result = detail if promises.AUN_SIM_CHAIN_END is Form.RESULT else None
        return Refusal(promises.AUN_SIM_CHAIN_END_CODE, "refresh chain used up", data=detail, as_result=as_result)
    as_result = detail if promises.AUN_SIM_REFRESH_REFUSAL is Form.RESULT else None
    said = promises.AUN_SIM_REFRESH_REFUSAL_TEXT
    return Refusal(promises.AUN_SIM_REFRESH_REFUSAL_CODE, said, as_result=as_result)


def _detail(text: str) -> Fields:
    prefix = fingerprint(text)[:4] if text else ""
    diagnostic = {"refresh_token_hash_prefix": f"sha256:{prefix}"}
    return {"relogin_required": True, "retryable": False, "diagnostic": diagnostic}
