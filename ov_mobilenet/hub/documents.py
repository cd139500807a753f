"""The JSON files of a repository, `config.json` and `preprocessor_config.json`, as checked values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ov_mobilenet.errors import ConfigError, ConversionError
from ov_mobilenet.zoo.text_files import read_limited

MAX_DOCUMENT_BYTES = 8 << 20  # the names and descriptions of 21,000 classes have 2 MB

T = TypeVar("T")


@dataclass(frozen=True)
class JsonDocument:
    """A JSON file that holds an object.

    Attributes:
        path: the file.
        data: its content.
    """

    path: Path
    data: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.path.name

    def convert(self, kind: type[T], key: str | None = None) -> T:
        """The document, or the value of one of its keys, as a struct; keys that the struct does not have are ignored.

        Raises:
            ConfigError: a value has the wrong type or is out of range.
        """
        try:
            return msgspec.convert(self.data if key is None else self.data[key], kind)
        except msgspec.ValidationError as error:
            text, _, path = str(error).partition(" - at `$")
            found = ".".join(filter(None, (key, path.removesuffix("`").lstrip("."))))
            expected = re.fullmatch(r"Expected (.+?)(?:, got (.+))?", text)
            if expected is None:
                raise self.invalid(_short(text), found) from error
            raise self.invalid("wrong type or value", found, expected[1], expected[2]) from error

    def invalid(self, what: str, key: str, expected: object = None, got: object = None) -> ConfigError:
        """The error of a value that cannot be right."""
        return ConfigError(what, where=self._where(key), expected=expected, got=None if got is None else _short(got))

    def unsupported(
        self, what: str, key: str, *, expected: object = None, got: object = None, fix: str | None = None
    ) -> ConversionError:
        """The error of a value that the library may accept, but that cannot be converted."""
        shown = None if got is None else _short(got)
        return ConversionError(what, where=self._where(key), expected=expected, got=shown, fix=fix)

    def _where(self, key: str) -> str:
        return f"{self.path}: {_short(key)}" if key else str(self.path)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def read_document(path: Path) -> JsonDocument:
    """Read a JSON file.

    Raises:
        ConfigError: it cannot be read, is larger than 8 MiB, is not JSON, or does not hold an object.
    """
    content = read_limited(path, MAX_DOCUMENT_BYTES)
    try:
        data = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"not valid JSON ({_short(error)})", where=path) from error
    if not isinstance(data, dict):
        raise ConfigError("wrong type or value", where=path, expected="an object", got=type(data).__name__)
    return JsonDocument(path, data)
