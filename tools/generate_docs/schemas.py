"""The tables of the JSON documents and of the descriptions, from the JSON Schemas in `docs/reference/schemas`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from generate_docs.compact_json import compact_json
from generate_docs.models import as_table
from generate_docs.schema_nodes import Node, Schema, load

# The schemas in the parts of docs/reference/json.md, in their order.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "results": ("result", "classify", "run-settings"),
    "models": ("list", "list-hub", "info", "info-ir", "download-events", "convert"),
    "int8": ("quantize", "int8-accuracy"),
    "accuracy": ("accuracy", "predictions", "compare", "diagnose"),
    "speed": ("benchmark", "benchmark-app", "benchmark-app-config", "tune", "profile"),
    "machine": ("demo", "devices", "env", "config-show", "cache-list"),
    "bulk": ("bulk", "bulk-plan", "bulk-manifest", "bulk-shards"),
    "export": ("export-ovms", "export-kserve"),
    "server": ("serve-ready", "v1-classify", "http-error", "v1-status", "v1-models", "serve-log"),
}
YAML = ("profile",)
EXAMPLE_WIDTH = 100


@dataclass(frozen=True)
class Row:
    """A key of a document.

    Attributes:
        path: such as `results[].source`; `NAME` stands for a key that is not fixed.
        default: the value if the key is missing, as JSON; None if it is required or has none.
    """

    path: str
    kind: str
    meaning: str
    is_required: bool
    default: str | None = None
    example: str = ""


@dataclass
class _Table:
    """Collects rows; a shared object is described once."""

    described: dict[str, str] = field(default_factory=dict)

    def rows(self, node: Node, prefix: str = "") -> Iterator[Row]:
        node = node.resolved()
        required = node.required()
        for key, one in node.properties().items():
            yield from self._key(one, f"{prefix}{key}", is_required=key in required)

    def _key(self, node: Node, path: str, *, is_required: bool) -> Iterator[Row]:
        whole = node.resolved()
        target, shown = _inner(node)
        kind = _kind(node)
        name = target.schema.get("$ref")
        before = self.described.get(f"{target.file}/{name}") if name is not None else None
        if before is not None:
            kind = f"{kind}, as `{before}`"
        default = None if is_required or "default" not in whole.schema else json.dumps(whole.schema["default"])
        yield Row(
            path, kind, whole.schema.get("description", ""), is_required, default,
            ", ".join(f"`{json.dumps(one, ensure_ascii=False)}`" for one in whole.schema.get("examples", ())),
        )  # fmt: skip
        if before is not None or _is_section(target):
            return
        for one in target.alternatives() if "anyOf" in target.resolved().schema and name is None else [target]:
            yield from self._below(one, f"{path}{shown}", path)

    def _below(self, node: Node, prefix: str, path: str) -> Iterator[Row]:
        name, inner = node.schema.get("$ref"), node.resolved()
        if "anyOf" in inner.schema and "properties" not in inner.schema:
            if name is not None:
                self.described[f"{node.file}/{name}"] = path
            for one in inner.alternatives():
                if not _is_section(one):
                    yield from self._below(one, prefix, path)
        elif inner.properties():
            if name is not None:
                self.described[f"{node.file}/{name}"] = path
            yield from self.rows(inner, f"{prefix}.")


def _inner(node: Node) -> tuple[Node, str]:
    """What a list or map holds, at any depth, and its place in a path: `[]`, `.NAME`; without null."""
    whole = node.resolved()
    options = whole.alternatives() if "anyOf" in whole.schema and "properties" not in whole.schema else []
    if len(options) == 1:
        return _inner(options[0])
    items, values = whole.schema.get("items"), whole.schema.get("additionalProperties")
    if isinstance(items, dict):
        found, shown = _inner(whole.at(items))
        return found, f"[]{shown}"
    if isinstance(values, dict) and "properties" not in whole.schema:
        found, shown = _inner(whole.at(values))
        return found, f".NAME{shown}"
    return node, ""


def _is_section(node: Node) -> bool:
    """Whether it is another whole document, which has a section of its own."""
    return "#" not in node.schema.get("$ref", "#")


def _kind(node: Node) -> str:
    """The type of a value in words."""
    if _is_section(node):
        name = node.schema["$ref"].removesuffix(".json")
        return f"[{load(name)['title']}](#{name})"
    whole = node.resolved()
    return f"{_kind_of(whole)} or null" if whole.is_nullable() else _kind_of(whole)


def _kind_of(whole: Node) -> str:
    schema = whole.schema
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(
            f"`{one if isinstance(one, str) else json.dumps(one)}`" for one in schema["enum"] if one is not None
        )
    if "anyOf" in schema and "properties" not in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in whole.alternatives()))
    kinds = [one for one in _listed(schema.get("type", "object")) if one != "null"]
    if kinds == ["array"]:
        return f"list of {_several(whole.at(schema['items']))}" if schema["items"] else "list"
    if kinds == ["object"] and isinstance(schema.get("additionalProperties"), dict) and "properties" not in schema:
        return f"map of {_several(whole.at(schema['additionalProperties']))}"
    return (" or ".join(kinds) or "null") + _range(schema)


def _several(node: Node) -> str:
    return re.sub(r"^(object|string|number|integer|boolean)\b", r"\1s", _kind(node))


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _range(schema: Schema) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f", {schema['minimum']} to {schema['maximum']}"
    limits = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
    return ",".join(f" {sign} {schema[key]}" for key, sign in limits if key in schema)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _lines(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return as_table(head, ("---",) * len(head), (tuple(map(_cell, row)) for row in rows))


def output_table(node: Node) -> str:
    """The keys of a document that a command writes."""
    return _lines(
        ("Key", "Type", "Meaning"),
        [
            (f"`{row.path}`", row.kind if row.is_required else f"{row.kind}, optional", row.meaning)
            for row in _Table().rows(node)
        ],
    )


def description_table(name: str) -> str:
    """The keys of a description that the user writes, with what is required, defaults and examples."""
    return _lines(
        ("Key", "Type", "Default", "Meaning", "Example"),
        [
            (
                f"`{row.path}`", row.kind, "required" if row.is_required else f"`{row.default}`" if row.default else "",
                row.meaning, row.example,
            )
            for row in _Table().rows(Node(load(name), name))
        ],
    )  # fmt: skip


def section(name: str) -> str:
    """The section of a document: title, link to its schema, tables, example."""
    schema = load(name)
    parts = [
        f"### {schema['title']} {{ #{name} }}",
        f"{schema['description']} Schema: [`{name}.json`](schemas/{name}.json).",
    ]
    node = Node(schema, name)
    if schema.get("type") == "array":
        parts.append("A list. Each entry has these keys:")
        node = node.at(schema["items"])
    if "anyOf" in node.schema:
        for one in node.alternatives():
            inner = one.resolved()
            if not inner.properties():
                continue  # a list of the same
            if "description" in inner.schema:
                parts.append(inner.schema["description"])
            parts.append(output_table(one))
    elif node.properties():
        parts.append(output_table(node))
    parts += [_block(example, is_yaml=name in YAML) for example in schema.get("examples", ())]
    return "\n\n".join(parts)


def _block(example: Any, *, is_yaml: bool) -> str:
    text = compact_json(example, EXAMPLE_WIDTH)
    if is_yaml:
        text = yaml.safe_dump(example, sort_keys=False, allow_unicode=True, width=EXAMPLE_WIDTH).rstrip()
    return f"<!-- not run: an output -->\n```{'yaml' if is_yaml else 'json'}\n{text}\n```"


def group(name: str) -> str:
    """The sections of one part of the page."""
    return "\n\n".join(map(section, GROUPS[name]))
