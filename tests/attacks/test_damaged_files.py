"""Damaged files that random attacks found: each was read wrongly, or ended in a traceback."""

from __future__ import annotations

import gzip
import io
import lzma
import random
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import odd_images
import pytest
from attacks.generators.resumed import classify
from zoo.descriptions import MODEL_YML

from ov_mobilenet.downloads.archive import unpack
from ov_mobilenet.errors import ArchiveError, ConfigError, OutputError
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.outputs.existing_results import MAX_RECORD_BYTES
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.zoo.config import load_config

IMAGES = [Item(b"", f"{number}.jpg") for number in range(20)]


def test_masks_of_a_bmp() -> None:
    for seed in range(8):
        data, drawn = odd_images.bit_field_bmp(random.Random(seed), 5, 7)
        assert np.array_equal(read_image(data, "opencv"), drawn[:, :, ::-1])


def tar_of(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(f"net/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(("kind", "compress"), [("gztar", gzip.compress), ("xztar", lzma.compress)])
def test_checksum_of_a_compressed_tar(kind: str, compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    data = bytearray(compress(tar_of(a=b"x" * 5000)))
    data[-8 if kind == "gztar" else -30] ^= 1
    (tmp_path / "archive").write_bytes(data)
    with pytest.raises(ArchiveError, match="broken archive"):
        unpack(tmp_path / "archive", kind, "net", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_nothing_is_left_of_an_archive_that_breaks_off(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(tar_of(a=b"first", b=bytes(4000))[:2500])
    with pytest.raises(ArchiveError):
        unpack(tmp_path / "archive", "tar", "net", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def refused(path: Path, data: bytes) -> str:
    """The message of a refused file, which keeps its bytes."""
    path.write_bytes(data)
    with pytest.raises(OutputError) as caught:
        classify(path, IMAGES)
    assert path.read_bytes() == data
    return str(caught.value)


def test_a_damaged_json_line_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    classify(path, IMAGES[:5])
    good = path.read_bytes()
    changes = ((b'"predictions"', b'"predictionr"'), (b'"label":"', b'"label":"\xff'), (b"}\n", b',"x":1}\n'))
    for old, new in changes:
        assert "line" in refused(path, good.replace(old, new, 1))
    assert "line 1 is not a result" in refused(path, b'{"source":"0.jpg"}\n' + good)


def test_a_damaged_csv_row_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    classify(path, IMAGES[:5])
    lines = path.read_bytes().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if b",,,2," in line)
    for row in (b"", b"other" + lines[at], lines[at].replace(b",", b"", 1), lines[at][:-1] + b"x\n", b"\n"):
        assert "is not a result" in refused(path, b"".join([*lines[:at], row, *lines[at + 1 :]]))


def test_a_stray_quote_does_not_cut_off_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    classify(path, IMAGES[:5])
    good = path.read_bytes()
    more = b"".join(b"%d.png,,,,,,,an error,,,,,,\n" % number for number in range(MAX_RECORD_BYTES // 10))
    assert "is not a result" in refused(path, good + b'odd".jpg,,,,,,,an error,,,,,,\n' + more)


def test_a_damaged_parquet_page_is_not_resumed(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "r.parquet"
    classify(path, IMAGES[:5])
    good = path.read_bytes()
    group = pq.ParquetFile(path).metadata.row_group(0)
    for index in range(group.num_columns):
        column = group.column(index)
        end = (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size
        assert "damaged Parquet file" in refused(path, good[: end - 1] + bytes([good[end - 1] ^ 1]) + good[end:])


def test_parquet_rows_without_a_source_are_not_resumed(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "r.parquet"
    classify(path, IMAGES[:5])
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "source", pa.nulls(len(table), pa.string())), path)
    assert "it has no source" in refused(path, path.read_bytes())


def test_long_values_are_shortened_in_messages(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    for old, new in (("framework: onnx", "framework: " + "x" * 5000), ("license:", "y" * 900 + ":")):
        (tmp_path / "net" / "model.yml").write_text(MODEL_YML.replace(old, new))
        with pytest.raises(ConfigError, match=re.escape("...")) as caught:
            load_config(tmp_path / "net")
        assert len(str(caught.value)) < 1000
