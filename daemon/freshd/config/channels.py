"""The tables [channels.NAME] → `ChannelSettings`, and [outlets.mqtt] → `MqttOutletSettings`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from freshd.config.accounts import NAME
from freshd.config.places import Surroundings, secret_problem
from freshd.config.report import Report
from freshd.config.secret import references
from freshd.config.tables import ChannelTable, MqttOutletTable, OutletsTable, read, tables
from freshd.core.problem import MISSING, Path, Problem, listed, nearest
from freshd.core.settings import ChannelKind, ChannelSettings, MqttOutletSettings, SecretRef

COMMON: Final = frozenset(ChannelTable.model_fields)
MQTT: Final = "mqtt"


class ChannelTables:
    """Reads all channels of one file.  `accounts`: the names there are."""

    def __init__(
        self, report: Report, kinds: Mapping[str, ChannelKind], accounts: Collection[str], here: Surroundings
    ) -> None:
        self._report, self._kinds, self._accounts, self._here = report, kinds, accounts, here

    def read(self, raw: object) -> tuple[ChannelSettings, ...]:
        """All of them, sorted by name; those with problems may be missing or incomplete."""
        named = tables(self._report, raw, "channels")
        return tuple(self._channel(name, named[name]) for name in sorted(named))

    def _channel(self, name: str, raw: dict[str, object]) -> ChannelSettings:
        at: Path = ("channels", name)
        if NAME.fullmatch(name) is None:
            write = "use up to 64 of a-z 0-9 . _ - and begin with a letter or digit"
            self._report.add([Problem(at, "not a name for a channel", write)])
        table = read(self._report, ChannelTable, {key: raw[key] for key in raw.keys() & COMMON}, *at)
        kind = self._kinds.get(table.kind or "")
        self._report.add(self._common_problems(table, raw), *at)
        options: Mapping[str, object] = {}
        if kind is not None:
            own = {key: raw[key] for key in raw.keys() - COMMON}
            options = self._options(name, kind, own, table.account)
        return ChannelSettings(name, table.kind or "", table.account, options, line=self._report.line(*at))

    def _common_problems(self, table: ChannelTable, raw: Mapping[str, object]) -> Iterator[Problem]:
        """What is wrong with kind and account (keys relative to the channel)."""
        if table.kind is None and "kind" not in raw:
            yield Problem(("kind",), MISSING, f"add kind = …; known: {listed(self._kinds)}")
        elif table.kind is not None and table.kind not in self._kinds:
            meant = nearest(table.kind, self._kinds)
            write = f'did you mean "{meant}"? known' if meant else "known"
            yield Problem(("kind",), "no such kind of channel", f"{write}: {listed(self._kinds)}")
        if table.account is not None and table.account not in self._accounts:
            meant = nearest(table.account, self._accounts)
            write = f"did you mean {meant}?" if meant else f"name one of: {listed(self._accounts)}"
            yield Problem(("account",), "names no account", write)
        kind = self._kinds.get(table.kind or "")
        if kind is not None and kind.needs_account and "account" not in raw:
            yield Problem(("account",), MISSING, "add account = …: this kind of channel logs in with its lease")

    def _options(
        self, name: str, kind: ChannelKind, own: dict[str, object], account: str | None
    ) -> Mapping[str, object]:
        at: Path = ("channels", name)
        tabled = {key for key in own.keys() & kind.secrets if isinstance(own[key], dict)}
        own, problems = references(own, tabled)
        self._report.add(problems, *at)
        for key, value in own.items():
            absent = secret_problem(value, self._here.environ) if isinstance(value, SecretRef) else None
            self._report.add([] if absent is None else [absent.under(key)], *at)
        given = {} if kind.needs_account or account is None else {"account": account}
        options, wrong = kind.parse(name, {**own, **given})
        told = {problem.key[:1] for problem in problems}
        self._report.add((problem for problem in wrong if problem.key[:1] not in told), *at)
        return {} if wrong else options


def mqtt_outlet(report: Report, raw: object, channels: tuple[ChannelSettings, ...]) -> MqttOutletSettings | None:
    """Where events go over MQTT; None where nothing is said of it."""
    outlets = read(report, OutletsTable, raw, "outlets")
    if outlets.mqtt is None:
        return None
    at: Path = ("outlets", "mqtt")
    table = read(report, MqttOutletTable, outlets.mqtt, *at)
    report.add(_outlet_problems(table, outlets.mqtt, channels), *at)
    return MqttOutletSettings(table.channel or "", table.prefix, table.ring, table.level, table.qos)


def _outlet_problems(table: MqttOutletTable, raw: object, channels: tuple[ChannelSettings, ...]) -> Iterator[Problem]:
    usable = sorted(channel.name for channel in channels if channel.kind == MQTT)
    if table.channel is None and not (isinstance(raw, dict) and "channel" in raw):
        yield Problem(("channel",), MISSING, f"add channel = …, a channel of kind mqtt: {listed(usable)}")
    elif table.channel is not None and table.channel not in usable:
        known = table.channel in {channel.name for channel in channels}
        wrong = "names a channel of another kind" if known else "names no channel"
        meant = nearest(table.channel, usable)
        yield Problem(("channel",), wrong, f"did you mean {meant}?" if meant else f"name one of: {listed(usable)}")
