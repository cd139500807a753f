"""Damaged Keras files given to `convert --source`; they need tensorflow, which `make test` does not install."""

from __future__ import annotations

import functools
import random
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from attacks.fuzz import Attack
from attacks.generators.converted_files import convert_damaged


@functools.cache
def keras_network(file: str) -> bytes:
    """A MobileNet with a quarter of the channels and five classes; `weights.h5` holds only its weights."""
    from keras_networks import build

    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # of Keras
        network = build("MobileNet", 32, alpha=0.25, classes=5)
        path = Path(folder) / file
        if file == "small.weights.h5":
            network.save_weights(path)
        else:
            network.save(path)
        return path.read_bytes()


def attack(file: str) -> Callable[[random.Random, Path], None]:
    """See `convert_damaged`; most of the cases stop before the IR (`--dry-run`)."""

    def run(rng: random.Random, folder: Path) -> None:
        pytest.importorskip("tensorflow")
        (folder / "source").mkdir()
        (folder / "source" / file).write_bytes(keras_network(file))
        convert_damaged(rng, folder, folder / "source" / file, modules=("tensorflow",))

    return run


ATTACKS = (
    Attack("convert a damaged .keras", 300, attack("small.keras"), in_suite=1),
    Attack("convert a damaged .h5", 300, attack("small.h5"), in_suite=1),
    Attack("convert a damaged .weights.h5", 300, attack("small.weights.h5"), in_suite=1),
)
