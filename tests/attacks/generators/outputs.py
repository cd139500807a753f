"""One result file and several processes, settings or owners."""

from __future__ import annotations

import collections
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from attacks.fuzz import Attack
from attacks.small_model import small_ir, write_images

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import DatasetError

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("r.jsonl", "r.csv", "r.parquet")


def sources(path: Path) -> collections.Counter[str]:
    """How many results each image has, by independent readers."""
    if path.suffix == ".parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        rows = pq.read_table(path, columns=["source", "rank"]).to_pylist()
        return collections.Counter(row["source"] for row in rows if row["rank"] == 1)
    if path.suffix == ".csv":
        cells = [line.split(",") for line in path.read_text().splitlines()[1:]]
        return collections.Counter(cell[0] for cell in cells if cell[3] == "1")
    return collections.Counter(json.loads(line)["source"] for line in path.read_text().splitlines())


def several_writers(rng: random.Random, folder: Path) -> None:
    """Several commands into one file: each is refused or succeeds, and each image has one result. 0.1: 4 of 5 not."""
    files = [str(file) for file in write_images(rng, folder, 20)]
    output = folder / rng.choice(NAMES)
    command = [sys.executable, "-m", "ov_mobilenet", "classify", "-q", str(small_ir()), *files, "-o", str(output)]
    processes = [
        subprocess.Popen([*command, "--resume"], stderr=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(rng.randint(2, 4))
    ]
    errors = [(process.communicate(timeout=100)[1], process.returncode) for process in processes]
    assert ("", 0) in errors
    assert all(code == 0 or "another process is writing to this file" in err for err, code in errors)
    assert sources(output) == collections.Counter(files)


def other_settings(rng: random.Random, folder: Path) -> None:
    """A second run with --resume: refused if a setting differs, and then nothing is changed."""
    files = [str(file) for file in write_images(rng, folder, 3)]
    output = folder / rng.choice(NAMES)

    def settings() -> dict[str, str]:
        choices = {
            "-k": ("1", "5"), "--decode": ("exact", "auto"), "--min-probability": ("0", "0.01"),
            "--geometry": ("resize 32", "crop 0.5, resize 32"), "--inference-precision": ("f32", "f32"),
        }  # fmt: skip
        return {name: rng.choice(values) for name, values in choices.items()}

    def run(chosen: dict[str, str], *inputs: str) -> int:
        options = [text for pair in chosen.items() for text in pair]
        return main(["classify", str(small_ir()), *inputs, "-o", str(output), "-d", "CPU", "-q", "--resume", *options])

    first, second = settings(), settings()
    assert run(first, *files[:2]) == 0
    before = output.read_bytes()
    same = first == second
    assert run(second, *files) == (0 if same else 1)
    assert same or output.read_bytes() == before
    assert run(first, *files) == 0
    assert sources(output) == collections.Counter(files)


def foreign_predictions(rng: random.Random, folder: Path) -> None:
    """`accuracy --predictions --resume` of a file that is not ours: an error, and the file is not changed."""
    (image,) = write_images(rng, folder, 1)
    (folder / "val.txt").write_text(f"{image.name} 0\n")
    file = folder / rng.choice(["p.jsonl", "p.csv"])
    text = rng.choice(["", "image,", '{"image":', "important\n", "a,b\n1,2\n"]) + rng.choice(["x", "mine", "\0\xff"])
    file.write_bytes(text.encode("latin-1") * rng.randint(1, 3))
    before = file.read_bytes()
    with pytest.raises(DatasetError):
        ovm.measure_accuracy(small_ir(), folder, predictions=file, resume=True, device="CPU")
    assert file.read_bytes() == before


ATTACKS = (
    Attack("several writers of one file", 10, several_writers, in_suite=1),
    Attack("results of other settings", 30, other_settings, in_suite=2),
    Attack("foreign predictions", 40, foreign_predictions, in_suite=5),
)
