"""An attack with cases that crash, hang and fail, and others that pass between them: for the test of `apart.py`."""

from __future__ import annotations

import ctypes
import random
from pathlib import Path

from attacks.fuzz import Attack


def crash(rng: random.Random, folder: Path) -> None:
    """What the case does is in the number of its folder."""
    number = int(folder.name.split("-")[1])
    if number == 1:
        ctypes.string_at(0)
    while number == 2:
        pass
    assert number != 4, "four"


ATTACKS = (Attack("crashes", 6, crash, apart=True),)
