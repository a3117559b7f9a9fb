"""What a configuration comes to: accounts made ready for the engine, who may do what, which files and channels.

Pure but for the making of providers; the daemon around it is `app`'s.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

from freshd.core.access import Policy
from freshd.core.settings import AccountSettings, EnvFileSettings, Settings
from freshd.core.state import Plan
from freshd.providers import registry
from freshd.providers.deps import Deps
from freshd.roster import Member


def members_of(settings: Settings, deps: Deps) -> Sequence[Member]:
    """Every account, made ready."""
    families: dict[str, list[AccountSettings]] = {}
    for account in settings.accounts:
        families.setdefault(account.family, []).append(account)
    return [member_of(account, deps, families[account.family]) for account in settings.accounts]


def member_of(account: AccountSettings, deps: Deps, fellows: Sequence[AccountSettings]) -> Member:
    """One account made ready.  Its jitter is a hash of its name: steady over restarts, spread over accounts.

    fellows: the accounts of its family, or any that hold them
    """
    relatives = [other for other in fellows if other.family == account.family and other.name != account.name]
    provider = registry.make(account, deps, relatives)
    draw = zlib.crc32(account.name.encode()) / 2**32
    plan = Plan(account.name, provider.ladder, provider.contract, account.margins, provider.binding, draw)
    has_met = registry.kind_of(account.kind).has_met
    return Member(plan, provider, account.kind, account.family or account.name, account.paused, has_met)


def env_files_of(settings: Settings) -> Mapping[str, EnvFileSettings]:
    """The .env files to be kept in step, by account."""
    return {account.name: account.env_file for account in settings.accounts if account.env_file is not None}


def spoken_over(*settings: Settings) -> frozenset[str]:
    """The channels that the MQTT outlet speaks over, by any of these configurations."""
    return frozenset(one.mqtt.channel for one in settings if one.mqtt is not None)


def policy_of(settings: Settings, generation: int) -> Policy:
    """Who may do what."""
    return Policy({account.name: account.readers for account in settings.accounts}, settings.operators, generation)
