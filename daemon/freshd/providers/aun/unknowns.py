"""What nobody outside knows about AUN's servers, each behind one name.  The careful answer is the one in force.

Rules
-----
* Nothing here was ever tried on the real service.  Who learns more changes the value, and the test that names it.
* What an operator can know better (contract, chain limits) is a key of the account instead.
"""

from __future__ import annotations

from typing import Final

CLOCK_SECONDS: Final = 300.0
"""How far a certificate's dates may be off our clock: one reference client allows this much, the other nothing."""
CHAIN_REFRESHES: Final = 720
"""Refreshes after which a login is due, whatever else."""
CHAIN_SECONDS: Final = 30 * 86_400.0
"""Age of a chain of refreshes at which a login is due.  That the limit reached first holds is a guess."""
RENEWABLE_SECONDS: Final = 90 * 86_400.0
"""How long after its end a certificate may still be renewed."""
IN_FLIGHT_SECONDS: Final = 86_400.0
"""After this long a new key whose registration was never answered will not be registered any more.

The nonce that such a call needs lives for a minute; a day is beyond every queue.
"""
KEEPS_TOKENS: Final = False
"""Whether a refresh token outlives a change of the key.  If not known, a login costs nothing and is sure."""
HANDLER_TIMEOUT: Final = "rpc handler timeout"
"""How the text of a refusal begins that is none: the gateway gave up waiting."""
