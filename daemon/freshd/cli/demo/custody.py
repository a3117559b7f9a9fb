"""Who keeps the secrets: the desktop's own keyring, a private one, or a key file; in this order, and said aloud.

Rules
-----
* A keyring counts as usable when an entry written by another process could be read back and deleted, unlocked and
  without a question to anybody.
* A private keyring lives in the demo's own folder, on a bus of its own that starts nothing by itself; nobody's login
  keyring is touched, and both programs are children of the demo.
* What the demo put into a desktop's keyring is taken out again (`wipe`).
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freshd.cli.demo.child import Child

BUS_VARIABLE: Final = "DBUS_SESSION_BUS_ADDRESS"
PROBE_SECONDS: Final = 20.0
START_SECONDS: Final = 10.0
PROGRAMS: Final = ("dbus-daemon", "gnome-keyring-daemon")
BUS_CONFIG: Final = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/>
  </policy>
</busconfig>
"""


@dataclass(frozen=True, slots=True)
class Custody:
    """custodian, placement: as the configuration says it.  environ: what the daemon must see to find the keyring."""

    custodian: str
    placement: str
    words: str
    environ: Mapping[str, str]
    is_shared: bool = False


def choose(folder: Path, children: list[Child], environ: Mapping[str, str], *, no_keyring: bool = False) -> Custody:
    """The best custodian that works here.  What is started for it joins `children`."""
    if no_keyring:
        return _key_file(environ, "as asked")
    found = environ.get(BUS_VARIABLE)
    if found and is_usable(environ):
        return Custody("keyring", "keyring", "this desktop's own keyring, unlocked", environ, is_shared=True)
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return _key_file(environ, f"no keyring is usable, and there is no {' and no '.join(missing)} to start one")
    try:
        private = _private(folder, children, environ)
    except (OSError, TimeoutError) as error:
        return _key_file(environ, f"a private keyring did not start ({error})")
    if not _comes_up(private):
        return _key_file(environ, "a private keyring was started and cannot be used")
    why = "this desktop's is locked or cannot be used" if found else "none is running here"
    words = f"a private gnome-keyring-daemon in the demo's own folder, for {why}"
    return Custody("keyring", "keyring", words, private)


def is_usable(environ: Mapping[str, str]) -> bool:
    """Whether another process can use the keyring it finds with these variables."""
    try:
        return _in_child("probe", [], environ).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def wipe(entries: Sequence[tuple[str, str]], environ: Mapping[str, str]) -> bool:
    """Delete entries (service, name) of the keyring; whether that worked."""
    try:
        return _in_child("wipe", [part for entry in entries for part in entry], environ).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _key_file(environ: Mapping[str, str], why: str) -> Custody:
    return Custody("key-file", "sealed", f"a key file, sealed journal: {why}", environ)


def _private(folder: Path, children: list[Child], environ: Mapping[str, str]) -> Mapping[str, str]:
    """A bus and an unlocked keyring of our own; the variables that lead to it."""
    home = folder / "keyring"
    own = {key: value for key, value in environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    for variable, name in (("HOME", "home"), ("XDG_DATA_HOME", "data"), ("XDG_RUNTIME_DIR", "run")):
        (home / name).mkdir(mode=0o700, parents=True)
        own[variable] = str(home / name)
    (home / "bus.conf").write_text(BUS_CONFIG)
    command = ["dbus-daemon", "--nofork", "--nosyslog", "--print-address=1", f"--config-file={home / 'bus.conf'}"]
    own[BUS_VARIABLE] = _first_line([*command, f"--address=unix:path={home / 'run' / 'bus'}"], children, own)
    keyring = ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"]
    children.append(Child(keyring, lambda _line: None, own, stdin=secrets.token_hex(16).encode()))
    return own


def _comes_up(environ: Mapping[str, str]) -> bool:
    """A new keyring says nothing when it is ready: it is asked until it works."""
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at:
        if is_usable(environ):
            return True
    return False


def _first_line(command: Sequence[str], children: list[Child], environ: Mapping[str, str]) -> str:
    """Start a program that says something once it is up."""
    lines: list[str] = []
    spoke = threading.Event()

    def hear(line: str) -> None:
        lines.append(line)
        spoke.set()

    children.append(Child(command, hear, environ))
    if not spoke.wait(START_SECONDS):
        raise TimeoutError(f"{command[0]} said nothing")
    return lines[0].strip()


def _in_child(verb: str, words: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """This file's `main` in a process of its own: a keyring may hang, and its libraries read the environment."""
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "freshd.cli.demo.custody", verb, *words],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PROBE_SECONDS,
        check=False,
    )


def main(verb: str, words: Sequence[str]) -> int:
    """In the child.  Raises whatever the keyring raises: the parent only looks at the status."""
    from freshd.vault.keyring import open_keyring

    shelf = open_keyring(None)
    if verb == "wipe":
        for service, entry in zip(words[::2], words[1::2], strict=True):
            shelf.drop(service, entry)
        return 0
    service, value = f"freshd demo probe {os.getpid()}", secrets.token_hex(8)
    shelf.put(service, "probe", value)
    found = shelf.get(service, "probe")
    shelf.drop(service, "probe")
    return 0 if found == value else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
