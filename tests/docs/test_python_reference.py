"""The pages of the public API: every name is on one of them, and the site shows the fields of the classes."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from page_blocks import DOCS, ROOT

import ov_mobilenet as ovm

PYTHON = DOCS / "reference" / "python"


def test_every_public_name_is_on_one_page() -> None:
    found = Counter(
        name
        for page in PYTHON.glob("*.md")
        for name in re.findall(r"^::: ov_mobilenet\.(\w+)$", page.read_text("utf-8"), re.MULTILINE)
    )
    assert found == Counter(name for name in ovm.__all__ if name != "__version__")


def test_every_page_is_in_the_table_and_in_the_navigation() -> None:
    table = (PYTHON / "index.md").read_text("utf-8")
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in PYTHON.glob("*.md"):
        assert page.name == "index.md" or f"]({page.name})" in table
        assert f"reference/python/{page.name}\n" in navigation


@pytest.fixture
def package(tmp_path: Path) -> Any:
    """A package with the extension applied, read by griffe."""
    griffe = pytest.importorskip("griffe")
    folder = tmp_path / "ov_mobilenet"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ov_mobilenet.shapes import Circle, draw\n"
        '__all__ = ["Circle", "__version__", "draw"]\n',
        "utf-8",
    )
    (folder / "shapes.py").write_text(
        'class Shape:\n    """A shape.\n\n    Attributes:\n        colour, edge: as painted.\n    """\n\n'
        "    def __init__(self, colour: str) -> None:\n        self.colour = self.edge = colour\n\n"
        'class Circle(Shape):\n    """A `Circle`; `draw` it.\n\n'
        '    Attributes:\n        radius: in metres.\n    """\n\n'
        "    radius: Length\n    filled: bool = False\n    _hidden: int = 0\n\n"
        '    def area(self) -> float:\n        """See `Circle.area` and `Other`."""\n\n'
        "from typing import Literal\nFINE = 0.5\nLength = Literal[1, 2]\n\n"
        "def draw(size: Length | None = None, *, width: float = FINE) -> Circle:\n"
        '    """A `Circle` with `Circle.area` and `Circle.radius`."""\n',
        "utf-8",
    )
    extensions = griffe.load_extensions(str(ROOT / "tools" / "site_docstrings.py"))
    return griffe.load("ov_mobilenet", search_paths=[tmp_path], extensions=extensions, try_relative_path=False)


def test_a_class_lists_all_its_fields(package: Any) -> None:
    circle = package["shapes.Circle"]
    sections = {section.kind.value: section.value for section in circle.docstring.parsed}
    assert sections["text"] == "A `Circle`; [`draw`][ov_mobilenet.draw] it."
    fields = [(one.name, str(one.annotation), one.description) for one in sections["attributes"]]
    assert fields == [
        ("radius", "Literal[1, 2]", "in metres."),
        ("filled", "bool", ""),
        ("colour", "str", "as painted."),
        ("edge", "None", "as painted."),
    ]


def test_public_names_in_docstrings_are_links(package: Any) -> None:
    draw = package["shapes.draw"]
    assert draw.docstring.value == (
        "A [`Circle`][ov_mobilenet.Circle] with [`Circle.area`][ov_mobilenet.Circle.area] and "
        "[`Circle.radius`][ov_mobilenet.Circle]."
    )


def test_signatures_show_values_in_place_of_the_names_of_types_and_constants(package: Any) -> None:
    shown = [(one.name, str(one.annotation), one.default) for one in package["shapes.draw"].parameters]
    assert shown == [("size", "Literal[1, 2] | None", "None"), ("width", "float", "0.5")]
