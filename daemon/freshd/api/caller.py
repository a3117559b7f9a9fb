"""One caller under the rules in force: what it may do, judged again whenever the rules changed.

Judgements are remembered per connection, for configured accounts only: names that a caller invents take no memory.
"""

from __future__ import annotations

from freshd.api.audit import Tally
from freshd.api.peer import Peer
from freshd.core.access import Identity, Policy, may_operate, may_read


class Caller:
    """A peer and what the present policy says of it.  `tallies`: the audit's lines for what it was handed."""

    __slots__ = ("_peer", "_policy", "_reads", "operates", "tallies")

    def __init__(self, peer: Peer, policy: Policy) -> None:
        self._peer = peer
        self.tallies: dict[str, Tally] = {}
        self._judge(policy)

    @property
    def identity(self) -> Identity:
        """Who it is."""
        return self._peer.identity

    @property
    def policy(self) -> Policy:
        """The rules it was judged by last."""
        return self._policy

    def is_vouched_for(self, policy: Policy) -> bool:
        """Whether its process still lives; judges anew under other rules.  To be asked for every request."""
        if policy is not self._policy:
            self._judge(policy)
        return self._peer.is_alive()

    def may_read(self, account: str) -> bool:
        """Whether it may have the account's leases."""
        if account in self._reads:
            return True
        allowed = may_read(self._policy, self._peer.identity, account)
        if allowed:
            self._reads.add(account)
        return allowed

    def may_see(self, account: str) -> bool:
        """Whether it may see the account's health."""
        return self.operates or self.may_read(account)

    def close(self) -> None:
        """Let go of the peer."""
        self._peer.close()

    def _judge(self, policy: Policy) -> None:
        if policy.names_units:
            self._peer.learn_unit()
        self._policy = policy
        self._reads: set[str] = set()
        self.tallies.clear()
        self.operates = may_operate(policy, self._peer.identity)
