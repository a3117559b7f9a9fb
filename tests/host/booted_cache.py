"""What a booted machine is made of: a base root and wheels, made once and kept in the user's cache.

A download that broke off goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SUITE: Final = "bookworm"
PACKAGES: Final = (
    "systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd", "python3", "python3-venv", "procps",
    "gnome-keyring", "curl", "ca-certificates",
)  # fmt: skip
BUILD_PINS: Final = ("hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers")
"""What pip needs to build the project itself."""
DOWNLOAD_SECONDS: Final = 900


class BedUnusable(RuntimeError):
    """What the machine is made of cannot be had here; the text says what is missing."""


def cache() -> Path:
    """The folder of what is downloaded."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "freshd" / "booted"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def base_root() -> Path:
    """The root of a machine that was never booted. Raises BedUnusable."""
    name = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    done = cache() / f"root-{name}"
    if not done.exists():
        partial, packages = done.with_suffix(".partial"), cache() / "packages"
        shutil.rmtree(partial, ignore_errors=True)
        packages.mkdir(exist_ok=True)
        install = ["debootstrap", "--variant=minbase", f"--cache-dir={packages}", f"--include={','.join(PACKAGES)}"]
        # Its mounts end with it, so that what is left of a broken run is a plain folder.
        _download(["unshare", "--mount", "--propagation=private", *install, SUITE, str(partial)], "base root")
        partial.rename(done)
    return done


def wheels() -> Path:
    """What pip may install from in the machine. Raises BedUnusable."""
    pins = (ROOT / "requirements.lock").read_text() + "\n" + _build_pins((ROOT / "dev.lock").read_text())
    done = cache() / f"wheels-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"
    if not done.exists():
        partial = done.with_suffix(".partial")
        partial.mkdir(exist_ok=True)
        wanted = partial / "pins.txt"
        wanted.write_text(pins)
        options = ["--quiet", "--only-binary=:all:", "--no-deps", "--python-version=3.11", "--require-hashes"]
        command = [sys.executable, "-m", "pip", "download", *options, "-r", str(wanted), "-d", str(partial)]
        _download(command, "wheels")
        partial.rename(done)
    return done


def _build_pins(lock: str) -> str:
    found = [re.search(rf"^{name}==.*?(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL) for name in BUILD_PINS]
    shipped = (ROOT / "requirements.lock").read_text()
    return "".join(pin[0] for pin in found if pin and pin[0].split()[0] not in shipped)


def _download(command: Sequence[str], what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BedUnusable(f"no {what}: {type(error).__name__}") from None
    if done.returncode:
        raise BedUnusable(f"no {what}: {(done.stderr or done.stdout).strip()[-300:]}")
