"""A booted systemd of its own: Debian 12 in a container, with the sandbox as the only service in reach.

* The base root and the wheels lie in the user's cache (`booted_cache`). The machine writes on an overlay of its own,
  which outlives `reboot` and `cut_power` and is gone when the machine is left.
* A cut of the power is SIGKILL to its first process: whatever ran in it is gone. What the kernel had taken is kept, so
  it says nothing of bytes that were not synced; `tests/crash/powercut.py` does.
* A machine made from another's `image` begins with a copy of that one's disk, which must be off meanwhile.
* The sandbox runs outside, in the network namespace that the machine uses: it is the machine's whole network, and it
  goes on while the machine is down.
* Mounts live in a mount namespace of the machine's, so nothing stays mounted, however a test ends.
* Every process started here is ended here, by its own id.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from tests.host.booted_cache import ROOT, base_root, wheels

SOURCE: Final = "/src"
WHEELS: Final = "/wheels"
COMMAND_SECONDS: Final = 180
PATIENCE_SECONDS: Final = 120
LOOK_SECONDS: Final = 0.05
LAST_LINES: Final = 60
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
T = TypeVar("T")


def until(what: str, look: Callable[[], T | None], pause: float = LOOK_SECONDS) -> T:
    """What `look` finds once it finds something true; fails after a generous while."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < give_up_at, f"waited in vain: {what}"
        time.sleep(pause)
    return found


# -- what the papers say ----------------------------------------------------------------------------------------------


def install_block(name: str, page: str = "README.md") -> str:
    """The lines of README.md, or another page, that install freshd or look after it, exactly as they stand there."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.search(rf"<!-- install: {name} -->\n```\n(.*?)```\n", text, re.DOTALL)
    assert found, f"{page} has no block to install: {name}"
    return found[1]


# -- the service ------------------------------------------------------------------------------------------------------


class Service:
    """freshd's sandbox in a network of its own, which has nothing but a loopback interface."""

    def __enter__(self) -> Self:
        script = f"ip link set lo up && exec {sys.executable} -m freshd.sandbox"
        self._process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        self.issuer, self._control = str(told["base_url"]), str(told["control_url"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def network(self) -> str:
        """The path of its network namespace."""
        return f"/proc/{self._process.pid}/ns/net"

    def ask(self, method: str, path: str, wish: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call of the control port."""
        body = [] if wish is None else ["--header", "Content-Type: application/json", "--data", json.dumps(wish)]
        curl = ["curl", "--silent", "--show-error", "--fail", "--request", method, *body, self._control + path]
        run = subprocess.run(
            ["nsenter", f"--net={self.network}", *curl], capture_output=True, text=True, timeout=30, check=True
        )
        answer: dict[str, Any] = json.loads(run.stdout)
        return answer

    def mint(self, label: str) -> str:
        """A new refresh token."""
        wish = {"client_id": "freshd", "label": label, "subject": label, "scope": "openid"}
        return str(self.ask("POST", "/mint", wish)["grants"][0]["refresh_token"])


# -- the machine ------------------------------------------------------------------------------------------------------


class Machine:
    """A context manager: entered, systemd is up unless it is not to be `booted`; left, everything is gone.

    `image`: the machine on whose disk this one begins. `disks`: file systems in files, by the folder that they are.
    """

    def __init__(self, network: str, image: Machine | None = None, *, booted: bool = True) -> None:
        self._boots = booted
        self._wheels, self._network = wheels(), network
        self._folder = Path(tempfile.mkdtemp(prefix="freshd-booted-"))
        self._layers: tuple[Path, ...] = (base_root(),) if image is None else (image.disk(""), *image.layers)
        self.disks: Mapping[str, Path] = {}
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        self._umask = os.umask(0o022)  # a daemon run in this process leaves its own; the machine's users must get in
        self._folder.chmod(0o755)
        for name in ("upper", "work", "root", "disks"):
            (self._folder / name).mkdir()
        try:
            if self._boots:
                self.boot()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    @property
    def layers(self) -> tuple[Path, ...]:
        """What lies below its own disk, the uppermost first."""
        return self._layers

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.shut_down()
        finally:
            os.umask(self._umask)
            shutil.rmtree(self._folder, ignore_errors=True)

    def boot(self, *, waits: bool = True) -> None:
        """Start it, and wait until its units have settled, or until there is a first process only."""
        layers = ":".join(map(str, self._layers))
        overlay = f"lowerdir={layers},upperdir={self._folder}/upper,workdir={self._folder}/work"
        mounts = [f"mount -t overlay overlay -o {overlay} {self._folder}/root"]
        binds = []
        for number, (place, image) in enumerate(self.disks.items()):
            here = self._folder / "disks" / str(number)
            mounts.append(f"mkdir -p {here} && mount -o loop {image} {here}")
            binds.append(f"--bind={here}:{place}")
        nspawn = [
            "systemd-nspawn", "--quiet", f"--directory={self._folder}/root", "--machine=freshd-bed", "--register=no",
            "--keep-unit", f"--network-namespace-path={self._network}", f"--bind-ro={ROOT}:{SOURCE}",
            f"--bind-ro={self._wheels}:{WHEELS}", *binds, "--boot",
        ]  # fmt: skip
        script = " && ".join([*mounts, 'exec "$@"'])
        with (self._folder / "console").open("ab") as console:
            self._nspawn = subprocess.Popen(
                ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "sh", *nspawn],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            )  # fmt: skip
        self._leader = until("the machine's first process", self._first_process, pause=0.002)
        if waits:
            self.settle()

    def settle(self) -> None:
        """Wait until it has started everything; a unit may have failed."""
        until("systemd is up", lambda: self._state() in ("running\n", "degraded\n"))

    def _state(self) -> str:
        return self.run("systemctl", "is-system-running", check=False).stdout

    def _first_process(self) -> int | None:
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, (self._folder / "console").read_text(errors="replace")[-2000:]
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        for child in children:
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    return int(child)
        return None

    def reboot(self) -> None:
        """Down in good order, then up again with the same disk."""
        self.shut_down()
        self.boot()

    def shut_down(self) -> None:
        """Power it off; a machine that does not go is ended."""
        if self._nspawn is None:
            return
        self._nspawn.send_signal(signal.SIGTERM)
        try:
            self._nspawn.wait(120)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._leader, signal.SIGKILL)
            self._nspawn.kill()
            self._nspawn.wait(20)
        self._nspawn = None

    def cut_power(self) -> None:
        """End it without a word to anybody in it."""
        assert self._nspawn is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._leader, signal.SIGKILL)
        try:
            self._nspawn.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait(20)
        self._nspawn = None

    # -- its disk, from outside ---------------------------------------------------------------------------------------

    def disk(self, path: str) -> Path:
        """Where a file lies that was written in it; what came with the base root lies elsewhere."""
        return self._folder / "upper" / path.lstrip("/")

    def remove(self, path: str) -> None:
        """Delete a file or folder while the machine is off."""
        here, below = self.disk(path), any((layer / path.lstrip("/")).exists() for layer in self._layers)
        if here.is_dir():
            shutil.rmtree(here)
        else:
            here.unlink(missing_ok=True)
        if below:  # an overlay hides what lies below by a device without numbers
            here.parent.mkdir(parents=True, exist_ok=True)
            os.mknod(here, stat.S_IFCHR, os.makedev(0, 0))

    def outside(self, pid: int) -> int:
        """The number that a process of the machine has out here."""
        space = Path(f"/proc/{self._leader}/ns/pid").readlink()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                names = re.search(r"^NSpid:.*\s(\d+)$", (folder / "status").read_text(), re.MULTILINE)
                if names and int(names[1]) == pid and (folder / "ns/pid").readlink() == space:
                    return int(folder.name)
        raise ProcessLookupError(pid)

    # -- commands in it -----------------------------------------------------------------------------------------------

    def inside(self, *words: str) -> list[str]:
        """The command that runs `words` in the machine, as root."""
        enter = ["nsenter", f"--target={self._leader}", "--mount", "--uts", "--ipc", "--net", "--pid"]
        clean = ["env", "-i", f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8", "SYSTEMD_PAGER=cat"]
        return [*enter, "--", *clean, *words]

    def run(self, *words: str, text: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command as root; `text` is its standard input."""
        given = "" if text is None else text
        run = subprocess.run(
            self.inside(*words), input=given, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        if check and run.returncode:
            raise AssertionError(f"{words}: {run.returncode}\n{run.stdout}\n{run.stderr}{self._last_words(words)}")
        return run

    def _last_words(self, words: tuple[str, ...]) -> str:
        """What the units that a systemctl names wrote last: what it says of a failure itself names no cause."""
        units = [f"--unit={word}" for word in words[2:]] if words[0] == "systemctl" else []
        show = ("journalctl", "--quiet", "--output=short-precise", f"--lines={LAST_LINES}", *units)
        return self.run(*show, check=False).stdout if units else ""

    def script(self, text: str, *before: str) -> str:
        """Run lines of shell in the source tree, ending at the first that fails; `before` stands before the shell."""
        offline = f"export PIP_NO_INDEX=1 PIP_FIND_LINKS={WHEELS} PIP_DISABLE_PIP_VERSION_CHECK=1\n"
        return self.run(*before, "sh", "-e", "-s", text=f"cd {SOURCE}\n{offline}{text}").stdout

    def as_user(self, user: str) -> list[str]:
        """What stands before a command of a user's, with the variables of that user's session."""
        uid = self.run("id", "-u", user).stdout.strip()
        runtime = f"/run/user/{uid}"
        session = [f"XDG_RUNTIME_DIR={runtime}", f"DBUS_SESSION_BUS_ADDRESS=unix:path={runtime}/bus"]
        return ["runuser", "-u", user, "--", "env", f"HOME=/home/{user}", *session]

    def as_unit(self, unit: str, user: str, *words: str) -> list[str]:
        """What runs a command as a transient unit of the system, in the group that may connect."""
        properties = [f"--property=User={user}", "--property=SupplementaryGroups=freshd-readers"]
        return ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--unit={unit}", *properties, *words]

    def write(self, path: str, text: str) -> None:
        """Write a file; its folder is made."""
        self.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1"', "sh", path, text=text)

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """Lines of the journal, as JSON."""
        lines = self.run("journalctl", "--quiet", "--output=json", "--all", *matches).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def said(self, unit: str, since: str = "") -> str:
        """What a unit, and systemd about it, wrote since a moment that `now` gave."""
        after = [f"--since=@{since}"] if since else []
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--quiet", "--output=cat", f"--unit={unit}", *after).stdout

    def now(self) -> str:
        """This moment, for `said`; what was written before it is in the journal."""
        self.run("journalctl", "--sync")
        return self.run("date", "+%s.%6N").stdout.strip()
