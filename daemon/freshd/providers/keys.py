"""A kind's own keys in the configuration, out of one pydantic model: `core.settings.KindSchema` for all kinds.

A kind subclasses `Keys` with its model, the names of the keys that hold references to secrets, and what the model's
types cannot say.  All problems are told at once, by key, and none repeats a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from freshd.core.problem import Problem, explain
from freshd.core.settings import Parsed

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """What every kind's model is: frozen, exact types, unknown keys refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


class Keys(Generic[Model]):
    """The keys of one kind."""

    model: ClassVar[type[Any]]
    secrets: frozenset[str] = frozenset()

    def problems(self, account: str, options: Model) -> Iterable[Problem]:
        """What is wrong between keys that are right by themselves."""
        return ()

    def parsed(self, account: str, options: Model, values: Mapping[str, object]) -> Parsed:
        """What a valid account comes to: its binding, and its family if it shares secrets."""
        return Parsed(values)

    def parse(self, account: str, raw: Mapping[str, object]) -> Parsed:
        """Validate; never raises and never repeats a value."""
        names = tuple(self.model.model_fields)
        try:
            options: Model = self.model.model_validate(dict(raw))
        except ValidationError as error:
            return Parsed(problems=explain(error.errors(include_input=False, include_url=False), names))
        problems = tuple(self.problems(account, options))
        if problems:
            return Parsed(problems=problems)
        return self.parsed(account, options, MappingProxyType({name: getattr(options, name) for name in names}))

    def json_schema(self) -> Mapping[str, Any]:
        """The model as JSON Schema."""
        schema: Mapping[str, Any] = self.model.model_json_schema()
        return schema
