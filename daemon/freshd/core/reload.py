"""What a new configuration changes, so that a reload touches only that.

Rules
-----
* An account that is equal in both is in no set: its keeper, flights and alarms are left alone.
* `rebound`: its grant belongs to another origin, client or subject than the configuration now says.  It is never
  presented there until an operator confirms (design 6).
* `removed` accounts are retired: flights finish, the record stays until `forget` (design 5).
* Where the vault and the socket lie is settled at start: such changes are named in `restart` and not applied.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from freshd.core.settings import AccountSettings, MqttOutletSettings, Settings

AT_START_ONLY = ("state_dir", "socket", "vault")


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of accounts by what happened to them; an account may be in several sets.

    changed  provider, margins, contract or family differ: to be built anew (rebound ones are in here as well)
    policy   somebody's right to read or to operate differs
    log      the log settings differ
    channels names of channels that were added, removed, or differ
    mqtt     where events go over MQTT, or how, differs
    will     where they go differs, so that a connection needs another last will
    restart  sections that differ and need a restart
    """

    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    rebound: frozenset[str] = frozenset()
    paused: frozenset[str] = frozenset()
    resumed: frozenset[str] = frozenset()
    policy: bool = False
    log: bool = False
    channels: frozenset[str] = frozenset()
    mqtt: bool = False
    will: bool = False
    restart: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing has changed at all."""
        return self == Changes()


def diff(old: Settings, new: Settings) -> Changes:
    """What differs; pure."""
    before, after = ({account.name: account for account in side.accounts} for side in (old, new))
    both = [(before[name], after[name]) for name in sorted(before.keys() & after.keys())]
    rebound = frozenset(was.name for was, now in both if _is_rebound(was, now))
    readers = {name: account.readers for name, account in before.items()} != {
        name: account.readers for name, account in after.items()
    }
    return Changes(
        added=frozenset(after.keys() - before.keys()),
        removed=frozenset(before.keys() - after.keys()),
        changed=rebound | {was.name for was, now in both if _differs(was, now)},
        rebound=rebound,
        paused=frozenset(was.name for was, now in both if now.paused and not was.paused),
        resumed=frozenset(was.name for was, now in both if was.paused and not now.paused),
        policy=readers or old.operators != new.operators,
        log=old.log != new.log,
        channels=_channels(old, new),
        mqtt=old.mqtt != new.mqtt,
        will=_place(old.mqtt) != _place(new.mqtt),
        restart=tuple(part for part in AT_START_ONLY if getattr(old, part) != getattr(new, part)),
    )


def _differs(was: AccountSettings, now: AccountSettings) -> bool:
    """Whether more than readers, the pause and the .env file differ: none of them is the engine's."""
    return replace(was, readers=now.readers, paused=now.paused, env_file=now.env_file, line=now.line) != now


def _channels(old: Settings, new: Settings) -> frozenset[str]:
    before, after = ({channel.name: channel for channel in side.channels} for side in (old, new))
    return frozenset(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _place(outlet: MqttOutletSettings | None) -> tuple[str, str] | None:
    return None if outlet is None else (outlet.channel, outlet.prefix)


def _is_rebound(was: AccountSettings, now: AccountSettings) -> bool:
    if was.binding is None or now.binding is None:
        return was.kind != now.kind
    return was.grant != now.grant or not was.binding.fits(now.binding)
