"""What the tests of the configuration share: a small kind, a place to write files, and problems without their file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from freshd.config import Surroundings, load
from freshd.core.model import Binding
from freshd.core.problem import explain
from freshd.core.settings import AccountSettings, Parsed, SecretRef, Settings
from freshd.errors import ConfigError


class ToyOptions(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    issuer: str
    client_id: str = "app"
    subject: str | None = None
    scope: str = ""
    client_secret: SecretRef | None = None


class Toy:
    """A kind with one required key and one secret."""

    secrets = frozenset({"client_secret"})

    def parse(self, account: str, raw: Mapping[str, object]) -> Parsed:
        try:
            options = ToyOptions.model_validate(dict(raw))
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False)
            return Parsed(problems=explain(found, ToyOptions.model_fields))
        binding = Binding("toy", options.issuer, options.client_id, options.subject)
        return Parsed(dict(options), binding)

    def json_schema(self) -> Mapping[str, object]:
        return ToyOptions.model_json_schema()


KINDS = {"toy": Toy(), "oauth2": Toy()}
PROFILES: Mapping[str, Any] = {
    "generic": {},
    "graceful": {"contract": {"reuse": "grace", "grace": 30}, "options": {"issuer": "https://profile.example"}},
    "offline": {"required_scope": "offline_access"},
}
ACCOUNT = '[accounts.a]\nkind = "toy"\nissuer = "https://a.example"\n'


class Desk:
    """Writes and loads one file in a folder of its own."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.file = folder / "freshd.toml"
        for name in ("state", "run"):
            (folder / name).mkdir()
        given = {"XDG_STATE_HOME": str(folder / "state"), "XDG_RUNTIME_DIR": str(folder / "run"), "HOME": str(folder)}
        self.here = Surroundings({**given, **(environ or {})}, uid=1000)

    def load(self, text: str | bytes) -> Settings:
        self.file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(self.file, KINDS, PROFILES, self.here)

    def account(self, text: str) -> AccountSettings:
        return self.load(ACCOUNT + text).accounts[0]

    def problems(self, text: str | bytes) -> list[str]:
        """Every problem as "LINE: KEY: WRONG; WRITE"; none for a good file."""
        try:
            self.load(text)
        except ConfigError as error:
            return [problem.removeprefix(f"{self.file}:") for problem in error.problems]
        return []

    def problem(self, text: str | bytes) -> str:
        found = self.problems(text)
        assert len(found) == 1, found
        return found[0]

    def secret(self, name: str = "secret", mode: int = 0o600) -> Path:
        path = self.folder / name
        path.write_text("the secret\n")
        path.chmod(mode)
        return path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
