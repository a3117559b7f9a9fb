"""Who is connected: sessions by AID, device and slot, and who has to go for whom.

Rules: one long connection for each AID, device and slot, where a slot is the part before the first ``/``, ``:`` or
space; a newer one evicts the older. Short ones are many and evict nobody. Beyond a quota the oldest goes. All
connections of one AID agree about delivery. Pure: ``leave`` is called and does the closing.
"""

import dataclasses
import itertools
import re
from collections.abc import Callable

from freshd.sandbox.aun.answer import Farewell, Fields, Refusal
from freshd.sandbox.aun.books import AunBooks, bump
from freshd.sandbox.aun.constants import AtExpiry, AunConstants, ConstantBook, Takeover

EVICTED, EXISTS, FULL, IDLE, QUOTA = 4009, 4012, 4013, 4014, 4015


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """One open session. ``token`` is the fingerprint of what opened it, ``expires_at`` that token's end."""

    id: str = ""
    aid: str
    label: str
    device: str
    slot: str
    is_short: bool = False
    ttl_ms: float = 0
    mode: Fields
    token: str
    expires_at: float | None
    opened_at: float
    active_at: float
    extra_info: Fields
    client: Fields
    leave: Callable[[Farewell], None]

    @property
    def key(self) -> tuple[str, str]:
        """The device, and what of the slot isolates."""
        return self.device, isolation_key(self.slot)

    def shown(self) -> Fields:
        """Return it as the control port shows it."""
        names = ("id", "aid", "label", "slot", "mode", "token", "expires_at", "opened_at", "extra_info", "client")
        shown: Fields = {name: getattr(self, name) for name in names}
        return {**shown, "device_id": self.device, "kind": "short" if self.is_short else "long"}


class Hub:
    """All sessions, oldest first."""

    def __init__(self, books: AunBooks, constants: ConstantBook) -> None:
        """Count in ``books``."""
        self._books = books
        self._constants = constants
        self._ids = itertools.count(1)
        self.sessions: list[Session] = []

    def of(self, aid: str | None = None, device: str | None = None, slot: str | None = None) -> list[Session]:
        """Return the sessions that fit; None means any."""
        wanted = (aid, device, slot)
        have = ((one, (one.aid, one.device, one.slot)) for one in self.sessions)
        return [one for one, got in have if all(w in (None, g) for w, g in zip(wanted, got, strict=True))]

    def admit(self, new: Session, promises: AunConstants) -> None:
        """Open a session, and end those that must make room; raises Refusal."""
        others = self.of(new.aid)
        if any(one.mode != new.mode for one in others):
            raise Refusal(promises.AUN_SIM_DELIVERY_CODE, "delivery_mode_conflict")
        same = [one for one in others if one.key == new.key]
        if new.is_short:
            if sum(one.is_short for one in same) >= promises.AUN_SIM_SHORT_PER_SLOT:
                end = Farewell(code=FULL, reason="short connection capacity exceeded")
                raise Refusal(FULL, "short connection capacity exceeded", farewell=end)
        else:
            self._make_room(new, [one for one in same if not one.is_short], promises)
        new.id = f"conn_{next(self._ids)}"
        self.sessions.append(new)
        self._books.tally(new.aid).sessions += 1
        self._keep_quotas(new, promises)

    def end(self, session: Session, farewell: Farewell) -> None:
        """End a session."""
        if session in self.sessions:
            self.sessions.remove(session)
            bump(self._books.tally(session.aid).ended, str(farewell.code))
            session.leave(farewell)

    def drop(self, session: Session) -> None:
        """Forget a session whose connection is gone."""
        if session in self.sessions:
            self.sessions.remove(session)
            bump(self._books.tally(session.aid).ended, "gone")

    def sweep(self, now: float) -> None:
        """End the sessions whose time is over at ``now``, the gateway's wall clock."""
        for one in list(self.sessions):
            promises = self._constants.of(one.aid)
            idle_ms = (now - one.active_at) * 1000
            if one.is_short and one.ttl_ms and idle_ms >= one.ttl_ms:
                detail: Fields = {"aid": one.aid, "idle_ms": idle_ms, "ttl_ms": one.ttl_ms}
                self._close(one, IDLE, "short connection idle", detail, promises)
            elif (
                one.expires_at is not None
                and now >= one.expires_at
                and promises.AUN_SIM_SESSION_AT_EXPIRY is AtExpiry.CLOSE
            ):
                self._close(one, promises.AUN_SIM_SESSION_EXPIRY_CODE, "token expired", {"aid": one.aid}, promises)

    def _make_room(self, new: Session, same: list[Session], promises: AunConstants) -> None:
        for old in same:
            if promises.AUN_SIM_TAKEOVER is Takeover.REFUSE:
                end = Farewell(code=EXISTS, reason="long connection already exists")
                raise Refusal(EXISTS, "slot_conflict", farewell=end)
            detail = {**_where(old, new), "self_extra_info": old.extra_info, "new_extra_info": new.extra_info}
            self._close(old, EVICTED, "replaced by a newer connection", detail, promises)

    def _keep_quotas(self, new: Session, promises: AunConstants) -> None:
        longs = [one for one in self.of(new.aid) if not one.is_short]
        devices = list(dict.fromkeys(one.device for one in longs))
        while len(devices) > max(1, promises.AUN_SIM_DEVICES_PER_AID):
            gone = devices.pop(0)
            for old in (one for one in longs if one.device == gone):
                self._over(old, new, promises.AUN_SIM_DEVICES_PER_AID, "aid_device_quota_exceeded", promises)
        slots = [one for one in self.of(new.aid, new.device) if not one.is_short]
        for old in slots[: max(0, len(slots) - max(1, promises.AUN_SIM_SLOTS_PER_DEVICE))]:
            self._over(old, new, promises.AUN_SIM_SLOTS_PER_DEVICE, "aid_device_slot_quota_exceeded", promises)

    def _over(self, old: Session, new: Session, limit: int, kind: str, promises: AunConstants) -> None:
        detail = {**_where(old, new), "limit": limit, "quota_kind": kind}
        self._close(old, QUOTA, "long connection quota exceeded", detail, promises)

    def _close(self, one: Session, code: int, reason: str, detail: Fields, promises: AunConstants) -> None:
        event = promises.AUN_SIM_DISCONNECT_EVENT
        self.end(one, Farewell(code=code, reason=reason, detail=detail, event=event))


def isolation_key(slot: str) -> str:
    """Return the part of a slot's name that tells slots apart."""
    return re.split("[/: ]", slot, maxsplit=1)[0]


def _where(old: Session, new: Session) -> Fields:
    by = {"device_id": new.device, "slot_id": new.slot}
    return {"aid": old.aid, "device_id": old.device, "slot_id": old.slot, "evicted_by": by}
