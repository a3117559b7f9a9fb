"""A keyring in memory that can be locked, hang, and let a write land after its caller has given up."""

from __future__ import annotations

import threading

from freshd.errors import KeyringUnavailable


class Drawer:
    """Implements `ports.Custodian` and `settle.Shelf`."""

    writable = True

    def __init__(self, longest: int | None = None) -> None:
        self.name = "drawer"
        self.longest = longest
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = False
        self.forgetful = False
        self.shut: set[str] = set()
        """Entries that cannot be had, though the others can."""
        self.puts = 0
        self.asked: list[str] = []
        self._free = threading.Event()
        self._free.set()
        self.reached = threading.Event()

    def hang(self) -> None:
        """From now on every call waits until `thaw`."""
        self.reached.clear()
        self._free.clear()

    def thaw(self) -> None:
        self._free.set()

    def get(self, service: str, entry: str) -> str | None:
        self._pass(entry)
        self.asked.append(entry)
        return self.entries.get((service, entry))

    def put(self, service: str, entry: str, value: str) -> None:
        self._pass(entry)
        assert value.isascii()
        assert "\n" not in value
        assert self.longest is None or len(value) <= self.longest
        self.puts += 1
        if not self.forgetful:
            self.entries[service, entry] = value

    def drop(self, service: str, entry: str) -> None:
        self._pass(entry)
        self.entries.pop((service, entry), None)

    def of(self, account: str) -> dict[str, str]:
        """Slot and part → value of an account's entries."""
        return {service.split()[-1]: value for (service, entry), value in self.entries.items() if entry == account}

    def _pass(self, entry: str) -> None:
        self.reached.set()
        self._free.wait()
        if self.locked or entry in self.shut:
            raise KeyringUnavailable("the drawer is locked", "open it")
