"""What the reader of a page has before its first command: files in the working folder, and packages.

A page that is not listed needs only the package itself. Each function gets the page's working folder; it skips the test
if a package is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest


def needs_onnxruntime(folder: Path) -> None:
    """The page runs the source network of the sample model."""
    pytest.importorskip("onnxruntime")


PREPARATIONS: Mapping[str, Callable[[Path], None]] = {
    "docs/explanation/normalisation-and-geometry.md": needs_onnxruntime,
    "docs/explanation/numbers.md": needs_onnxruntime,
}
