"""What an account's .env file holds, and what it is to hold.  Looking is blocking: it is done apart from the loop."""

from __future__ import annotations

from freshd.core.dotenv import BadEnv, DotEnv
from freshd.core.expiry import written_like
from freshd.core.settings import EnvFileSettings
from freshd.outlets import envfile
from freshd.outlets.envfile import EnvFileError, Seen, Stamp
from freshd.tokens import Published


def survey(settings: EnvFileSettings, known: Stamp | None) -> Seen | None:
    """The file, None where it is as it was.  Raises EnvFileError, also where a line is not there."""
    if known is not None and envfile.stamp(settings.path) == known:
        return None
    seen = envfile.read(settings.path)
    missing = sorted(settings.names - set(seen.env.names()))
    if missing:
        raise EnvFileError(f"{settings.path} has no line {missing[0]}=", "add that line, or name another in env_file")
    try:
        for name in settings.names & {settings.refresh_token}:
            seen.env.get(str(name))
    except BadEnv as bad:
        raise EnvFileError(f"{settings.path}, {bad}", "write that line as NAME=VALUE") from None
    return seen


def values(settings: EnvFileSettings, env: DotEnv, lease: Published) -> dict[str, str]:
    """What the file's lines are to hold."""
    held = {} if settings.access_token is None else {settings.access_token: lease.lease.token.reveal()}
    if settings.expires_at is not None:
        held[settings.expires_at] = written_like(value(env, settings.expires_at), lease.expires_at)
    return held


def value(env: DotEnv, name: str | None) -> str | None:
    """A value that can be read, else None."""
    try:
        return None if name is None else env.get(name)
    except BadEnv:
        return None
