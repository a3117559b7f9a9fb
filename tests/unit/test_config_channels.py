"""Channels and the MQTT outlet in the configuration: everything wrong at once, with its line and what to write."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from freshd.channels import mqtt_options
from freshd.channels.registry import Kinds
from freshd.config import Surroundings, load
from freshd.core.reload import Changes, diff
from freshd.core.settings import MqttOutletSettings, SecretRef, Settings, Way
from freshd.errors import ConfigError
from freshd.providers.profiles import packaged
from freshd.providers.registry import Schemas
from tests.unit.config_parts import Desk, desk

__all__ = ["desk"]

ACCOUNT = '[accounts.meter]\nkind = "oauth2"\nclient_id = "x"\nissuer = "https://x.example"\n'
CHANNEL = '[channels.line]\nkind = "mqtt"\nhost = "b.example"\n'
WITH = CHANNEL + 'account = "meter"\n'
"""Its last line is line 8 of a file that begins with the account."""
OUTLET = '[outlets.mqtt]\nchannel = "line"\n'


def read(desk: Desk, text: str) -> Settings:
    desk.file.write_text(text)
    return load(desk.file, Schemas(), packaged(), Surroundings(dict(desk.here.environ), uid=1000), Kinds())


def problems(desk: Desk, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(desk, text)
    return [problem.removeprefix(f"{desk.file}:") for problem in caught.value.problems]


def test_the_example_is_valid(desk: Desk) -> None:
    found = read(desk, (Path(__file__).parents[2] / "config" / "mqtt.toml").read_text(encoding="utf-8"))
    assert [(channel.name, channel.kind, channel.account) for channel in found.channels] == [
        ("broker", "mqtt", "meter")
    ]
    assert found.mqtt == MqttOutletSettings("broker", "freshd")


def test_a_channel_has_what_it_says_and_defaults_for_the_rest(desk: Desk) -> None:
    [channel] = read(desk, ACCOUNT + WITH).channels
    options = mqtt_options.Options.model_validate(dict(channel.options))
    assert options.at == ("b.example", 1883)
    values = {"account": "a", "token": "t", "host": "h", "channel": "c"}
    filled = {key: one.fill(values) for key, one in options.templates("meter").items()}
    assert filled == {"client_id": "freshd-h-c", "username": "a", "password": "t"}


def test_with_tls_the_port_is_another(desk: Desk) -> None:
    [channel] = read(desk, ACCOUNT + WITH + "tls = true\n").channels
    assert mqtt_options.Options.model_validate(dict(channel.options)).at == ("b.example", 8883)


def test_without_an_account_a_password_is_a_reference(desk: Desk) -> None:
    path = desk.secret()
    [channel] = read(desk, CHANNEL + f'username = "u"\npassword = {{ file = "{path}" }}\n').channels
    assert channel.options["password"] == SecretRef(Way.FILE, (str(path),))
    assert channel.account is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('account = "metre"\n', "8: channels.line.account: names no account; did you mean meter?"),
        ('account = "zzz"\n', "8: channels.line.account: names no account; name one of: meter"),
        ('acount = "meter"\n', "8: channels.line.acount: unknown key"),
        ("port = 0\n", "8: channels.line.port: out of range; write at least 1"),
        ('port = "1883"\n', "8: channels.line.port: must be a whole number;"),
        ('version = "4"\n', "8: channels.line.version: not one of the known words; write '5' or '3.1.1'"),
        ('ca_file = "/x"\n', "8: channels.line.ca_file: means something with tls = true only;"),
        ('tls = true\nkey_file = "/x"\n', "9: channels.line.key_file: is the key of no certificate;"),
        ('username = "{token.x}"\n', "8: channels.line.username: has braces without a name; write {token},"),
        ('username = "{"\n', "8: channels.line.username: has a brace without its fellow;"),
        ('username = "{uid}"\n', "8: channels.line.username: names something of a lease, and the channel has no"),
        ('client_id = "{account}"\n', "8: channels.line.client_id: names something of a lease, and the channel has"),
        ('username = "u"\npassword = "canary"\n', "9: channels.line.password: a secret must not stand in the"),
        ('username = "u"\npassword = { env = "X" }\n', "9: channels.line.password.env: the environment is no place"),
        ('username = "u"\npassword = { file = "/nonexistent/x" }\n', "9: channels.line.password"),
        ('password = { credential = "x" }\n', "8: channels.line.username: is missing: a password goes with"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_remedy(desk: Desk, text: str, expected: str) -> None:
    found = problems(desk, ACCOUNT + CHANNEL + text)
    assert any(one.startswith(expected.replace("8: channels.line.username: is", "5: channels.line.username: is"))
               for one in found), found  # fmt: skip
    assert "canary" not in " ".join(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[channels.line]\nkind = "mqttt"\n', '2: channels.line.kind: no such kind of channel; did you mean "mqtt"?'),
        ("[channels.line]\n", "1: channels.line.kind: missing; add kind = …; known: aun, mqtt"),
        ('[channels.line]\nkind = "mqtt"\n', "1: channels.line.host: missing; add host = …"),
        ('[channels.line]\nkind = "aun"\n', "1: channels.line.account: missing; add account = …"),
        ('[channels.Line]\nkind = "mqtt"\nhost = "x"\n', "1: channels.Line: not a name for a channel;"),
        ("channels = 1\n", "1: channels: must be a table"),
        (
            CHANNEL + "[outlets.mqtt]\n",
            "4: outlets.mqtt.channel: missing; add channel = …, a channel of kind mqtt: line",
        ),
        (
            CHANNEL + '[outlets.mqtt]\nchannel = "lin"\n',
            "5: outlets.mqtt.channel: names no channel; did you mean line?",
        ),
        (CHANNEL + OUTLET + 'prefix = "a/#"\n', "6: outlets.mqtt.prefix: no prefix for topics;"),
        (CHANNEL + OUTLET + 'prefix = "/a"\n', "6: outlets.mqtt.prefix: no prefix for topics;"),
        (CHANNEL + OUTLET + "prefix = 1\n", "6: outlets.mqtt.prefix: must be a string;"),
        (CHANNEL + OUTLET + "ring = 0\n", "6: outlets.mqtt.ring: out of range; write at least 1"),
        (CHANNEL + OUTLET + "qos = 2\n", "6: outlets.mqtt.qos: not one of the known words;"),
        (CHANNEL + OUTLET + 'level = "loud"\n', "6: outlets.mqtt.level: not one of the known words;"),
        ("[outlets.mqt]\n", "1: outlets.mqt: unknown key; did you mean mqtt?"),
    ],
)
def test_a_mistake_in_a_table_is_named(desk: Desk, text: str, expected: str) -> None:
    [found] = problems(desk, text)
    assert found.startswith(expected)


def test_everything_wrong_is_said_at_once(desk: Desk) -> None:
    text = ACCOUNT + CHANNEL + 'account = "zzz"\nport = 0\n[outlets.mqtt]\nchannel = "x"\nring = 0\n'
    assert [one.split(":")[0] for one in problems(desk, text)] == ["8", "9", "11", "12"]


def test_without_the_library_the_error_says_how_to_install_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_options, "find_spec", lambda _name: None)
    [found] = problems(desk, CHANNEL)
    assert found.startswith(
        "2: channels.line.kind: needs the library aiomqtt, which is not installed; run: pip install"
    )
    assert "freshd[mqtt]" in found
    assert importlib.util.find_spec("aiomqtt") is not None


def test_a_reload_knows_which_channels_differ(desk: Desk) -> None:
    before = read(desk, ACCOUNT + WITH + CHANNEL.replace("line", "other") + OUTLET)
    assert diff(before, before).is_empty
    after = read(desk, "\n" + ACCOUNT + WITH + CHANNEL.replace("line", "third") + OUTLET)
    assert diff(before, after) == Changes(channels=frozenset({"other", "third"}))
    assert diff(before, replace(before, mqtt=None)) == Changes(mqtt=True, will=True)
    other = replace(before, mqtt=MqttOutletSettings("line", "freshd", ring=5))
    assert diff(before, other) == Changes(mqtt=True)
