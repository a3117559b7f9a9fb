"""The JSON Schema of freshd.toml with every kind that is shipped; `python -m tests.config_schema` prints it."""

import json
from typing import Any

from freshd.channels.registry import Kinds
from freshd.config.schema import json_schema
from freshd.providers.registry import Schemas

KINDS = Schemas()
CHANNELS = Kinds()


def schema() -> dict[str, Any]:
    return json_schema(KINDS, CHANNELS)


def text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")
