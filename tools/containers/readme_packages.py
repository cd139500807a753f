"""The system packages that README names."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Needed by opencv-python alone; opencv-python-headless works without them.
FOR_OPENCV = ("libgl1", "libglib2.0-0")


def system_packages(readme: str) -> list[str]:
    """The packages of README's first `apt-get install`.

    Raises:
        ValueError: README names none.
    """
    found = re.search(r"apt-get install((?: [a-z0-9][a-z0-9.+-]+)+)", readme)
    if found is None:
        raise ValueError("README.md has no `apt-get install PACKAGE…`")
    return found[1].split()
