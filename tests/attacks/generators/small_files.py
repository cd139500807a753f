"""Labels files and profiles changed at random: read, or refused with the file named."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import yaml
from attacks import damage
from attacks.fuzz import Attack
from attacks.generators.mutated_descriptions import change, change_text
from attacks.outside_watch import nothing_outside

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.runtime.profile import load_profile
from ov_mobilenet.zoo.labels import labels_text, read_labels

PIECES = (
    "cat", "dog, hound", " ", "\t", "0", "1 ", "0:", "1:x", "n01440764 tench", "n01440764", "é", "\u2028", "\x85",
    "\0", "\x1b[2J",
    "\ufeff", "\u202e", "\U0001f600", "x" * 500, "2001", '"', "-", "#", "n0144076\u0664 x",
)  # fmt: skip
IDENTITY = ("weights", "normalisation", "weight_precision", "input", "output", "geometry", "calibration")
PROFILE = """\
schema_version: 2
created: '2026-01-31T12:00:00Z'
model: {name: mine, xml: mine.xml, digest: DIGEST, identity: IDENTITY}
device: {name: CPU, full_name: A processor}
versions: {openvino: 2026.4.1, ov_mobilenet: 0.2.0}
settings: {batch_size: 8, hint: null, inference_precision: f32, streams: 2, threads: null, nireq: 4}
objective: throughput
mode: inference
latency_budget_ms: null
noise: 0.01
gain: {ratio: 1.45, low: 1.43, high: 1.47, pairs: 9}
measurements:
- {precision: f32, batch: 8, streams: 2, requests: 4, threads: null, throughput_fps: 9.5, p95_ms: 1.5,
  images_per_cpu_s: 3.0, images_per_j: null, top1: 0.5, on_front: true, chosen: true}
""".replace("DIGEST", "ab" * 32).replace("IDENTITY", str(dict.fromkeys(IDENTITY, "x")))


def labels(rng: random.Random, folder: Path) -> None:
    """Random lines, sometimes damaged: printable names that are read again as they are written, or an error."""
    ends = rng.choice(("\n", "\n", "\r\n", "\r"))
    lines = ["".join(rng.choices(PIECES, k=rng.choice((0, 1, 1, 1, 2)))) for _ in range(rng.randrange(12))]
    if rng.random() < 0.4:
        lines = [f"{number}{rng.choice((' ', ':', '  '))}{line}" for number, line in enumerate(lines)]
    data = ends.join(lines).encode(rng.choice(("utf-8", "utf-8", "utf-8", "utf-16")))
    data = damage.damaged(data, rng) if rng.random() < 0.4 and data else data
    path = folder / "labels.txt"
    path.write_bytes(data)
    with nothing_outside(folder):
        try:
            names = read_labels(path)
        except ConfigError as error:
            assert str(error).startswith(str(path)) and str(error).isprintable() and len(str(error)) < 2000, error
            return
    assert names and all(name and name == name.strip() for name in names)
    path.write_text(labels_text(names), "utf-8", newline="")
    assert read_labels(path) == names


def profiles(rng: random.Random, folder: Path) -> None:
    """Keys, values, lines or bytes of a profile are changed: a valid one, or an error with the file."""
    document = yaml.safe_load(PROFILE)
    for _ in range(rng.choice((0, 1, 1, 2))):
        change(document, rng)
    text = yaml.safe_dump(document, sort_keys=False)
    text = change_text(text, rng) if rng.random() < 0.2 and text else text
    data = text.encode("utf-8", "surrogatepass")
    path = folder / "profile.yml"
    path.write_bytes(damage.damaged(data, rng) if rng.random() < 0.3 else data)
    with nothing_outside(folder):
        try:
            profile = load_profile(path)
        except ConfigError as error:
            assert str(error).startswith(str(path)) and str(error).isprintable() and len(str(error)) < 2000, error
            return
    profile.device_settings()
    path.write_text(yaml.safe_dump(msgspec.to_builtins(profile)), "utf-8")
    assert load_profile(path) == profile


ATTACKS = (
    Attack("labels files", 3000, labels, 60),
    Attack("profiles", 2000, profiles, 40),
)
