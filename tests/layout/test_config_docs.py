"""The folder config/ is in step with what validates the configuration."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from freshd.config import Surroundings, load, sections
from freshd.providers.profiles import packaged
from freshd.vault import keyring
from tests.config_schema import KINDS, schema, text

CONFIG = Path(__file__).parents[2] / "config"
README = (CONFIG / "README.md").read_text(encoding="utf-8")
EXAMPLE = CONFIG / "freshd.toml"


def keys(part: Any) -> Iterator[str]:  # noqa: ANN401 - walks over any JSON
    """Every key that the schema names, at any depth."""
    if isinstance(part, dict):
        properties = part.get("properties", {})
        yield from properties
        for value in [*properties.values(), *(part[key] for key in part.keys() - {"properties"})]:
            yield from keys(value)
    elif isinstance(part, list):
        for item in part:
            yield from keys(item)


def test_the_schema_is_what_the_tables_say() -> None:
    assert (CONFIG / "freshd.schema.json").read_text(encoding="utf-8") == text(), "run scripts/schema"


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("key", sorted(set(keys(schema()))))
def test_the_readme_names_every_key(key: str) -> None:
    assert re.search(rf"`(?:[\w.\[\]]*\.)?{re.escape(key)}`", README), key


@pytest.mark.parametrize("name", sorted(packaged()))
def test_the_readme_names_every_profile(name: str) -> None:
    assert f"`{name}`" in README


def test_the_keyrings_that_may_be_named_are_those_of_the_vault() -> None:
    assert set(sections.BACKENDS) == set(keyring.BACKENDS)


def test_the_example_is_valid_for_freshd_and_for_the_schema(tmp_path: Path) -> None:
    here = Surroundings({"XDG_STATE_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}, uid=1000)
    settings = load(EXAMPLE, KINDS, packaged(), here)
    assert [account.name for account in settings.accounts] == ["intranet", "mail", "mail-archive"]
    jsonschema.Draft202012Validator(schema()).validate(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "red"},
        {"socket": {"mode": 660}},
        {"accounts": {"a": {"kind": "oauth2", "client_secret": "word"}}},
        {"accounts": {"a": {"kind": "zzz"}}},
        {"accounts": {"A": {"kind": "oauth2"}}},
        {"profiles": {"a": {"options": {"colour": 1}}}},
    ],
)
def test_the_schema_refuses_what_freshd_refuses(wrong: dict[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(schema()).is_valid(wrong)


def test_the_packaged_profiles_have_the_form_of_the_schema() -> None:
    jsonschema.Draft202012Validator(schema()).validate({"profiles": packaged()})
