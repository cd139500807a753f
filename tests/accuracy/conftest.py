from __future__ import annotations

from pathlib import Path

import pytest
from known_network import Known, val_txt


@pytest.fixture(name="annotations")
def annotation_file(known: Known, tmp_path: Path) -> Path:
    """Annotations with which top-1 is 5/12 and top-5 is 9/12."""
    rows = [(file.name, c) for file, c in zip(known.files, known.partly_wrong_classes(), strict=True)]
    return val_txt(tmp_path / "val.txt", rows)
