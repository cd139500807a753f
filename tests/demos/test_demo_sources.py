"""Demos are documentation: they are short and use only the public API."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from running import DEMOS

import ov_mobilenet as ovm

SOURCES = sorted(DEMOS.glob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_demo_has_fewer_than_150_lines(source: Path) -> None:
    assert len(source.read_text("utf-8").splitlines()) < 150


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
    assert {"classification_demo.py", "classification_benchmark_demo.py", "edge_api_demo.py"} <= {
        source.name for source in SOURCES
    }
