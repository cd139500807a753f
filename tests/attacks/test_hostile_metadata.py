"""TFLite Metadata and label archives that lie: not used, with a warning; nothing crashes, hangs or fills the memory."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tflite_files as tflite

from ov_mobilenet.conversion.declared_input import DeclaredInput
from ov_mobilenet.conversion.tflite_metadata import read_tflite_metadata
from ov_mobilenet.errors import UsageError

Log = pytest.LogCaptureFixture
# A model without operators is enough for the reader of the metadata.
MODEL = tflite.flatbuffer({0: tflite.Number(3), 1: [], 2: [], 4: [{}]}, b"TFL3")
LABELLED = tflite.metadata(stats=((-1.0,), (1.0,)), labels=(("labels.txt", None),))


def read(path: Path, content: bytes) -> DeclaredInput | None:
    path.write_bytes(content)
    return read_tflite_metadata(path, has_integer_input=False)


def test_every_changed_byte_of_metadata_is_survived(tmp_path: Path) -> None:
    whole = tflite.with_metadata(MODEL, LABELLED, {"labels.txt": b"a\nb\n"})
    start, end = whole.index(b"M001") - 4, whole.index(b"M001") + len(LABELLED)
    found = read(tmp_path / "a.tflite", whole)
    assert found is not None
    assert found.normalisation is not None
    assert found.labels == ("a", "b")
    generator = np.random.default_rng(0)
    for place in (*range(0, start + 64), *range(start, end)):
        changed = bytearray(whole)
        changed[place] = int(generator.integers(256)) if place % 3 else 255
        read(tmp_path / "a.tflite", bytes(changed))
    for length in range(8, end, 7):
        read(tmp_path / "a.tflite", whole[:length])


def subgraphs(count: int, size: int) -> bytes:
    """Metadata whose vector of subgraphs claims to have `count` items in `size` bytes."""
    content = tflite.flatbuffer({3: bytes(size)}, b"M001")
    return content.replace(struct.pack("<I", size) + bytes(4), struct.pack("<I", count) + bytes(4))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\x08\0\0\0M001" + struct.pack("<i", 1 << 30), "an offset leads to byte -"),
        (b"\xff\xff\xff\x7fM001", "an offset leads to byte 2147483647"),
        (b"\x08\0\0\0M002" + bytes(16), "expected the identifier M001, got b'M002'"),
        (b"", "expected the identifier"),
        (subgraphs(1 << 31, 4), "a vector of 2147483648 items ends behind the end"),
        (subgraphs(200_000, 800_000), "expected a vector of at most 100000 items"),
    ],
)  # fmt: skip
def test_damaged_metadata_is_not_used_with_a_warning(content: bytes, why: str, tmp_path: Path, caplog: Log) -> None:
    assert read(tmp_path / "a.tflite", tflite.with_metadata(MODEL, content)) is None
    assert "TFLite Metadata is damaged and is not used" in caplog.text
    assert why in caplog.text


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0.0,), (0.0,)), ((float("nan"),), (1.0,)), ((0.0,), (float("inf"),)), ((1.0, 2.0), (1.0,)), ((), (1e-30,))],
)
def test_numbers_that_are_no_normalisation_are_not_used(
    mean: tuple[float, ...], std: tuple[float, ...], tmp_path: Path, caplog: Log
) -> None:
    content = tflite.metadata(mean=mean, std=std, stats=((float("nan"),), (1.0,)))
    try:
        assert read(tmp_path / "a.tflite", tflite.with_metadata(MODEL, content)) is None
    except UsageError:
        pytest.fail("the file is not a mistake of the user's")
    assert "the normalisation of TFLite Metadata is not used: invalid " in caplog.text


def encrypted() -> bytes:
    content = bytearray(tflite.archive({"labels.txt": b"a\n"}))
    content[content.index(b"PK\x03\x04") + 6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def smaller_than_it_is() -> bytes:
    """5 MB of zeros that claim to be 4 bytes, in both headers."""
    content = bytearray(tflite.archive({"labels.txt": bytes(5 << 20)}, zipfile.ZIP_DEFLATED))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.index(signature) + offset, 4)
    return bytes(content)


ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "bomb": (lambda: tflite.archive({"labels.txt": bytes(64 << 20)}, zipfile.ZIP_DEFLATED), "labels file is too large"),
    "false size": (smaller_than_it_is, "labels.txt"),
    "encrypted": (encrypted, "encrypted or compressed in an unusual way"),
    "unusual": (lambda: tflite.archive({"labels.txt": b"a\n"}, zipfile.ZIP_BZIP2), "compressed in an unusual way"),
    "missing": (lambda: tflite.archive({"other.txt": b"a\n"}), "no such file in the archive behind the model"),
    "no archive": (lambda: b"", "the archive behind the model cannot be read"),
    "cut": (lambda: tflite.archive({"labels.txt": b"a\n"})[:-9], "the archive behind the model cannot be read"),
    "wrong sum": (
        lambda: tflite.archive({"labels.txt": b"a\n"}).replace(b"a\n", b"b\n"),
        "the archive behind the model cannot be read",
    ),
    "control character": (lambda: tflite.archive({"labels.txt": b"a\x1b[2J\n"}), "control character in a label"),
    "empty line": (lambda: tflite.archive({"labels.txt": b"a\n\nb\n"}), "empty line between labels"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_labels_that_cannot_be_read_are_not_used(kind: str, tmp_path: Path, caplog: Log) -> None:
    make, why = ARCHIVES[kind]
    found = read(tmp_path / "a.tflite", tflite.with_metadata(MODEL, LABELLED) + make())
    assert found is not None
    assert found.labels is None
    assert found.normalisation is not None, "what is sound is used"
    assert "the labels of TFLite Metadata are not used" in caplog.text
    assert why in caplog.text
