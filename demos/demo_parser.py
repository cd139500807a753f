"""An argument parser for the demos: options in full, and those of the Open Model Zoo that have no effect here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any


class DemoParser(argparse.ArgumentParser):
    """An argument parser that accepts an option only by its full name.

    `allow_abbrev=False` covers `--` options alone: argparse still takes `-nth 3` for `-nthreads 3` and `-mean_values`
    for `-m ean_values`. Both are errors here; a value attached to a short option (`-i0`) is accepted. So is a second
    dash (`--nireq`), as in the Open Model Zoo's C++ demos.
    """

    def __init__(self, description: str | None) -> None:
        self._names: list[str] = []
        self._without_effect: dict[str, str] = {}
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )

    def add_argument(self, *names: str, **settings: Any) -> argparse.Action:
        """Add an option, as in `argparse`."""
        self._names += names
        return super().add_argument(*names, **settings)

    def parse(self, words: Sequence[str] | None = None) -> argparse.Namespace:
        """Parse the given words, by default those of the command line; exits with code 2 if they are wrong."""
        words = [self._with_one_dash(word) for word in (sys.argv[1:] if words is None else words)]
        for word in words:
            name = word.partition("=")[0]
            if not name.startswith("-") or not name.strip("-") or name in self._names:
                continue
            for option in self._names:
                if option.startswith((name, "-" + name)):
                    self.error(f"unrecognised option {name}; did you mean {option}?")
        parsed = self.parse_args(words)
        for dest, reason in self._without_effect.items():
            if getattr(parsed, dest):
                sys.stderr.write(f"note: --{dest} has no effect: {reason}\n")
        return parsed

    def ignore(self, *names: str, reason: str, **settings: Any) -> None:
        """Accept an option of the Open Model Zoo's demo that has no effect here; a note says so."""
        self._without_effect[self.add_argument(*names, help=argparse.SUPPRESS, **settings).dest] = reason

    def _with_one_dash(self, word: str) -> str:
        name = word.partition("=")[0]
        return word[1:] if name.startswith("--") and name not in self._names and name[1:] in self._names else word
