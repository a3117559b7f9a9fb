"""What holds for every test: real parts are asked for by name, and no secret is written anywhere (`tests/canary`).

`@pytest.mark.part("keyring")` skips with the reason where the part is missing, and fails where it is missing
though FRESHD_REQUIRE names it.
"""

import os

import hypothesis
import pytest

from tests import parts
from tests.canary.watch import Watch

MISSING = pytest.StashKey[dict[str, str]]()
REQUIRED = pytest.StashKey[frozenset[str]]()

# A deadline per example is a timed assertion: it fails on a busy machine and proves nothing on an idle one.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Watch(), "canary")
    try:
        config.stash[REQUIRED] = parts.required_names(os.environ)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if unknown := set(_parts_of(item)) - parts.PARTS.keys():
            raise pytest.UsageError(f"{item.nodeid} asks for unknown parts: {', '.join(sorted(unknown))}")
    if any(map(_parts_of, items)):
        config.stash[MISSING] = parts.missing_here(os.environ)


def pytest_runtest_setup(item: pytest.Item) -> None:
    missing = {name: item.config.stash[MISSING][name] for name in _parts_of(item) if name in item.config.stash[MISSING]}
    for name in item.config.stash[REQUIRED] & missing.keys():
        pytest.fail(f"missing required part {name}: {missing[name]}", pytrace=False)
    for name, reason in missing.items():
        pytest.skip(f"part {name}: {reason}")


def _parts_of(item: pytest.Item) -> list[str]:
    return [name for mark in item.iter_markers("part") for name in mark.args]
