"""YAML as plain data with line numbers.

Only the YAML that descriptions need is supported: mappings with string keys, sequences, strings, numbers, booleans
and null. Tags, anchors and aliases are refused, so a document cannot build objects or expand to a large size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo.text_files import read_limited

YamlValue = str | int | float | bool | list["YamlValue"] | dict[str, "YamlValue"] | None
Key = tuple[str | int, ...]

MAX_DOCUMENT_BYTES = 1 << 20  # the longest Open Model Zoo description of a MobileNet has 18 kB
MAX_DEPTH = 32
MAX_SHOWN = 300  # characters of a key or value in a message
MAX_NODES = 25_000  # more would take seconds; the names of 21,000 classes are the longest list that is known
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Document:
    """A parsed YAML file.

    Attributes:
        path: the file.
        text: its bytes.
        data: its content as plain Python values.
        lines: the 1-based line of every key.
    """

    path: Path
    text: bytes
    data: YamlValue
    lines: Mapping[Key, int]

    def error(self, what: str, key: Key = (), *, expected: object = None, got: object = None) -> ConfigError:
        """An error that names file, line and key; a key without a line takes that of its nearest parent with one."""
        known = key
        while known and known not in self.lines:
            known = known[:-1]
        line = self.lines.get(known, 1)
        name = shortened(format_key(key))
        where = f"{self.path}:{line}: {name}" if name else f"{self.path}:{line}"
        return ConfigError(what, where=where, expected=expected, got=None if got is None else shortened(str(got)))


def shortened(text: str, most: int = MAX_SHOWN) -> str:
    """A key or value for a message, at most `most` characters: a message with all of a long one cannot be read."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def format_key(key: Key) -> str:
    """`("files", 0, "size")` as `files[0].size`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def load_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: the file cannot be read, is larger than 1 MiB, has more than 25,000 values, or is not the YAML
            described above.
    """
    text = read_limited(path, MAX_DOCUMENT_BYTES)
    return parse_document(text, path)


def parse_document(text: bytes, path: Path) -> Document:
    """Parse the bytes of a YAML file; `path` is for messages only. Raises: ConfigError."""
    if len(text) > MAX_DOCUMENT_BYTES:
        raise ConfigError("file too large", where=path, expected=f"at most {MAX_DOCUMENT_BYTES} bytes", got="more")
    try:
        # Check the events before composing: nodes shared by aliases take exponential time to walk, and deep nesting
        # overflows the C stack of libyaml's binding.
        depth = nodes = 0
        for event in yaml.parse(text, Loader=_LOADER):
            nodes += not isinstance(event, yaml.CollectionEndEvent | yaml.DocumentEndEvent)
            if nodes > MAX_NODES:
                raise _problem(path, event.start_mark, f"more than {MAX_NODES} keys and values")
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise _problem(path, event.start_mark, "anchors and aliases are not supported")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _problem(path, event.start_mark, f"nested more than {MAX_DEPTH} levels deep")
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        raise _problem(path, error.problem_mark, f"not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid YAML: {' '.join(str(error).split())}", where=path) from error
    lines: dict[Key, int] = {}
    data = None if root is None else _plain(root, (), lines, path)
    return Document(path, text, data, lines)


def _problem(path: Path, mark: Any, what: str) -> ConfigError:
    return ConfigError(what, where=path if mark is None else f"{path}:{mark.line + 1}")


def _plain(node: yaml.Node, key: Key, lines: dict[Key, int], path: Path) -> YamlValue:
    lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return [_plain(child, (*key, index), lines, path) for index, child in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        return _mapping(node, key, lines, path)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, path)
    raise _problem(path, node.start_mark, f"tag {node.tag!r} is not supported")


def _mapping(node: yaml.MappingNode, key: Key, lines: dict[Key, int], path: Path) -> dict[str, YamlValue]:
    result: dict[str, YamlValue] = {}
    for name_node, value_node in node.value:
        if not isinstance(name_node, yaml.ScalarNode):
            raise _problem(path, name_node.start_mark, "a key must be a plain string")
        name = name_node.value
        if name in result:
            raise _problem(path, name_node.start_mark, f"{shortened(format_key((*key, name)))}: duplicate key")
        child = (*key, name)
        lines[child] = name_node.start_mark.line + 1
        result[name] = _plain(value_node, child, lines, path)
    return result


def _scalar(node: yaml.ScalarNode, path: Path) -> YamlValue:
    value: str = node.value
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind in ("str", "timestamp", "value"):
        return value
    if kind == "null":
        return None
    if kind == "bool" and value.lower() in ("true", "yes", "on", "false", "no", "off"):
        return value.lower() in ("true", "yes", "on")
    try:
        if kind == "int" and not re.match(r"[-+]?0[0-9_]", value):
            return int(value.replace("_", ""), 10)
        if kind == "float":
            number = float(value.replace("_", ""))
            if math.isfinite(number):
                return number
    except ValueError:
        pass  # octal, hexadecimal and base-60 numbers of YAML 1.1, which no description contains
    raise _problem(path, node.start_mark, f"value {shortened(value, 80)!r} with tag {kind!r} is not supported")
