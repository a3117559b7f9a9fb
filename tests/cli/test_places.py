"""Where configuration and socket are, unless somebody says so."""

from pathlib import Path

import pytest

from freshd.cli import entry, places


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(places, "SYSTEM_CONFIG", tmp_path / "etc" / "freshd.toml")
    (tmp_path / "etc").mkdir()
    return tmp_path


def here(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), **more}


def test_what_is_named_counts_there_or_not(home: Path) -> None:
    assert places.config_path(here(home, FRESHD_CONFIG="/else/x.toml"), 1000) == Path("/else/x.toml")
    assert places.socket_path(here(home, FRESHD_SOCKET="/else/s"), home / "none") == Path("/else/s")


def test_a_user_has_a_configuration_of_its_own_and_root_the_machines(home: Path) -> None:
    own = home / ".config" / "freshd" / "freshd.toml"
    assert places.config_path(here(home), 1000) == own
    assert places.config_path(here(home), 0) == places.SYSTEM_CONFIG
    assert places.config_path(here(home, XDG_CONFIG_HOME="/xdg"), 1000) == Path("/xdg/freshd/freshd.toml")
    assert places.config_path({}, 1000) == places.SYSTEM_CONFIG


def test_the_machines_configuration_counts_for_a_user_without_one(home: Path) -> None:
    places.SYSTEM_CONFIG.write_text("")
    assert places.config_path(here(home), 1000) == places.SYSTEM_CONFIG
    own = home / ".config" / "freshd" / "freshd.toml"
    own.parent.mkdir(parents=True)
    own.write_text("")
    assert places.config_path(here(home), 1000) == own


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[socket]\npath = "/x/s"', "/x/s"),
        ('[socket]\npath = "~/s"', "{home}/s"),
        ('[socket]\npath = "s"', None),
        ("[socket]\npath = 1", None),
        ("socket = 1", None),
        ("", None),
        ("not toml", None),
    ],
)
def test_a_configuration_is_asked_for_its_socket_and_not_judged(text: str, place: str | None, home: Path) -> None:
    (home / "c").write_text(text)
    found = places.socket_path(here(home), home / "c")
    assert str(found) == (place.format(home=home) if place else "/run/freshd/freshd.sock")


def test_a_token_is_asked_for_where_the_configuration_says_if_nothing_is_at_the_usual_places(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "freshd.toml"
    config.write_text('[socket]\npath = "/somewhere/else.sock"\n')
    monkeypatch.setenv("FRESHD_CONFIG", str(config))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("FRESHD_SOCKET", raising=False)
    monkeypatch.setattr("freshd.client.address.SYSTEM_SOCKET", str(tmp_path / "none.sock"))
    assert entry._place() == "/somewhere/else.sock"
    (tmp_path / "freshd").mkdir()
    (tmp_path / "freshd" / "freshd.sock").touch()
    assert entry._place() == str(tmp_path / "freshd" / "freshd.sock")
