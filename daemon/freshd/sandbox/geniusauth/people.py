"""The people who log in: what is told of them, and the operation id that all their tokens must bear. Pure.

Rules: whenever somebody's groups change the operation id is raised, and every token made before is worth nothing.
"""

import dataclasses
from collections.abc import Iterable


@dataclasses.dataclass(slots=True, kw_only=True)
class Person:
    """One person. ``oid`` only ever grows."""

    uid: int
    name: str = "Test User"
    groups: tuple[str, ...] = ("ops",)
    avatar_url: str = "https://example.invalid/avatar.png"
    oid: int = 1


class People:
    """Everybody."""

    def __init__(self, people: Iterable[Person] = ()) -> None:
        """Let ``people`` in."""
        self._known = {person.uid: person for person in people}

    def put(self, person: Person) -> Person:
        """Add somebody, or change who has this uid: other groups raise the operation id."""
        before = self._known.get(person.uid)
        if before is not None:
            person.oid = before.oid + (before.groups != person.groups)
        self._known[person.uid] = person
        return person

    def find(self, uid: object) -> Person | None:
        """Return who has this uid."""
        return self._known.get(uid) if isinstance(uid, int) else None

    def named(self, text: str) -> Person | None:
        """Return who is meant by a uid in digits or by a name; the first of all where the text is empty."""
        if text.isdecimal():
            return self._known.get(int(text))
        return next((one for one in self._known.values() if text in ("", one.name)), None)

    def remove(self, uid: int) -> bool:
        """Remove somebody; return whether they were there."""
        return self._known.pop(uid, None) is not None

    def group_id(self, group: str) -> int:
        """Return the number of a group: its place among all there are."""
        return sorted({name for one in self._known.values() for name in one.groups}).index(group) + 1
