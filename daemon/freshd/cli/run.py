"""freshd run: the daemon in the foreground, until SIGTERM or SIGINT.  SIGHUP reads the configuration again."""

from __future__ import annotations

import click

from freshd.cli.options import Scene, examples, on_scene


@click.command(epilog=examples("freshd run", "freshd --config /etc/freshd/freshd.toml run"))
@on_scene
def run(scene: Scene) -> int:
    """Run the daemon.

    It stays in the foreground, as systemd wants it, and writes its events to the journal or to standard error.
    SIGHUP reads the configuration again; SIGTERM lets what is under way land, then ends.
    """
    import asyncio

    from freshd.app import serve

    return asyncio.run(serve(scene.config))
