"""The table of README.md names every test of this folder, and only tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
OTHERS = {"A:": "downloads/test_archive.py", "P:": "conversion/test_pytorch_source.py"}


def names_in(path: Path) -> set[str]:
    return set(re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE))


def test_the_table_matches_the_tests() -> None:
    own = set().union(*(names_in(path) for path in HERE.glob("test_*.py") if path != Path(__file__).resolve()))
    existing = own.union(*({key + name for name in names_in(HERE.parent / path)} for key, path in OTHERS.items()))
    named = set(re.findall(r"`([AP]?:?test_\w+)`", (HERE / "README.md").read_text("utf-8")))
    assert sorted(named - existing) == []
    assert sorted(own - named) == []
