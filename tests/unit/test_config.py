"""Everything wrong with a configuration is said at once, with its line and what to write, and no value is repeated."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.config import load
from freshd.core.contract import Kills, Omitted, Reuse
from freshd.core.settings import KindSchema, SecretRef, Way
from freshd.errors import ConfigError
from tests.unit.config_parts import ACCOUNT, KINDS, Desk, desk

__all__ = ["desk"]


def test_an_empty_file_is_a_configuration_without_accounts(desk: Desk) -> None:
    settings = desk.load("")
    assert settings.accounts == ()
    assert settings.state_dir == desk.folder / "state" / "freshd"
    assert settings.socket.path == desk.folder / "run" / "freshd" / "freshd.sock"
    assert settings.socket.mode == 0o600
    assert settings.operators.users == {0, 1000}


def test_folders_of_systemd_win_over_those_of_the_user(desk: Desk) -> None:
    for name in ("s", "r"):
        (desk.folder / name).mkdir()
    given = {"STATE_DIRECTORY": f"{desk.folder}/s:{desk.folder}/other", "RUNTIME_DIRECTORY": f"{desk.folder}/r"}
    (desk.folder / "x").mkdir()
    settings = Desk(desk.folder / "x", given).load("")
    assert settings.state_dir == desk.folder / "s"
    assert settings.socket.path == desk.folder / "r" / "freshd.sock"


def test_without_a_runtime_folder_the_socket_must_be_named(desk: Desk) -> None:
    (desk.folder / "x").mkdir()
    bare = Desk(desk.folder / "x", {"XDG_RUNTIME_DIR": ""})
    assert bare.problem("") == '1: socket.path: this user has no folder for it; write path = "/PATH"'


def test_an_account_has_what_it_says_and_defaults_for_the_rest(desk: Desk) -> None:
    account = desk.account('readers = { users = ["root", 7], groups = [0], units = ["backup.service"] }\n')
    assert (account.name, account.kind, account.line, account.family) == ("a", "toy", 1, "a")
    assert account.readers.users == {0, 7}
    assert account.readers.groups == {0}
    assert account.readers.units == {"backup.service"}
    assert (account.margins.fraction, account.margins.cap, account.margins.jitter) == (1 / 3, 900, 0.1)
    assert account.profile.contract.reuse is Reuse.STRICT
    assert not account.paused


def test_a_group_opens_the_socket_to_it(desk: Desk) -> None:
    socket = desk.load('[socket]\ngroup = "root"\n').socket
    assert (socket.group, socket.mode) == (0, 0o660)


def test_a_path_may_begin_at_home(desk: Desk) -> None:
    assert desk.load('state_dir = "~/state"\n').state_dir == desk.folder / "state"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\nstat_dir = 1\n", "2: stat_dir: unknown key; did you mean state_dir?"),
        ("[sockte]\n", "1: sockte: unknown key; did you mean socket?"),
        ("[zzz]\n", "1: zzz: unknown key; remove it; known here: accounts, channels, "),
        ('[log]\n\nlevle = "info"\n', "3: log.levle: unknown key; did you mean level?"),
        ('[log]\nlevel = "loud"\n', "2: log.level: not one of the known words; write 'debug', 'info'"),
        ("[log]\nlevel = 3\n", "2: log.level: not one of the known words;"),
        ("state_dir = 3\n", "1: state_dir: must be a string; put it in quotes"),
        ('state_dir = "here"\n', "1: state_dir: must be an absolute path;"),
        ("accounts = 3\n", "1: accounts: must be a table;"),
        ("socket = [1]\n", "1: socket: must be a table;"),
        ("[accounts]\nb = 3\n", "2: accounts.b: must be a table;"),
        ("[socket]\nmode = 660\n", "2: socket.mode: not a mode for the socket; write 0o600, or 0o660"),
        ('[socket]\nmode = "0660"\n', "2: socket.mode: not a mode for the socket;"),
        ("[socket]\nmode = 0o666\n", "2: socket.mode: not a mode for the socket;"),
        ('[socket]\ngroup = "no-such-group"\n', "2: socket.group: no such group on this machine;"),
        ("[socket]\ngroup = true\n", "2: socket.group: must be a name or a number;"),
        ('[vault]\nplacement = "memory"\n', "2: vault.placement: not one of the known words;"),
        ('[vault]\ncustodian = "key-file"\n', '1: vault.key_file: missing for custodian = "key-file"; add key_file'),
        (
            '[vault]\ncustodian = "key-file"\nkey_file = "/no/such/key"\n',
            "3: vault.key_file: its folder is unreachable; make the folder",
        ),
        ('[vault]\nanchor = "/no/such/anchor"\n', "2: vault.anchor: its folder is unreachable; make the folder"),
        ('state_dir = "/tmp/s"\n[vault]\nanchor = "/tmp/s/a"\n', "3: vault.anchor: lies in state_dir: an old copy of"),
        (
            '[vault]\nplacement = "keyring"\ncustodian = "systemd-credential"\n',
            '2: vault.placement: rests grants in the OS keyring, and custodian = "systemd-credential" is none; write',
        ),
        ('[vault]\ncredential = "../x"\n', "2: vault.credential: must be the name of a systemd credential; write the"),
        ('[vault]\nkey_file = "/k"\n', '2: vault.key_file: means something with custodian = "key-file" only;'),
        (
            '[vault]\nbackend = "keyrings.alt.file.PlaintextKeyring"\n',
            "2: vault.backend: a back end that loses secrets",
        ),
        ('[vault]\nbackend = "keyring.backends.chainer"\n', "2: vault.backend: a back end that loses secrets"),
        ('[vault]\nbackend = "wallet"\n', "2: vault.backend: not a keyring back end that freshd knows; remove it, or"),
        ('[operators]\nusers = ["root", "nobody-here"]\n', "2: operators.users[1]: no such user on this machine;"),
        ("[operators]\nusers = [65534]\n", "2: operators.users[0]: this user stands for callers that the kernel"),
        ('[operators]\nunits = ["a b"]\n', "2: operators.units[0]: not a unit's path below system.slice;"),
        ("[operators]\nusers = [-1]\n", "2: operators.users[0]: is no id;"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_remedy(desk: Desk, text: str, expected: str) -> None:
    assert desk.problem(text).startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("isuer = 1\n", "4: accounts.a.isuer: unknown key; did you mean issuer?"),
        ("reders = 1\n", "4: accounts.a.reders: unknown key; did you mean readers?"),
        ('client_id = ["x"]\n', "4: accounts.a.client_id: must be a string;"),
        ('profile = "gracful"\n', '4: accounts.a.profile: no such profile; did you mean "graceful"?'),
        ('profile = "zzz"\n', "4: accounts.a.profile: no such profile; known: generic, graceful, offline"),
        ('profile = "graceful"\n', '4: accounts.a.profile: a profile for another kind; write kind = "oauth2"'),
        ('paused = "yes"\n', "4: accounts.a.paused: must be true or false;"),
        ("margins = { fraction = 1 }\n", "4: accounts.a.margins.fraction: out of range; write less than 1"),
        ("margins = { cap = inf }\n", "4: accounts.a.margins.cap: must be a finite number;"),
        ('\n[accounts.a.contract]\nreuse = "grace"\n', "5: accounts.a.contract.grace: reuse = "),
        ("\n[accounts.a.contract]\n\ngrace = 9\n", "7: accounts.a.contract.grace: means something with reuse"),
        ('contract.kills = "all"\n', "4: accounts.a.contract.kills: not one of the known words; write 'token',"),
        ("contract.lease_life = 14\n", "4: accounts.a.contract.lease_life: lets renewal wait until less than 5 s"),
        ("contract = { idle_life = 9 }\n", "4: accounts.a.contract.idle_life: lets renewal wait until less than 5 s"),
        ("contract.reissue_left = 4\n", "4: accounts.a.contract.reissue_left: lets renewal wait until less than 5 s"),
        ("margins.cap = 3\n", "4: accounts.a.margins.cap: lets renewal wait until less than 5 s"),
        ('readers.users = "root"\n', "4: accounts.a.readers.users: must be a list;"),
    ],
)
def test_a_mistake_in_an_account_is_named_with_its_line_and_remedy(desk: Desk, text: str, expected: str) -> None:
    found = desk.problem(ACCOUNT + text)
    assert found.startswith(expected), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[accounts.a]\nissuer = "i"\n', "1: accounts.a.kind: missing; add kind = …; known: oauth2, toy"),
        ('[accounts.a]\nkind = "toi"\n', '2: accounts.a.kind: no such kind; did you mean "toy"? known: oauth2, toy'),
        ('[accounts.a]\nkind = "toy"\n', "1: accounts.a.issuer: missing; add issuer = …"),
        ('[accounts."A b"]\nkind = "toy"\nissuer = ""\n', '1: accounts."A b": not a name for an account;'),
        ("[accounts.a]\nkind = 3\n", "2: accounts.a.kind: must be a string;"),
    ],
)
def test_a_mistake_in_the_head_of_an_account_is_named(desk: Desk, text: str, expected: str) -> None:
    assert desk.problem(text).startswith(expected)


def test_a_kind_that_nobody_names_is_not_asked(desk: Desk) -> None:
    class Unread(dict[str, KindSchema]):
        def __getitem__(self, name: str) -> KindSchema:
            raise AssertionError(name)

    desk.file.write_text("")
    assert load(desk.file, Unread(KINDS), {}, desk.here).accounts == ()


def test_everything_wrong_is_said_at_once_and_in_the_order_of_the_file(desk: Desk) -> None:
    text = (
        'colour = "red"\n[socket]\npath = "/no/such/folder/freshd.sock"\nmode = 1\n'
        '[accounts.b]\nkind = "toy"\nclient_secret = "word"\nreaders.users = ["ghost-user"]\npaused = 1\n'
        '[accounts.a]\nkin = "toy"\ncontract.kills = "all"\n[profiles.p]\nbased_on = "none-such"\n'
    )
    lines = [int(problem.split(":")[0]) for problem in desk.problems(text)]
    assert lines == [1, 3, 4, 5, 7, 8, 9, 10, 11, 12, 14]


def test_a_problem_names_the_file_and_the_error_says_what_to_do(desk: Desk) -> None:
    with pytest.raises(ConfigError) as caught:
        desk.load("x = 1\ny = 2\n")
    assert caught.value.cause == f"2 problems in {desk.file}"
    assert caught.value.remedy == "correct the lines named, then run: freshd check"
    assert all(problem.startswith(f"{desk.file}:") for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = \n", 1),
        ('[log]\nlevel = "x\n', 2),
        ("[log]\n[log]\n", 2),
        ("a = [1,\n\n", 2),
        (b"a = 1\nb = '\xff'\n", 2),
        (b"\xef\xbb\xbfa = 1\n", 1),
        ("a = " + "[" * 5000 + "\n", 1),
        ("a = 1" + "0" * 5000 + "\n", 1),
    ],
)
def test_what_is_no_toml_is_named_with_its_line(desk: Desk, text: str | bytes, line: int) -> None:
    assert desk.problem(text).startswith(f"{line}: (file): ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "absent.toml", KINDS)
    assert "cannot be read" in caught.value.problems[0]


# ------------------------------------------------------------------------------------------------ secrets


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ('{ credential = "name" }', SecretRef(Way.CREDENTIAL, ("name",))),
        ('{ keyring = { service = "s", entry = "e" } }', SecretRef(Way.KEYRING, ("s", "e"))),
        ('{ command = ["/bin/echo", "x"] }', SecretRef(Way.COMMAND, ("/bin/echo", "x"))),
    ],
)
def test_a_secret_is_a_reference(desk: Desk, text: str, ref: SecretRef) -> None:
    assert desk.account(f"client_secret = {text}\n").options["client_secret"] == ref


def test_a_secret_may_lie_in_a_file_that_is_private(desk: Desk) -> None:
    path = desk.secret()
    account = desk.account(f'client_secret = {{ file = "{path}" }}\n')
    assert account.options["client_secret"] == SecretRef(Way.FILE, (str(path),))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"pa55word"', "client_secret: a secret must not stand in the configuration; move it out"),
        ("3", "client_secret: must be a reference to a secret; write { file = "),
        ("{}", "client_secret: must name exactly one place;"),
        ('{ env = "NAME" }', "client_secret.env: the environment is no place for a secret:"),
        ('{ flie = "/x" }', "client_secret.flie: unknown key; did you mean file?"),
        ('{ file = "x" }', "client_secret.file: must be the absolute path of a file;"),
        ('{ file = "/x", credential = "x" }', "client_secret: must name exactly one place;"),
        ('{ credential = "../x" }', "client_secret.credential: must be the name of a systemd credential;"),
        ('{ keyring = { service = "x" } }', "client_secret.keyring: must be a table with service and entry;"),
        ('{ command = "pass show x" }', "client_secret.command: must be a list of strings:"),
        ('{ command = ["pass"] }', "client_secret.command[0]: must be the absolute path of a program;"),
        ('{ command = ["/no/such/program"] }', "client_secret.command[0]: no program that this user may run;"),
        ('{ file = "/no/such/file" }', "client_secret.file: the file is not there or out of reach;"),
        ('{ file = "/dev" }', "client_secret.file: is no file;"),
    ],
)
def test_what_is_no_usable_reference_is_refused(desk: Desk, text: str, expected: str) -> None:
    found = desk.problem(f"{ACCOUNT}client_secret = {text}\n")
    assert found.startswith(f"4: accounts.a.{expected}"), found


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_secret_that_others_may_use_is_refused(desk: Desk, mode: int) -> None:
    path = desk.secret(mode=mode)
    found = desk.problem(f'{ACCOUNT}client_secret = {{ file = "{path}" }}\n')
    assert found == "4: accounts.a.client_secret.file: other users may use the file; take their rights away: chmod 600"


def test_a_credential_that_the_unit_lacks_is_refused(desk: Desk) -> None:
    (desk.folder / "x").mkdir()
    unit = Desk(desk.folder / "x", {"CREDENTIALS_DIRECTORY": str(desk.folder)})
    found = unit.problem(f'{ACCOUNT}client_secret = {{ credential = "absent" }}\n')
    assert found.startswith("4: accounts.a.client_secret.credential: the unit has no such credential; add LoadCred")


# ------------------------------------------------------------------------------------------ several accounts


def test_two_accounts_with_one_grant_are_refused(desk: Desk) -> None:
    found = desk.problem(ACCOUNT + '[accounts.b]\nkind = "toy"\nissuer = "https://a.example"\n')
    assert found.startswith("4: accounts.b: has the same grant as a: same server, client and subject; remove one")


@pytest.mark.parametrize("key", ["subject", "grant", "client_id", "issuer"])
def test_accounts_that_differ_in_what_binds_a_grant_are_two(desk: Desk, key: str) -> None:
    issuer = "" if key == "issuer" else 'issuer = "https://a.example"\n'
    assert not desk.problems(f'{ACCOUNT}[accounts.b]\nkind = "toy"\n{issuer}{key} = "other"\n')


def test_short_lives_are_accepted_where_they_are_wanted(desk: Desk) -> None:
    account = desk.account("allow_short_lived = true\ncontract.lease_life = 4\n")
    assert account.profile.contract.lease_life == 4


def test_a_folder_that_cannot_be_written_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write everywhere: the kernel's answer is stood in for.
    monkeypatch.setattr(os, "access", lambda path, _: str(path) != "/")
    found = desk.problem('[socket]\npath = "/freshd.sock"\n')
    assert found.startswith("2: socket.path: its folder is not writable for this user;")


@pytest.mark.parametrize(
    ("path", "wrong"),
    [("/no/such/folder/s", "its folder is unreachable"), ("/etc/passwd/s", "its folder is unreachable"),
     ("/" + "x" * 107, "too long for a socket")],
)  # fmt: skip
def test_a_socket_that_cannot_be_bound_is_refused(desk: Desk, path: str, wrong: str) -> None:
    assert desk.problem(f'[socket]\npath = "{path}"\n').startswith(f"2: socket.path: {wrong};")


def test_a_socket_from_systemd_needs_no_folder(desk: Desk) -> None:
    (desk.folder / "x").mkdir()
    activated = Desk(desk.folder / "x", {"LISTEN_FDS": "1"})
    assert not activated.problems('[socket]\npath = "/no/such/folder/s"\n')


# ------------------------------------------------------------------------------------------------ profiles


def test_a_profile_of_the_file_is_laid_over_its_base(desk: Desk) -> None:
    text = (
        '[profiles.mine]\nbased_on = "graceful"\nmargins = { cap = 60 }\ncontract = { kills = "more" }\n'
        '[accounts.a]\nkind = "oauth2"\nprofile = "mine"\ncontract = { omitted = "dead" }\n'
    )
    account = desk.load(text).accounts[0]
    contract = account.profile.contract
    assert (contract.reuse, contract.grace, contract.kills) == (Reuse.GRACE, 30, Kills.MORE)
    assert contract.omitted is Omitted.DEAD
    assert account.margins.cap == 60
    assert account.options["issuer"] == "https://profile.example"


def test_an_account_wins_over_its_profile(desk: Desk) -> None:
    text = '[accounts.a]\nkind = "oauth2"\nprofile = "graceful"\nissuer = "i"\ncontract = { reuse = "strict" }\n'
    account = desk.load(text).accounts[0]
    assert account.options["issuer"] == "i"
    assert (account.profile.contract.reuse, account.profile.contract.grace) == (Reuse.STRICT, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[profiles.a]\nbased_on = "b"\n[profiles.b]\nbased_on = "a"\n', "4: profiles.b.based_on: rests on a broken"),
        ('[profiles.a]\nbased_on = "a"\n', "2: profiles.a.based_on: rests on a broken profile or on itself;"),
        ("[profiles.generic]\n", "1: profiles.generic: a packaged profile has this name;"),
        ('[profiles.a]\nkind = "zzz"\n', "2: profiles.a.kind: no such kind; known: oauth2, toy"),
        ('[profiles.a.options]\nclient_secret = "x"\n', "2: profiles.a.options.client_secret: a secret must not stand"),
        ('[profiles.a.options]\nisuer = "x"\n', "2: profiles.a.options.isuer: unknown key; did you mean issuer?"),
        ('[profiles.a]\nchecked = "soon"\n', "2: profiles.a.checked: not valid;"),
    ],
)
def test_a_mistake_in_a_profile_is_named(desk: Desk, text: str, expected: str) -> None:
    found = desk.problem(text)
    assert found.startswith(expected), found


def test_a_scope_without_which_no_grant_comes_is_asked_for(desk: Desk) -> None:
    text = '[accounts.a]\nkind = "oauth2"\nprofile = "offline"\nissuer = "i"\nscope = "mail"\n'
    assert desk.problem(text).startswith("5: accounts.a.scope: lacks offline_access, without which this server")
    assert not desk.problems(text.replace('"mail"', '"mail offline_access"'))


# ------------------------------------------------------------------------------------------------ whatever comes

CANARY = "canary7Value"
WORDS = """
    accounts profiles socket vault log operators state_dir a b kind issuer client_secret readers users groups units
    file command keyring path mode group level format margins contract reuse grace options based_on
"""
KEYS = st.sampled_from(WORDS.split())
VALUES = st.recursive(
    st.sampled_from(
        [f'"{CANARY}"', f"'''\n{CANARY}'''", "1", "-7.5", "true", "nan", "1979-05-27", '"toy"', '"oauth2"']
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(KEYS, inner, max_size=3).map(
            lambda table: "{ " + ", ".join(f"{key} = {value}" for key, value in table.items()) + " }"
        )
    ),
    max_leaves=8,
)
LINES = st.lists(
    st.tuples(KEYS, VALUES).map(" = ".join)
    | st.lists(KEYS, min_size=1, max_size=4).map(lambda parts: f"[{'.'.join(parts)}]")
    | st.lists(KEYS, min_size=1, max_size=3).map(lambda parts: f"[[{'.'.join(parts)}]]")
    | st.just("# note"),
    max_size=14,
)


@given(LINES)
def test_no_value_is_repeated_and_nothing_but_a_config_error_is_raised(lines: list[str]) -> None:
    _must_be_refused_politely("\n".join(lines).encode())


@given(st.text())
def test_any_text_is_taken_or_refused(text: str) -> None:
    _must_be_refused_politely(text.encode("utf-8", "surrogatepass"))


def _must_be_refused_politely(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        for problem in desk.problems(data):
            assert CANARY not in problem
            assert re.match(r"\d+: .+: .+; .+", problem, re.DOTALL), problem


@pytest.mark.parametrize(
    "text",
    [
        f'{ACCOUNT}client_secret = "{CANARY}"\n',
        f'{ACCOUNT}client_secret = {{ file = "/{CANARY}" }}\n',
        f'{ACCOUNT}client_secret = {{ command = ["/{CANARY}"] }}\n',
        f'{ACCOUNT}readers.users = ["{CANARY}"]\n',
        f'{ACCOUNT}profile = "{CANARY}"\n',
        f'[accounts.a]\nkind = "{CANARY}"\n',
        f'[socket]\npath = "/{CANARY}/{CANARY}/s"\n',
        f'[log]\nlevel = "{CANARY}"\n',
        f'[profiles.p]\nbased_on = "{CANARY}"\n',
        f'a = "{CANARY}" "{CANARY}"\n',
        f"a = {CANARY}\n",
    ],
)
def test_no_value_is_repeated(desk: Desk, text: str) -> None:
    assert CANARY not in desk.problem(text)
