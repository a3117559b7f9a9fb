"""A wrong configuration, and a second daemon: said at once and plainly, with what to do, and nothing is changed."""

import re

import pytest

from tests.crash.scene import Process
from tests.crash.services import Sandbox
from tests.flow.bed import Bed, account, enrol, lease_of, until

CANARY = "canary7Value"
AS = 'kind = "oauth2"\nissuer = "https://as.example"\nclient_id = "x"'
EVERYTHING_WRONG = f"""\
state_dir = "/no/such/{CANARY}"
[socket]
path = "/no/such/{CANARY}/folder/s"
mode = "{CANARY}"
[vault]
placement = "keyring"
custodian = "key-file"
key_file = "/no/{CANARY}/key"
[accounts.a]
{AS}
paused = "{CANARY}"
client_secret = {{ file = "/no/such/{CANARY}" }}
[accounts.b]
{AS}
isuer = "{CANARY}"
[accounts.c]
{AS}
grant = "c"
contract = {{ lease_life = 6 }}
[accounts.d]
{AS}
client_secret = "{CANARY}"
subject = "d"
colour = "{CANARY}"
"""
SAID_OF_IT = (
    (1, "state_dir: its folder is unreachable; make the folder"),
    (3, "socket.path: its folder is unreachable; make the folder"),
    (4, "socket.mode: not a mode for the socket; write 0o600"),
    (6, 'vault.placement: rests grants in the OS keyring, and custodian = "key-file" is none; write placement'),
    (8, "vault.key_file: its folder is unreachable; make the folder"),
    (13, "accounts.a.paused: must be true or false; write true or false"),
    (14, "accounts.a.client_secret.file: the file is not there or out of reach; make it with mode 0600"),
    (15, "accounts.b: has the same grant as a: same server, client and subject; remove one of them"),
    (19, "accounts.b.isuer: unknown key; did you mean issuer?"),
    (25, "accounts.c.contract.lease_life: lets renewal wait until less than 5 s before the end"),
    (30, "accounts.d.client_secret: a secret must not stand in the configuration; move it out"),
    (32, "accounts.d.colour: unknown key; remove it; the keys stand in the table of config/README.md"),
)


# -- the configuration ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("check",), ("run",), ("check", "--json")], ids=" ".join)
def test_everything_wrong_with_a_configuration_is_said_at_once(bed: Bed, words: tuple[str, ...]) -> None:
    bed.config.write_text(EVERYTHING_WRONG)
    said = bed.run(*words)
    assert said.code == 78
    found = re.findall(r"freshd\.toml:(\d+): (.*?)(?=\", \"/|\"\]|\n)", said.text.replace('\\"', '"'))
    assert [int(line) for line, _ in found] == [line for line, _ in SAID_OF_IT]
    assert all(text.startswith(wanted) for (_, text), (_, wanted) in zip(found, SAID_OF_IT, strict=True)), found
    assert f"{len(SAID_OF_IT)} problems in {bed.config}" in said.err or words[-1] == "--json"
    assert "freshd check" in said.text
    assert CANARY not in said.text


@pytest.mark.parametrize("words", ["check", "run"])
@pytest.mark.parametrize(
    ("text", "line"), [(f"a = {CANARY}\n", 1), (f"[log]\nlevel = [1,\n'{CANARY}", 3), (f"[log]\n[log]\n{CANARY}", 2)]
)
def test_what_is_no_toml_is_named_by_its_line(bed: Bed, words: str, text: str, line: int) -> None:
    bed.config.write_text(text)
    said = bed.run(words)
    assert (said.code, said.text.count("freshd.toml:")) == (78, 1)
    assert f"{bed.config}:{line}: (file): is not TOML (" in said.text
    assert "remedy:" in said.err
    assert CANARY not in said.text


def test_a_file_that_is_missing_is_named(bed: Bed) -> None:
    for words in ("check", "run"):
        said = bed.run(words)
        assert said.code == 78
        assert f"{bed.config}:1: (file): cannot be read (No such file or directory); make it, or" in said.text


def until_renewed(daemon: Process, name: str) -> None:
    before = daemon.view(name)["generation"]
    until(f"a renewal of {name}", lambda: daemon.view(name)["generation"] > before)


def test_a_running_daemon_keeps_its_configuration_until_a_right_one_is_there(bed: Bed, service: Sandbox) -> None:
    bed.write(*account("busy", service))
    daemon = bed.up()
    service.ask("PATCH", "/policy", {"access_s": 2, "label": "busy"})
    enrol(daemon, service, "busy")

    for bad, problem in ((EVERYTHING_WRONG, "accounts.b: has the same grant as a"), (f"= {CANARY}", "is not TOML")):
        bed.config.write_text(bad)
        told = bed.hang_up(daemon, event="config.refused")
        assert (told["level"], problem in told["problems"]) == ("alert", True)
        assert f"{bed.config}:1: " in told["problems"]
        assert told["remedy"] == "correct the lines named, then run: freshd check"
        until_renewed(daemon, "busy")
        assert lease_of(daemon, "busy")
    assert not bed.events("config.reloaded")

    bed.write(*account("busy", service), *account("more", service))
    told = bed.hang_up(daemon, event="config.reloaded")
    assert (told["added"], told["changed"], told["removed"]) == (1, 0, 0)
    assert told["clears"] == "config.refused"
    assert bed.token("busy").code == 0
    assert "never enrolled" in bed.token("more", "--wait", "1").err
    assert CANARY not in "".join(bed.lines())


# -- a second instance -----------------------------------------------------------------------------------------------


def test_a_second_instance_names_the_first_and_leaves_it_alone(bed: Bed) -> None:
    bed.write()
    first = bed.up()
    file = bed.socket.stat().st_ino
    said = bed.run("run")
    assert said.code == 73
    assert f"another freshd, pid {first.pid}, owns {bed.state}" in said.err
    assert f"kill {first.pid}" in said.err
    assert bed.socket.stat().st_ino == file
    assert bed.run("status").code == 0


def test_a_second_instance_with_a_state_of_its_own_takes_no_live_socket_away(bed: Bed) -> None:
    bed.write()
    first = bed.up()
    file, config = bed.socket.stat().st_ino, bed.config.read_text()
    bed.config.write_text(config.replace(str(bed.state), f"{bed.state}2").replace(str(bed.key), f"{bed.key}2"))
    said = bed.run("run")
    assert said.code == 71
    assert "another program answers on this socket" in said.err
    assert "remedy:" in said.err
    assert bed.socket.stat().st_ino == file
    assert bed.run("status").code == 0
    assert first.runs
