"""What AUN's operations share."""

import collections

from freshd.sandbox.aun.agents import Agent, Agents
from freshd.sandbox.aun.answer import Fields, Refusal
from freshd.sandbox.aun.books import AunBooks
from freshd.sandbox.aun.chains import Chains
from freshd.sandbox.aun.constants import AunConstants, ConstantBook, Form
from freshd.sandbox.aun.nonces import Challenges, LoginNonces
from freshd.sandbox.aun.pki import Pki
from freshd.sandbox.aun.script import Script
from freshd.sandbox.grants import Ledger


class AunState:
    """The state; ``offset_s`` is how far the gateway's clock is from true time."""

    def __init__(self, ledger: Ledger, now: float) -> None:
        """Make keys and certificates at ``now``, in wall seconds; enter into ``ledger``."""
        self.pki = Pki(now)
        self.agents = Agents(self.pki)
        self.books = AunBooks(ledger)
        self.chains = Chains(ledger, self.pki)
        self.nonces = LoginNonces(self.books)
        self.challenges = Challenges(self.books)
        self.constants = ConstantBook()
        self.script = Script()
        self.offset_s = 0.0
        self.revoked_at: dict[str, float] = {}
        self._preauth: collections.deque[float] = collections.deque()

    def promises(self, agent: Agent | None) -> AunConstants:
        """Return what holds for an AID."""
        return self.constants.of(None if agent is None else agent.aid)

    def agent(self, aid: str) -> Agent:
        """Return an AID's record; raises Refusal."""
        found = self.agents.find(aid)
        if found is None:
            raise self.login_refusal(self.constants.of(aid), self.constants.of(aid).AUN_SIM_UNKNOWN_AID_CODE, "aid")
        return found

    @staticmethod
    def login_refusal(promises: AunConstants, code: int, message: str) -> Refusal:
        """Return the refusal of a login in the form that was chosen."""
        as_result: Fields | None = {} if promises.AUN_SIM_LOGIN_REFUSAL is Form.RESULT else None
        return Refusal(code, message, as_result=as_result)

    def check_rate(self, now: float) -> None:
        """Count a call without a session; raises Refusal beyond the limit, which is everybody's together."""
        promises = self.constants.of()
        while self._preauth and self._preauth[0] <= now - 60:
            self._preauth.popleft()
        if promises.AUN_SIM_PREAUTH_PER_MIN and len(self._preauth) >= promises.AUN_SIM_PREAUTH_PER_MIN:
            wait_s = promises.AUN_SIM_RETRY_AFTER_S
            data: Fields = {} if wait_s is None else {"retry_after": wait_s}
            raise Refusal(promises.AUN_SIM_RATE_CODE, "rate limited", data=data)
        self._preauth.append(now)
