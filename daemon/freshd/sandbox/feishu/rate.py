"""How many requests a second and a minute may bring, counted in windows that begin with the clock's. Pure.

Rule: a request that is refused is not counted. Whose requests are one is the constant ``FEISHU_SIM_RATE_KEY``.
"""

import dataclasses

from freshd.sandbox.feishu.apps import App
from freshd.sandbox.feishu.codes import RATE_CODE, Refusal
from freshd.sandbox.feishu.constants import FeishuConstants, RateKey

_MINUTE_S = 60


@dataclasses.dataclass(slots=True)
class _Window:
    begins: float
    count: int = 0


class Rates:
    """The windows of everybody."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._windows: dict[tuple[str, int], _Window] = {}

    def charge(self, app: App | None, app_id: str, constants: FeishuConstants, now: float) -> None:
        """Count one request; raises Refusal with the headers that say when the window ends."""
        key = _key(app, app_id, constants.FEISHU_SIM_RATE_KEY)
        limits = ((1, constants.FEISHU_SIM_RATE_PER_S), (_MINUTE_S, constants.FEISHU_SIM_RATE_PER_MIN))
        windows = [(self._window(key, length, now), length, limit) for length, limit in limits]
        for window, length, limit in reversed(windows):
            if window.count >= limit:
                raise slowed(limit, window.begins + length - now)
        for window, _, _ in windows:
            window.count += 1

    def _window(self, key: str, length: int, now: float) -> _Window:
        begins = now - now % length
        window = self._windows.get((key, length))
        if window is None or window.begins != begins:
            window = self._windows[key, length] = _Window(begins)
        return window


def slowed(limit: int, reset_s: float) -> Refusal:
    """Return the refusal for too many requests."""
    refusal = Refusal(RATE_CODE)
    refusal.headers = {"x-ogw-ratelimit-limit": str(limit), "x-ogw-ratelimit-reset": f"{reset_s:.3f}"}
    return refusal


def _key(app: App | None, app_id: str, rule: RateKey) -> str:
    tenant = app.tenant_key if app is not None else ""
    return {RateKey.APP: app_id, RateKey.TENANT: tenant, RateKey.APP_TENANT: f"{app_id} {tenant}"}[rule]
