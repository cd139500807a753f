"""Demos are documentation: each is one readable file, with at most `display.py` beside it, on the public API alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from running import DEMOS

import ov_mobilenet as ovm

SOURCES = sorted(DEMOS.glob("*.py"))
SHARED = "display"


def imported(source: Path) -> set[str]:
    """The modules that a demo imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_demo_is_short(source: Path) -> None:
    assert len(source.read_text("utf-8").splitlines()) <= (400 if source.stem == SHARED else 250)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_demo_needs_no_other_file_than_the_display(source: Path) -> None:
    of_this_folder = imported(source) & {other.stem for other in SOURCES}
    assert of_this_folder <= (set() if source.stem in (SHARED, "edge_api_demo") else {SHARED})


def test_the_display_knows_nothing_of_the_command_line() -> None:
    source = DEMOS / f"{SHARED}.py"
    assert not imported(source) & {"argparse", "click"}
    assert "argv" not in source.read_text("utf-8")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_demo_uses_only_public_names(source: Path) -> None:
    tree = ast.parse(source.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("ov_mobilenet"), ast.unparse(node)
        if isinstance(node, ast.Import):
            assert all(name.name == "ov_mobilenet" or "ov_mobilenet" not in name.name for name in node.names)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ovm":
            assert node.attr in ovm.__all__, ast.unparse(node)


def test_the_demos_were_found() -> None:
    assert {"classification_demo.py", "classification_benchmark_demo.py", "edge_api_demo.py", "display.py"} == {
        source.name for source in SOURCES
    }
