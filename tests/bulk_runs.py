"""Run `bulk` and `classify` in processes of their own, and compare what they wrote (with pyarrow alone)."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from signs import held_out

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = "mobilenet-v1-0.25-128-signs"
# Numbers are compared bit for bit, so the precision must not depend on the CPU.
FIXED = ("-d", "CPU", "--inference-precision", "f32")
TIMINGS = ("decode_ms", "geometry_ms", "queue_ms", "inference_ms", "total_ms", "age_ms")

Rows = list[tuple[object, ...]]


def bulk_arguments(inputs: Iterable[object], output: object, *more: str) -> list[str]:
    """The arguments of `bulk` for the sample model."""
    return ["bulk", SAMPLE, *map(str, inputs), "-o", str(output), *FIXED, *more]


def classify_arguments(inputs: Iterable[object], output: object, *more: str) -> list[str]:
    """The arguments of `classify` for the sample model."""
    return ["classify", SAMPLE, *map(str, inputs), "-o", str(output), *FIXED, *more]


def start(arguments: Sequence[str], before: str = "") -> subprocess.Popen[str]:
    """Start the command line in a process of its own.

    Args:
        before: Python statements that the process executes first, in the place of a `preexec_fn`: that one runs in a
            fork of a process with threads, which may block for ever.
    """
    program = [sys.executable, "-m", "ov_mobilenet", *arguments]
    if before:
        program = [sys.executable, "-c", f"{before}\nimport os, sys; os.execv(sys.argv[1], sys.argv[1:])", *program]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def parts(folder: Path) -> list[Path]:
    """The parts that are in a local output."""
    return sorted(folder.glob("part-*.parquet"))


def manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a local output."""
    found: dict[str, Any] = json.loads((folder / "_manifest.json").read_bytes())
    return found


def rows_of(files: Iterable[object], *, filesystem: object = None) -> Rows:
    """All rows without the timings, sorted by source, frame and rank; probabilities keep every bit."""
    import pyarrow.parquet as pq

    found: Rows = []
    for file in files:
        table = pq.ParquetFile(file, filesystem=filesystem).read().drop_columns(list(TIMINGS))
        found += zip(*(column.to_pylist() for column in table.columns), strict=True)
    names = ("source", "frame", "time_s", "rank", "class_id", "label", "probability", "error")
    assert not found or len(found[0]) == len(names)
    return sorted(found, key=lambda row: (row[0], row[1] or 0, row[3] or 0, repr(row)))


def assert_same_rows(found: Rows, wanted: Rows, what: str = "") -> None:
    """Fail with the first rows that differ: 100,000 rows are too many for a message."""
    if found != wanted:
        missing, extra = list(Counter(wanted) - Counter(found)), list(Counter(found) - Counter(wanted))
        raise AssertionError(
            f"{what} {len(found)} rows, expected {len(wanted)}; missing {missing[:3]}, not expected {extra[:3]}"
        )


def sources_of(rows: Rows) -> list[object]:
    """The source of each result, once per result: repeated if an image has two."""
    return [row[0] for row in rows if row[3] in (None, 1)]


def write_drawings(folder: Path, count: int, *, seed: int = 7, side: int = 200) -> list[Path]:
    """Different drawings of signs as JPEG files of about 10 kB."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, data in enumerate(drawings(count, seed=seed, side=side)):
        files.append(folder / f"{number:05}.jpg")
        files[-1].write_bytes(data)
    return files


def drawings(count: int, *, seed: int = 7, side: int = 200) -> list[bytes]:
    """JPEGs of `count` different drawings; from the 65th on they are shifted copies, which are made faster."""
    first = [
        cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame, _ in held_out(seed, min(count, 64))
    ]
    found = []
    for number in range(count):
        turn, place = divmod(number, len(first))
        frame = np.roll(first[place], (turn % 16 * 5, turn // 16 * 5), (0, 1))
        found.append(cv2.imencode(".jpg", frame)[1].tobytes())
    return found


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    """A WebDataset shard."""
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


# For `start`: file permissions then also hold for root (Linux). Three capabilities are dropped with PR_CAPBSET_DROP, so
# they are lost with the exec that follows: CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER.
DROP_ROOT_PERMISSIONS = """
import ctypes, os
if os.getuid() == 0:
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2, 3):
        libc.prctl(24, capability, 0, 0, 0)
"""
