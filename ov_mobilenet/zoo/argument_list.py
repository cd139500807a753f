"""A list of `--NAME=VALUE` arguments of a `model.yml`, and errors that name the line of an argument."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo.document import shortened

_ARGUMENT = re.compile(r"--([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?", re.DOTALL)


class Argument(str):
    """The text of one argument, which remembers its line.

    It equals, hashes and prints as the plain string, so the line is not part of a `ModelConfig`'s value.

    Attributes:
        line: 1-based line in the `model.yml`; None if the argument was not read from a file.
    """

    line: int | None

    def __new__(cls, text: str, line: int | None = None) -> Argument:
        """Attach the line to the text."""
        argument = super().__new__(cls, text)
        argument.line = line
        return argument


class ArgumentList:
    """The arguments of one list, by name without the leading dashes.

    Args:
        arguments: the arguments as written in the file.
        path: the `model.yml`, for messages.
        values: names that need a value.
        flags: names that may have a value, `True` or `False`.

    Raises:
        ConfigError: an argument is unknown, has no value, or is given twice.
    """

    def __init__(
        self, arguments: Sequence[str], path: Path, *, values: Collection[str], flags: Collection[str] = ()
    ) -> None:
        self._path = path
        self._given: dict[str, tuple[str, str]] = {}  # name -> (value, the whole argument)
        known = {*values, *flags}
        for argument in arguments:
            match = _ARGUMENT.fullmatch(argument.strip())
            if match is None or match[1] not in known:
                expected = "one of --" + ", --".join(sorted(known))
                raise self._problem(argument, "unknown argument", expected)
            name, value = match[1], (match[2] or "").strip()
            if name in values and not value:
                raise self._problem(argument, "argument without a value", f"--{name}=VALUE")
            if name in self._given:
                raise self._problem(argument, "argument given twice", "each argument at most once")
            self._given[name] = value, argument

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def get(self, name: str) -> str | None:
        """The value of an argument, empty for a flag without one; None if the argument is not given."""
        return self._given[name][0] if name in self._given else None

    def flag(self, name: str) -> bool | None:
        """The value of a flag; None if it is not given. Raises: ConfigError."""
        value = self.get(name)
        if value is None:
            return None
        if value.lower() not in ("", "true", "false"):
            raise self.error(name, "invalid value", "True or False")
        return value.lower() != "false"

    def error(self, name: str, what: str, expected: str | None) -> ConfigError:
        """An error about an argument that is given: `model.yml:31: WHAT '--NAME=VALUE': expected EXPECTED`."""
        argument = self._given[name][1]
        return self._problem(argument, what, expected)

    def _problem(self, argument: str, what: str, expected: str | None) -> ConfigError:
        line = getattr(argument, "line", None)
        what = f"{what} {shortened(argument)!r}"
        return ConfigError(what, where=self._path if line is None else f"{self._path}:{line}", expected=expected)
