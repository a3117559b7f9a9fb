"""The real parts of a machine that some tests need: what they are, how they are found, how to get them.

A part is present when its probe has run, not when a file of its name exists. `python -m tests.parts` prints
the names of the parts found, and on standard error one line for each missing one; a missing part named in
FRESHD_REQUIRE makes it exit with status 1. Standard library only: it also runs before anything is installed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

PRESENT_VARIABLE = "FRESHD_PARTS"
REQUIRED_VARIABLE = "FRESHD_REQUIRE"
PROBE_SECONDS = 20  # dbus-run-session and npm take most of a second on a cold disk


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `probe` must exit with 0 and print something that `shows` matches."""

    name: str
    programs: tuple[str, ...]
    probe: tuple[str, ...]
    shows: str
    remedy: str
    packages: tuple[str, ...]


def _debian(*packages: str) -> str:
    return f"apt-get install {' '.join(packages)}"


_KEYRING = ("gnome-keyring", "dbus")

PARTS = {
    part.name: part
    for part in (
        Part(
            name="keyring",
            programs=("gnome-keyring-daemon", "dbus-run-session"),
            probe=("dbus-run-session", "--", "gnome-keyring-daemon", "--version"),
            shows=r"gnome-keyring-daemon",
            remedy=_debian(*_KEYRING),
            packages=_KEYRING,
        ),
        Part(
            name="oidc-provider",
            programs=("node", "npm"),
            probe=("node", "--version"),
            shows=r"^v([2-9]\d|\d{3,})\.",
            remedy="a node of version 20 or later with its npm (the npm package node@20 holds one)",
            packages=(),
        ),
        Part(
            name="oidc-agent",
            programs=("oidc-agent", "oidc-gen", "oidc-token"),
            probe=("oidc-agent", "--version"),
            shows=r"oidc-agent \d",
            remedy=_debian("oidc-agent-cli"),
            packages=("oidc-agent-cli",),
        ),
        Part(
            name="systemd",
            programs=("systemd-analyze",),
            probe=("systemd-analyze", "--version"),
            shows=r"systemd \d",
            remedy=_debian("systemd"),
            packages=("systemd",),
        ),
        Part(
            # A whole machine: its root is downloaded on first use, so it is installed by hand, not by scripts/setup.
            name="nspawn",
            programs=("systemd-nspawn", "debootstrap", "nsenter", "ip", "curl"),
            probe=("unshare", "--mount", "--pid", "--fork", "--net", "systemd-nspawn", "--version"),
            shows=r"systemd \d",
            remedy=f"{_debian('systemd-container', 'debootstrap', 'iproute2', 'curl')}, run as root",
            packages=(),
        ),
        Part(
            name="strace",
            programs=("strace",),
            probe=("strace", "-o", "/dev/null", "echo", "traced"),
            shows=r"traced",
            remedy=f"{_debian('strace')} and a machine that allows ptrace",
            packages=("strace",),
        ),
        Part(
            name="mosquitto",
            programs=("mosquitto", "mosquitto_ctrl"),
            probe=("mosquitto_ctrl", "dynsec", "help"),
            shows=r"setClientPassword",
            remedy=_debian("mosquitto"),
            packages=("mosquitto",),
        ),
        Part(
            name="faketime",
            programs=("faketime",),
            probe=("faketime", "2001-02-03 04:05:06", "date", "+%Y"),
            shows=r"2001",
            remedy=_debian("faketime"),
            packages=("faketime",),
        ),
    )
}


def why_missing(part: Part) -> str | None:
    """The reason why the part cannot be used here, or None if it can."""
    absent = [program for program in part.programs if shutil.which(program) is None]
    if absent:
        return f"no {' and no '.join(absent)} on the PATH"
    try:
        run = subprocess.run(  # the argument lists are the constants above
            part.probe,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{part.probe[0]} does not run ({type(error).__name__})"
    if run.returncode:
        return f"{part.probe[0]} exits with status {run.returncode}"
    if not re.search(part.shows, run.stdout):
        return f"{part.probe[0]} is not as needed: it says {run.stdout.strip()[:60]!r}"
    return None


def probe_all() -> dict[str, str]:
    """Name → reason and remedy of every part that is missing; runs every probe."""
    reasons = ((part, why_missing(part)) for part in PARTS.values())
    return {part.name: f"{reason}; get it with {part.remedy}" for part, reason in reasons if reason}


def missing_here(environ: Mapping[str, str]) -> dict[str, str]:
    """The same for a test run: FRESHD_PARTS, where set, is believed without probing."""
    if PRESENT_VARIABLE not in environ:
        return probe_all()
    absent = PARTS.keys() - environ[PRESENT_VARIABLE].split()
    return {name: f"not in {PRESENT_VARIABLE}; get it with {PARTS[name].remedy}" for name in absent}


def required_names(environ: Mapping[str, str]) -> frozenset[str]:
    """The parts that must be present.

    Raises ValueError for a name that no part has: a misspelt requirement must not pass as met.
    """
    names = frozenset(environ.get(REQUIRED_VARIABLE, "").split())
    if unknown := names - PARTS.keys():
        raise ValueError(f"{REQUIRED_VARIABLE} names unknown parts: {', '.join(sorted(unknown))}")
    return names


def main() -> int:
    """Print what the module's docstring says."""
    parser = argparse.ArgumentParser(prog="python -m tests.parts", description="Find the parts tests need.")
    parser.add_argument("--packages", action="store_true", help="print the Debian packages of all parts")
    if parser.parse_args().packages:
        print(*dict.fromkeys(package for part in PARTS.values() for package in part.packages))
        return 0
    try:
        required = required_names(os.environ)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    missing = probe_all()
    for name, reason in missing.items():
        verb = "missing required" if name in required else "skipped"
        print(f"{verb} part {name}: {reason}", file=sys.stderr)
    print(*(name for name in PARTS if name not in missing))
    return 1 if required & missing.keys() else 0


if __name__ == "__main__":
    sys.exit(main())
