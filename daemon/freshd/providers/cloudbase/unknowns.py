"""What no page says of CloudBase, each behind one name.  Data only; a correction is made here, and nowhere else.

This code never met the real service.
"""

from __future__ import annotations

from typing import Final

API_VERSION: Final = "v1"
"""A session is renewed through the generation of paths that it was signed in through; freshd signs in through v1."""
ACCESS_SECONDS: Final = 7200.0
"""Life of an access token that neither answer nor token states."""
REFRESH_SECONDS: Final = 2_592_000.0
"""Life of a refresh token, which no answer states: thirty days is the shorter of the two that pages name."""
SLIDES: Final = False
"""Does a renewal put off the end of the session?  If not, it ends that long after the sign-in."""
CAPTCHA_SECONDS: Final = 300.0
"""Life of a captcha's token, and of a picture, where the answer states none."""
PAGE_SECONDS: Final = 600.0
"""Life of a captcha's page where the answer states none."""
CODE_SECONDS: Final = 600.0
"""Life of a verification code where the answer states none."""
VERIFIED_SECONDS: Final = 300.0
"""Life of a checked code's token where the answer states none."""
LEAD_SECONDS: Final = 10.0
"""A captcha's token counts as over this much before its end."""
ABORTED_SECONDS: Final = 600.0
"""The shortest pause after `aborted`; how long the service means is not said."""
LOCKED_SECONDS: Final = 1800.0
"""The pause after `invalid_status` where the answer states none."""
UNKNOWN_AGAIN_SECONDS: Final = (60.0, 300.0, 900.0)
"""Waits before the further tries that a renewal is given after a code that nobody knows."""
