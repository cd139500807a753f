"""Random values for the parameters of the Python API: an error of ours, or it works; nothing else."""

from __future__ import annotations

import contextlib
import functools
import inspect
import random
import string
from pathlib import Path
from typing import Any

import numpy as np
from attacks.fuzz import Attack
from attacks.small_model import small_ir

import ov_mobilenet as ovm
from ov_mobilenet.errors import OvMobilenetError


@functools.cache
def classifier() -> ovm.Classifier:
    return ovm.load_classifier(small_ir(), device="CPU")


def random_value(rng: random.Random, depth: int = 0) -> Any:
    plain = [
        None, True, False, 0, -1, 10**rng.randint(0, 40), -(10 ** rng.randint(0, 40)), rng.uniform(-10, 10),
        float("nan"), float("inf"), 5e-324, "", "CPU", "x" * rng.randint(0, 2000), "\0", "\ud800",
        "".join(rng.choices(string.printable, k=rng.randint(1, 20))), b"bytes", object(), print, int, Path("nowhere"),
        np.float32(1), np.int64(-1), np.zeros((2, 2)), np.array(None), range(3), {}, lambda *_: None,
    ]  # fmt: skip
    if depth < 3 and rng.random() < 0.3:
        items = [random_value(rng, depth + 1) for _ in range(rng.randint(0, 4))]
        return rng.choice([items, tuple(items)])
    return rng.choice(plain)


def random_arguments(rng: random.Random, folder: Path) -> None:
    """One to three parameters have random values. What is created must be usable in messages."""
    frame = np.zeros((32, 32, 3), np.uint8)
    targets: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "settings": (ovm.DeviceSettings, ()),
        "workload": (ovm.Workload, ()),
        "quantize": (ovm.QuantizeSettings, ()),
        "normalisation": (ovm.Normalisation, ()),
        "inputs": (ovm.open_inputs, ("image.png",)),
        "classify": (classifier().classify, (frame,)),
        "probabilities": (classifier().probabilities, ()),
        "stream": (lambda **options: list(classifier().stream([frame] * 3, **options)), ()),
        "load": (ovm.load_classifier, (small_ir(),)),
    }
    name = rng.choice(sorted(targets))
    call, arguments = targets[name]
    function = ovm.Classifier.stream if name == "stream" else call
    names = [parameter for parameter in inspect.signature(function).parameters if parameter not in ("self", "options")]
    names = names[len(arguments) :] if name != "stream" else [each for each in names if each != "inputs"]
    if name in ("load", "stream"):
        names = [each for each in names if each not in ("workers", "requests")]  # large ones are allowed, and slow
    chosen = rng.sample(names, min(len(names), rng.randint(1, 3)))
    with contextlib.suppress(OvMobilenetError):
        str(call(*arguments, **{each: random_value(rng) for each in chosen}))


ATTACKS = (Attack("random arguments", 2000, random_arguments, in_suite=100),)
