"""From INPUT arguments to picture paths: files, folders, wildcards."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from ov_mobilenet.runtime.images import IMAGE_SUFFIXES


def expand_inputs(inputs: Iterable[str]) -> list[str]:
    """Paths in the order given; a folder stands for the pictures below it, sorted by path.

    A file that is named is taken whatever its suffix; one that is not there is kept, so that it gets its error in
    its place among the results. The same for a wildcard that matches nothing.
    """
    paths: list[str] = []
    for text in inputs:
        path = Path(text)
        # Not Path.is_dir(): a name that the system refuses must get its own error, not stop the run.
        if os.path.isdir(text):  # noqa: PTH112
            found = (file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
            paths += sorted(str(file) for file in found)
        elif not os.path.exists(text) and glob.has_magic(text):  # noqa: PTH110
            paths += sorted(glob.glob(text, recursive=True)) or [text]  # noqa: PTH207 (keeps the user's spelling)
        else:
            paths.append(text)
    return paths
