from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def images(shared: Path) -> tuple[list[Path], np.ndarray]:
    """The 200 ImageNet image files, and the class id of each, in [0, 1000)."""
    rows = [line.split() for line in (shared / "imagenet200" / "val.txt").read_text().splitlines()]
    assert len(rows) == 200
    return [shared / "imagenet200" / "images" / name for name, _ in rows], np.array([int(row[1]) for row in rows])
