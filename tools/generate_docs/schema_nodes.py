"""The JSON Schemas in `docs/reference/schemas`, with their references resolved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "reference" / "schemas"
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Node:
    """A schema and the file that its references are relative to."""

    schema: Schema
    file: str

    def at(self, schema: Schema) -> Node:
        """A schema inside this one."""
        return Node(schema, self.file)

    def resolved(self) -> Node:
        """The schema that a `$ref` stands for, with what is written beside the reference."""
        if "$ref" not in self.schema:
            return self
        file, _, pointer = self.schema["$ref"].partition("#")
        name = file.removesuffix(".json") or self.file
        target: Any = load(name)
        for part in pointer.split("/")[1:]:
            target = target[int(part) if isinstance(target, list) else part]
        found = Node(target, name).resolved()
        return found.at({**found.schema, **{key: one for key, one in self.schema.items() if key != "$ref"}})

    def alternatives(self) -> list[Node]:
        """What a value may be, without null."""
        return [one for option in self.schema["anyOf"] if (one := self.at(option)).schema != {"type": "null"}]

    def is_nullable(self) -> bool:
        """Whether null is a value."""
        kinds = self.schema.get("type", ())
        return {"type": "null"} in self.schema.get("anyOf", ()) or (isinstance(kinds, list) and "null" in kinds)

    def properties(self) -> dict[str, Node]:
        """The keys of an object, also those of its `allOf`."""
        found: dict[str, Node] = {}
        for one in self.schema.get("allOf", ()):
            found |= self.at(one).resolved().properties() if "if" not in one else {}
        return found | {key: self.at(one) for key, one in self.schema.get("properties", {}).items()}

    def required(self) -> set[str]:
        """The keys that are always present."""
        parts = [self.at(one).resolved().required() for one in self.schema.get("allOf", ()) if "if" not in one]
        return set(self.schema.get("required", ())).union(*parts)


@cache
def load(name: str) -> dict[str, Any]:
    """A schema by the name of its file, without `.json`."""
    document: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))
    return document
