"""What other processes can get at: memory, environment and core of the daemon; what the programs get that it starts."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from freshd import hardening
from freshd.cli.alerting.command import Command
from freshd.core.alerts import Alert, Kind, Message
from freshd.core.events import Severity
from freshd.references import PASSED_ON
from tests.canary import mark, search
from tests.crash.scene import Process
from tests.crash.services import Sandbox
from tests.flow.bed import PATIENCE_SECONDS, Bed, account, enrol, until

NOBODY: Final = 65534
IS_ROOT: Final = os.geteuid() == 0
PROBE: Final = """
import ctypes, sys
pid, done, libc = int(sys.argv[1]), [], ctypes.CDLL(None)
for name in ("environ", "maps", "auxv", "mem"):
    try:
        open(f"/proc/{pid}/{name}", "rb", buffering=0).read(1) if name != "mem" else open(f"/proc/{pid}/mem", "rb")
        done.append(name)
    except OSError:
        pass
if libc.ptrace(16, pid, None, None) == 0:
    done.append("ptrace")
print(*done)
"""
"""What a process of this uid gets of another one.  Its end lets go of what it attached to."""
SHOW: Final = """#!{python} -I
import os, resource
paths = [f"/proc/self/fd/{{one}}" for one in os.listdir("/proc/self/fd")]
links = [os.readlink(path) for path in paths if os.path.lexists(path)]
with open({out!r}, "w") as file:
    print(sorted(os.environ), file=file)
    print(open("/proc/self/cmdline").read().split(chr(0))[1:-1], file=file)
    print(links, file=file)
    print(resource.getrlimit(resource.RLIMIT_CORE), oct(os.umask(0)), file=file)
print("sandbox-secret")
"""


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox(access_seconds=3600) as sandbox:
        yield sandbox


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    with Bed(tmp_path, {"FRESHD_TEST_KEY": mark.mark(mark.Kind.HELD)[:4]}) as made:
        yield made


@pytest.fixture
def daemon(bed: Bed, service: Sandbox) -> Process:
    bed.write(*account("mail", service))
    started = bed.up()
    enrol(started, service, "mail")
    return started


# -- core dumps -------------------------------------------------------------------------------------------------------


def ends_with_core(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Whether it left a core when it was killed by this signal, as the kernel tells its parent."""
    process.send_signal(number)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -number
    assert os.WTERMSIG(status) == number
    return os.WCOREDUMP(status)


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """It ends with the block."""
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def can_dump(tmp_path: Path) -> None:
    """A process that does nothing against it leaves a core here."""
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
        pytest.skip("core dumps are limited here (ulimit -Hc): none would come of any process")
    (folder := tmp_path / "plain").mkdir()
    plain = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder,
        preexec_fn=limitless,  # noqa: PLW1509 - nothing of it takes a lock
    )  # fmt: skip
    with ended(plain):
        assert plain.stdout is not None
        plain.stdout.readline()
        dumped = ends_with_core(plain, signal.SIGSEGV)
    for core in folder.iterdir():
        core.unlink()
    if not dumped:
        pytest.skip("this machine writes no cores (see /proc/sys/kernel/core_pattern): none would come of any process")


def limitless() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)


MAIN: Final = "from freshd.cli.entry import main; raise SystemExit(main())"
UNLIMITED: Final = f"import resource; resource.setrlimit = lambda *_: None; {MAIN}"
"""The daemon whose own limit does not hold: what is left is that it is not dumpable."""


@pytest.mark.parametrize("program", [MAIN, UNLIMITED], ids=["whole", "without the limit"])
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_I10_a_daemon_that_is_killed_leaves_no_core(
    can_dump: None, bed: Bed, service: Sandbox, number: signal.Signals, program: str
) -> None:
    bed.write(*account("mail", service))
    (folder := bed.folder / "here").mkdir()
    with bed.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", program, "--config", str(bed.config), "run"], cwd=folder, env=bed._env,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=limitless,  # noqa: PLW1509 - nothing of it takes a lock
        )  # fmt: skip
    with ended(process):
        until("daemon.started", lambda: bed.events("daemon.started"))
        limit = resource.prlimit(process.pid, resource.RLIMIT_CORE)
        assert limit == ((0, 0) if program == MAIN else (resource.RLIM_INFINITY,) * 2)
        assert not ends_with_core(process, number)
    assert list(folder.iterdir()) == []


# -- processes of the same user ---------------------------------------------------------------------------------------


def as_somebody(words: Sequence[str], **more: Any) -> subprocess.Popen[str]:
    """As a user without root's rights."""
    user: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if IS_ROOT else {}
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd="/", text=True, stdin=pipe, stdout=pipe, stderr=pipe, **user, **more)


def python_for_all() -> str:
    """An interpreter that any user may run."""
    for path in (getattr(sys, "_base_executable", sys.executable), "/usr/bin/python3"):
        with contextlib.suppress(OSError), as_somebody([path, "-I", "-c", ""]) as process:
            process.communicate(timeout=PATIENCE_SECONDS)
            if process.returncode == 0:
                return str(path)
    pytest.skip("no Python that the user nobody may run: another uid's process cannot be tried here")


def taken(harden: str) -> list[str]:
    """What a process of the same uid, and without root's rights, gets of one that ran these lines."""
    python = python_for_all()
    with as_somebody([python, "-I", "-c", f"{harden}\nprint(flush=True)\ninput()"]) as target:
        try:
            assert target.stdout is not None
            assert target.stdout.readline() == "\n"
            with as_somebody([python, "-I", "-c", PROBE, str(target.pid)]) as probe:
                found, _ = probe.communicate(timeout=PATIENCE_SECONDS)
        finally:
            target.kill()
    assert probe.returncode == 0
    return found.split()


def test_I10_a_process_of_the_same_user_gets_neither_memory_nor_environment_nor_may_it_attach() -> None:
    source = Path(hardening.__file__).read_text(encoding="utf-8")
    assert {"environ", "maps", "auxv"} <= set(taken(""))
    assert taken(f"{source}\nharden()") == []


def test_I10_nothing_of_the_daemon_is_swapped_out_as_far_as_can_be_seen(daemon: Process) -> None:
    """Where there is swap; the unit keeps the whole service off it."""
    [told] = [line for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines() if "VmSwap" in line]
    has_swap = len(Path("/proc/swaps").read_text().splitlines()) > 1
    assert has_swap or told.split()[1:] == ["0", "kB"]


# -- what it starts ---------------------------------------------------------------------------------------------------


def shower(bed: Bed) -> tuple[Path, Path]:
    """A program that writes down what it was given, and says a client's secret."""
    program, out = bed.folder / "show", bed.folder / "shown"
    program.write_text(SHOW.format(python=sys.executable, out=str(out)))
    program.chmod(0o755)
    return program, out


def test_I10_a_command_for_a_secret_gets_its_own_words_a_handful_of_variables_and_no_descriptor(
    bed: Bed, service: Sandbox
) -> None:
    program, out = shower(bed)
    more = [f'client_secret = {{ command = ["{program}", "--for", "mail"] }}', 'client_auth = "client_secret_post"']
    lines = [line.replace('"freshd"', '"freshd-web"') for line in account("mail", service, *more)]
    bed.write(*lines)
    process = bed.up()
    wish = {"client_id": "freshd-web", "label": "mail", "subject": "mail", "scope": "openid"}
    token = service.ask("POST", "/mint", wish)["grants"][0]["refresh_token"]
    process.operate("import", "mail", secrets={"refresh_token": token})
    until("the first lease", lambda: process.view("mail")["usable_until"])
    variables, words, links, limits = out.read_text().splitlines()
    assert set(eval(variables)) <= {*PASSED_ON, "LC_CTYPE"}
    assert eval(words)[-2:] == ["--for", "mail"]
    assert [one for one in eval(links) if one != "/dev/null" and not one.startswith("pipe:")] == []
    assert limits == "(0, 0) 0o77"
    assert search.sights(out.read_bytes()) == []


async def test_I10_a_command_for_alerts_gets_the_message_and_no_descriptor(bed: Bed) -> None:
    program, out = shower(bed)
    alert = Alert("account.parked", "mail", "x", Severity.ALERT, "meaning", "remedy", since=1.0)
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    environ = {"PATH": os.environ["PATH"], "FRESHD_TEST_KEY": "x"}
    assert await Command([str(program), "{subject}"], environ).run(Message(Kind.RAISED, alert, 1.0)) == ""
    inherited = str(Path(f"/proc/self/fd/{writer}").readlink())  # noqa: ASYNC240 - it waits for nothing
    os.close(reader)
    os.close(writer)
    variables, words, links, _ = out.read_text().splitlines()
    assert not {"FRESHD_TEST_KEY"} & set(eval(variables))
    assert len(eval(words)) == 3
    assert inherited not in eval(links)


# -- what nobody masks ------------------------------------------------------------------------------------------------

LEAKY: Final = {
    "uncaught": "raise KeyError(secret)",
    "a chain": "try:\n    raise KeyError(secret)\nexcept KeyError as error:\n    raise ValueError(secret) from error",
    "in a thread": "import threading; t = threading.Thread(target=lambda: {}[secret]); t.start(); t.join()",
    "in a destructor": "class D:\n    def __del__(self): raise ValueError(secret)\nd = D(); del d",
    "a warning": "import warnings; warnings.warn(secret)",
    "a library's log line": "import logging; logging.getLogger('aiohttp.access').critical(secret)",
    "a library's traceback": "import logging\ntry: {}[secret]\nexcept KeyError: logging.exception(secret)",
    "a task nobody asks": (
        "import asyncio, gc\nasync def work(text): raise ValueError(text)\n"
        "async def main():\n    t = asyncio.ensure_future(work(secret)); await asyncio.sleep(0); del t; gc.collect()\n"
        "asyncio.run(main(), debug=True)"
    ),
    "a slow callback": (
        "import asyncio, time\nasync def main():\n    l = asyncio.get_running_loop(); l.slow_callback_duration = 0\n"
        "    l.call_soon(lambda text: None, secret); await asyncio.sleep(0)\nasyncio.run(main(), debug=True)"
    ),
    "a coroutine nobody awaits": "async def work(text): pass\nwork(secret)",
    "a crash": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
}


@pytest.mark.parametrize("flags", [(), ("-X", "dev", "-W", "always")], ids=["plain", "dev"])
@pytest.mark.parametrize("way", LEAKY)
def test_I10_whatever_goes_wrong_the_text_of_it_is_not_printed(way: str, flags: tuple[str, ...]) -> None:
    head = "import os; from freshd.hardening import harden; harden(); secret = os.read(0, 99).decode()"
    done = subprocess.run(
        [sys.executable, *flags, "-c", f"{head}\n{LEAKY[way]}"], input="canary-9f3\n", capture_output=True, text=True,
        check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert "canary-9f3" not in done.stdout + done.stderr
    assert "SyntaxError" not in done.stderr
    if way in ("uncaught", "a chain", "in a thread", "in a destructor"):
        assert done.stderr.startswith("freshd: bug: "), done.stderr


def test_a_place_is_told_by_file_line_and_function() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Path("no such file").read_text()
    assert re.fullmatch(r"pathlib.py:\d+ in \w+", hardening.where(caught.value.__traceback__))
    assert hardening.where(None) == ""


def test_a_system_that_lacks_a_measure_is_hardened_by_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    for name in ("excepthook", "unraisablehook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr("threading.excepthook", hardening._in_thread)
    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    before = os.umask(0o022)
    with warnings.catch_warnings():
        hardening.harden()
        assert os.umask(before) == 0o077
