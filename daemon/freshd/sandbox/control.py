"""The control port: JSON over HTTP on a loopback port of its own, for tests, demos and judges.

It mints, breaks and counts; the folder's README lists the calls. It has no authentication, so it answers only requests
that name a loopback host, which keeps web pages out. Only ``/mint`` returns tokens; all else shows fingerprints.
"""

import dataclasses
import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from freshd.sandbox.clients import Client
from freshd.sandbox.fault_queue import Rule
from freshd.sandbox.oauth2 import Service
from freshd.sandbox.shape import checked, shaped
from freshd.sandbox.tokens import Commit, Holder

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse foreign Host headers and turn a malformed wish into a 400 that says what is wrong."""
    if request.host.rpartition(":")[0] not in _LOOPBACK:
        return web.json_response({"error": "loopback only"}, status=403)
    try:
        return await handler(request)
    except (ValueError, TypeError) as error:
        return web.json_response({"error": str(error)}, status=400)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Mint:
    client_id: str
    label: str
    subject: str = "user"
    scope: str = ""
    count: int = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Approval:
    user_code: str
    subject: str = "user"
    label: str = ""
    allowed: bool = True


class Control:
    """The handlers."""

    def __init__(self, service: Service) -> None:
        """Steer ``service``."""
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        """Return where they live."""
        return [
            web.get("/healthz", self.health),
            web.post("/mint", self.mint),
            web.post("/clients", self.register),
            web.patch("/policy", self.change_policy),
            web.get("/faults", self.list_faults),
            web.post("/faults", self.add_fault),
            web.delete("/faults", self.remove_faults),
            web.get("/counters", self.count),
            web.get("/ledger/{label}", self.page),
            web.post("/escrowed", self.mark_escrowed),
            web.post("/revoke_access", self.revoke_access),
            web.post("/kill_lineage", self.kill_lineage),
            web.post("/approve", self.approve),
            web.post("/auto_approve", self.approve_at_once),
        ]

    async def health(self, _: web.Request) -> web.Response:
        """Say that the service is up, where, and what time it thinks it is."""
        return web.json_response({"ok": True, "issuer": self._service.issuer, "now": self._service.now()})

    async def mint(self, request: web.Request) -> web.Response:
        """Open ``count`` lineages; with more than one, labels get ``-1``, ``-2`` … appended."""
        wish = shaped(_Mint, await read_object(request))
        if self._service.clients.find(wish.client_id) is None:
            message = "client_id: not registered"
            raise ValueError(message)
        labels = [wish.label] if wish.count == 1 else [f"{wish.label}-{n}" for n in range(1, wish.count + 1)]
        now = self._service.now()
        holders = [
            Holder(client_id=wish.client_id, label=label, subject=wish.subject, scope=wish.scope) for label in labels
        ]
        tokens = [self._service.ledger.mint(holder, now) for holder in holders]
        return web.json_response(
            {
                "grants": [
                    {
                        "label": token.lineage.holder.label,
                        "lineage": token.lineage.id,
                        "refresh_token": token.text,
                        "fingerprint": token.fingerprint,
                    }
                    for token in tokens
                ]
            }
        )

    async def register(self, request: web.Request) -> web.Response:
        """Add or replace a client."""
        client = shaped(Client, await read_object(request))
        self._service.clients.register(client)
        return web.json_response({"client_id": client.client_id, "methods": client.methods})

    async def change_policy(self, request: web.Request) -> web.Response:
        """Change the policy of a label, of a client, or of everybody."""
        wish = await read_object(request)
        whose = {name: text_member(wish, name) for name in ("client_id", "label")}
        over = {name: value for name, value in wish.items() if name not in whose}
        self._service.ledger.policies.change(over, **whose)
        policy = self._service.ledger.policies.of(whose["client_id"] or "", whose["label"] or "")
        return web.json_response(dataclasses.asdict(policy))

    async def list_faults(self, _: web.Request) -> web.Response:
        """Show the rules in force."""
        return web.json_response({"faults": [_rule(rule) for rule in self._service.stage.faults.rules]})

    async def add_fault(self, request: web.Request) -> web.Response:
        """Put a fault in force."""
        return web.json_response(_rule(self._service.stage.faults.add_json(await read_object(request))), status=201)

    async def remove_faults(self, request: web.Request) -> web.Response:
        """Switch off one rule (``?id=``), those of a ``?label=`` or a ``?fault=``, or all."""
        rule_id, label, name = (request.query.get(key) for key in ("id", "label", "fault"))
        number = int(rule_id) if rule_id is not None else None
        return web.json_response({"removed": self._service.stage.faults.remove(number, label=label, name=name)})

    async def count(self, _: web.Request) -> web.Response:
        """Show the counters of every label and in total."""
        books = self._service.ledger.books
        by_label = {label: dataclasses.asdict(account.counters) for label, account in books.accounts.items()}
        return web.json_response(
            {
                "total": dataclasses.asdict(books.totals),
                "by_label": by_label,
                "leaked_posts": self._service.leaked_posts,
            }
        )

    async def page(self, request: web.Request) -> web.Response:
        """Show everything remembered of one label: counters, calls, commits, lineages."""
        account = self._service.ledger.books.accounts.get(request.match_info["label"])
        if account is None:
            return web.json_response({"error": "unknown label"}, status=404)
        lineages = [
            {
                "id": one.id,
                "client_id": one.holder.client_id,
                "subject": one.holder.subject,
                "started_at": one.started_at,
                "head": one.head.fingerprint if one.head else None,
                "spent": len(one.spent),
                "killed_by": one.killed_by,
                "killed_at": one.killed_at,
            }
            for one in account.lineages
        ]
        return web.json_response(
            {
                "label": account.label,
                "counters": dataclasses.asdict(account.counters),
                "lineages": lineages,
                "calls": [dataclasses.asdict(call) for call in account.calls],
                "commits": [_commit(commit) for commit in account.commits],
            }
        )

    async def mark_escrowed(self, request: web.Request) -> web.Response:
        """Vouch that the client keeps the answers with these successor ``fingerprints``."""
        names = (await read_object(request)).get("fingerprints")
        if not isinstance(names, list):
            message = "fingerprints: expected a list of text"
            raise TypeError(message)
        kept = [str(name) for name in names]
        marked = sum(vouch(kept) for vouch in (self._service.ledger.escrowed, *self._service.vouchers))
        return web.json_response({"marked": marked})

    async def revoke_access(self, request: web.Request) -> web.Response:
        """Make the access tokens of a label refused from now on, all or the one with ``fingerprint``."""
        wish = await read_object(request)
        revoked = self._service.ledger.revoke_access(_label(wish), text_member(wish, "fingerprint"))
        return web.json_response({"revoked": revoked})

    async def kill_lineage(self, request: web.Request) -> web.Response:
        """End every living lineage of a label."""
        living = [
            one
            for one in self._service.ledger.books.account(_label(await read_object(request))).lineages
            if one.killed_by is None
        ]
        for lineage in living:
            self._service.ledger.kill(lineage, "control", self._service.now())
        return web.json_response({"killed": len(living)})

    async def approve(self, request: web.Request) -> web.Response:
        """Answer a device's user code in the person's place."""
        wish = shaped(_Approval, await read_object(request))
        found = self._service.consents.decide(
            wish.user_code,
            self._service.now(),
            subject=wish.subject,
            label=wish.label or wish.subject,
            allowed=wish.allowed,
        )
        return web.json_response({"found": found}, status=200 if found else 404)

    async def approve_at_once(self, request: web.Request) -> web.Response:
        """Switch on or off that the authorize page approves without a person."""
        self._service.approves_at_once = checked(_Switch, await read_object(request), partial=False)["on"]
        return web.json_response({"on": self._service.approves_at_once})


@dataclasses.dataclass(frozen=True)
class _Switch:
    on: bool


async def read_object(request: web.Request) -> dict[str, object]:
    """Return the JSON object of a wish, ``{}`` for no body; raises ValueError or TypeError."""
    wish = json.loads(await request.read() or b"{}")
    if not isinstance(wish, dict):
        message = "expected a JSON object"
        raise TypeError(message)
    return wish


def text_member(wish: dict[str, object], name: str) -> str | None:
    """Return a member that is text or absent; raises TypeError."""
    value = wish.get(name)
    if value is not None and not isinstance(value, str):
        message = f"{name}: expected text"
        raise TypeError(message)
    return value


def _label(wish: dict[str, object]) -> str:
    label = text_member(wish, "label")
    if label is None:
        message = "label: required"
        raise ValueError(message)
    return label


def _commit(commit: Commit) -> dict[str, object]:
    reached = commit.delivery is not None and commit.delivery.reached
    return {**dataclasses.asdict(commit), "doubt": commit.doubt, "reached": reached}


def _rule(rule: Rule) -> dict[str, object]:
    shown = dataclasses.asdict(rule)
    return {**shown, "fault": rule.fault.name, "settings": shown["fault"]}
