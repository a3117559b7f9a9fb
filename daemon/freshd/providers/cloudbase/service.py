"""Where CloudBase listens: hosts by environment and region, and the paths that freshd calls.  Data and arithmetic only.

Not among the paths, on purpose: what signs up, binds, changes or deletes a user, and what ends all devices.
"""

from __future__ import annotations

import re
from typing import Final

SHANGHAI: Final = "ap-shanghai"
REGIONAL: Final = "https://{env}.{region}.tcb-api.tencentcloudapi.com"
GATEWAY: Final = "https://{env}.api.tcloudbasegateway.com"
GATEWAY_ABROAD: Final = "https://{env}.api.intl.tcloudbasegateway.com"
AT_HOME: Final = frozenset(
    {
        "ap-shanghai",
        "ap-guangzhou",
        "ap-shenzhen-fsi",
        "ap-shanghai-fsi",
        "ap-nanjing",
        "ap-beijing",
        "ap-chengdu",
        "ap-chongqing",
        "ap-hongkong",
    }
)
"""Regions that the first gateway serves; all others are abroad."""
PLACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
"""An environment or a region: one label of a host name."""

TOKEN: Final = "/auth/v1/token"
CLIENT_CREDENTIAL: Final = "/auth/v1/token/clientCredential"
INTROSPECT: Final = "/auth/v1/token/introspect"
REVOKE: Final = "/auth/v1/revoke"
SIGN_IN: Final = "/auth/v1/signin"
ANONYMOUSLY: Final = "/auth/v1/signin/anonymously"
CUSTOM: Final = "/auth/v1/signin/custom"
WITH_PROVIDER: Final = "/auth/v1/signin/with/provider"
PROVIDER_TOKEN: Final = "/auth/v1/provider/token"
VERIFICATION: Final = "/auth/v1/verification"
VERIFY: Final = "/auth/v1/verification/verify"
CAPTCHA_PAGE: Final = "/auth/v1/captcha/init"
CAPTCHA_IMAGE: Final = "/auth/v1/captcha/data"
CAPTCHA_VERIFY: Final = "/auth/v1/captcha/data/verify"


def base_of(env: str, region: str, place: str) -> str:
    """Where the paths begin; `place`: "regional" or "gateway"."""
    if place == "regional":
        return REGIONAL.format(env=env, region=region)
    return (GATEWAY if region in AT_HOME else GATEWAY_ABROAD).format(env=env)
