"""freshd check: everything wrong with the configuration at once.  Offline: neither daemon nor service is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from freshd.cli.options import Scene, as_json, examples, on_scene
from freshd.cli.output import dump, plain, say
from freshd.errors import ConfigError

if TYPE_CHECKING:
    from freshd.core.settings import Settings


@click.command(epilog=examples("freshd check", "freshd check --config new.toml"))
@as_json
@on_scene
def check(scene: Scene, json: bool) -> int:
    """Check the configuration without running it.

    Prints every problem with its line and what to write instead, and exits with 78; prints "ok" and exits with 0
    where there is none.  Warns of more accounts than an OS keyring can hold well.  Nothing is sent, spent or asked of a
    keyring.
    """
    from freshd.app import settings_of

    try:
        settings = settings_of(scene.config)
    except ConfigError as error:
        if not json:
            for problem in error.problems:
                say(plain(problem))
            raise ConfigError(error.cause, error.remedy) from None
        dump({"ok": False, "file": str(scene.config), "problems": list(error.problems), "remedy": error.remedy})
        return error.exit_code
    count, warnings = len(settings.accounts), _warnings(settings)
    if json:
        dump({"ok": True, "file": str(scene.config), "accounts": count, "problems": [], "warnings": warnings})
        return 0
    for warning in warnings:
        say(f"warning: {warning}")
    say(f"ok: {scene.config}, {count} account{'' if count == 1 else 's'}")
    return 0


def _warnings(settings: Settings) -> list[str]:
    """What is allowed, and will be regretted."""
    from freshd.custody import custody
    from freshd.vault.keyring import COMFORTABLE_ACCOUNTS

    placement, custodian = custody(settings)
    count = len(settings.accounts)
    if placement != "keyring" or count <= COMFORTABLE_ACCOUNTS:
        return []
    crowd = f"the grants of {count} accounts are to rest in {custodian.name}, slow beyond {COMFORTABLE_ACCOUNTS}"
    return [f'{crowd}: write [vault] placement = "sealed", and only the sealing key rests there']
