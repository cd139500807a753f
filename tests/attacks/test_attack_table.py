"""The table of README.md names every test here, and no test that is not there."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
OTHERS = {"A:": "downloads/test_archive.py", "P:": "conversion/test_pytorch_source.py"}


def names_in(path: Path) -> set[str]:
    return set(re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE))


def test_the_table_and_the_tests_are_the_same() -> None:
    own = set().union(*(names_in(path) for path in HERE.glob("test_*.py") if path != Path(__file__).resolve()))
    there = own.union(*({key + name for name in names_in(HERE.parent / path)} for key, path in OTHERS.items()))
    named = set(re.findall(r"`([AP]?:?test_\w+)`", (HERE / "README.md").read_text("utf-8")))
    assert sorted(named - there) == []
    assert sorted(own - named) == []
