"""freshd check: everything wrong with the configuration at once.  Offline: neither daemon nor service is asked."""

from __future__ import annotations

import click

from freshd.cli.options import Scene, as_json, examples, on_scene
from freshd.cli.output import dump, plain, say
from freshd.errors import ConfigError


@click.command(epilog=examples("freshd check", "freshd check --config new.toml"))
@as_json
@on_scene
def check(scene: Scene, json: bool) -> int:
    """Check the configuration without running it.

    Prints every problem with its line and what to write instead, and exits with 78; prints "ok" and exits with 0
    where there is none.  Nothing is sent, spent or asked of a keyring.
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
    count = len(settings.accounts)
    if json:
        dump({"ok": True, "file": str(scene.config), "accounts": count, "problems": []})
    else:
        say(f"ok: {scene.config}, {count} account{'' if count == 1 else 's'}")
    return 0
