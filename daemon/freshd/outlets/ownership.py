"""Whether a file may be replaced: by its owner and by root, in a folder that nobody else can write to."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import ClassVar

from freshd.errors import FreshdError


class EnvFileError(FreshdError):
    """The file cannot be read or replaced; it is as it was."""

    exit_code: ClassVar[int] = 74
    type: ClassVar[str] = "env-file"


def must_be_replaceable(path: Path, file: os.stat_result, folder: os.stat_result) -> None:
    """Raises EnvFileError with the reason.  `path`: for people."""
    me = os.geteuid()
    if me not in (0, file.st_uid):
        raise EnvFileError(f"{path} belongs to user id {file.st_uid}, not to {me}", "run it as the file's owner")
    if not file.st_mode & stat.S_IWUSR:
        raise EnvFileError(f"{path} is read-only", f"let its owner write: chmod u+w {path}")
    if file.st_nlink > 1:
        raise EnvFileError(
            f"{path} has {file.st_nlink} names (hard links), and the others would keep the old text",
            "leave it one name, or use a symbolic link",
        )
    if folder.st_uid not in (0, me, file.st_uid) or _is_open_to_others(folder):
        raise EnvFileError(
            f"the folder of {path} can be written to by other users",
            "take their right away: chmod go-w, or move the file to a folder of your own",
        )


def _is_open_to_others(folder: os.stat_result) -> bool:
    """Whether somebody beside its owner may put files into it, or take ours away."""
    if folder.st_mode & stat.S_ISVTX:
        return False  # as in /tmp: only a file's own owner may
    if folder.st_mode & stat.S_IWOTH:
        return True
    return bool(folder.st_mode & stat.S_IWGRP) and not _is_private_group(folder.st_uid, folder.st_gid)


def _is_private_group(uid: int, gid: int) -> bool:
    """Whether the group is that user's alone, as many systems make one for each user."""
    try:
        owner, members = pwd.getpwuid(uid), grp.getgrgid(gid).gr_mem
    except KeyError:
        return False
    return owner.pw_gid == gid and set(members) <= {owner.pw_name}
