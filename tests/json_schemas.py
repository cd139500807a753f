"""Compare documents with the JSON Schemas in docs/reference/schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import jsonschema
from generate_docs.schema_nodes import SCHEMAS, Node, load
from referencing import Registry, Resource

NAMES = tuple(sorted(path.stem for path in SCHEMAS.glob("*.json")))
_REGISTRY: Registry[Any] = Registry().with_resources(
    (f"{name}.json", Resource.from_contents(load(name))) for name in NAMES
)


def problems(name: str, document: object) -> list[str]:
    """Where a document does not fit a schema.

    Args:
        name: of the schema, with a `$defs` entry if there is one: `list`, `list#/$defs/model`.
    """
    file, _, pointer = name.partition("#")
    reference = {"$ref": f"{file}.json#{pointer}" if pointer else f"{file}.json"}
    return problems_of(reference, document)


def problems_of(reference: Any, document: object) -> list[str]:
    """Where a document does not fit a schema that refers to others by the names of their files."""
    validator = jsonschema.Draft202012Validator(reference, registry=_REGISTRY)
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(document)]


def node_of(name: str) -> Node:
    """A schema, as the generator of the pages reads it. Arguments as `problems`."""
    file, _, pointer = name.partition("#")
    return Node({"$ref": f"{file}.json#{pointer}"} if pointer else load(file), file).resolved()


def undocumented(name: str, document: object) -> list[str]:
    """The keys of a document that no alternative of its schema describes. Arguments as `problems`."""
    return list(_undocumented([node_of(name)], document, "$"))


def described_keys(schema: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    """Each key that a schema describes, with its schema."""
    if not isinstance(schema, dict) or "if" in schema:
        return
    for name, one in schema.get("properties", {}).items():
        yield f"{path}.{name}", one
        yield from described_keys(one, f"{path}.{name}")
    below = [
        schema.get("items"),
        schema.get("additionalProperties"),
        *schema.get("anyOf", ()),
        *schema.get("allOf", ()),
    ]
    for number, one in enumerate([*below, *schema.get("$defs", {}).values()]):
        yield from described_keys(one, f"{path}({number})")


def check(name: str, document: object) -> None:
    """Check that a document fits a schema, which describes all its keys. Arguments as `problems`."""
    assert problems(name, document) == []
    assert undocumented(name, document) == []


def _undocumented(nodes: Sequence[Node], value: object, path: str) -> Iterator[str]:
    leaves = [leaf for node in nodes for leaf in _leaves(node)]
    if isinstance(value, list):
        below = [leaf.at(leaf.schema["items"]) for leaf in leaves if "items" in leaf.schema]
        for number, one in enumerate(value):
            yield from _undocumented(below, one, f"{path}[{number}]")
    elif isinstance(value, dict):
        for key, one in value.items():
            below = [leaf.properties()[key] for leaf in leaves if key in leaf.properties()]
            free = [leaf.schema.get("additionalProperties") for leaf in leaves]
            below += [leaf.at(one) for leaf, one in zip(leaves, free, strict=True) if isinstance(one, dict)]
            patterns = [(leaf, *pair) for leaf in leaves for pair in leaf.schema.get("patternProperties", {}).items()]
            below += [leaf.at(inner) for leaf, pattern, inner in patterns if re.search(pattern, key)]
            if not below:
                yield f"{path}.{key}"
            yield from _undocumented(below, one, f"{path}.{key}")


def _leaves(node: Node) -> Iterator[Node]:
    whole = node.resolved()
    if "anyOf" in whole.schema:
        for one in whole.alternatives():
            yield from _leaves(one)
    else:
        yield whole
