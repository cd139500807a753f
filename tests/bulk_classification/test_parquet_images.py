"""Parquet files as inputs of `bulk`: columns, names, row groups; damaged and malicious ones."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
from inputs.media import image

from ov_mobilenet.bulk_classification import parquet_images
from ov_mobilenet.bulk_classification.found_inputs import find_shards
from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.bulk_classification.shard_items import read_items
from ov_mobilenet.bulk_classification.shards import Shard, parse_shard
from ov_mobilenet.errors import ImageError, UsageError
from ov_mobilenet.runtime.items import Item

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

IMAGES = [image(level) for level in range(10)]


def table(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def read(path: object, **settings: Any) -> tuple[list[Shard], list[Item]]:
    chosen = BulkSettings(**settings)
    shards = [parse_shard(shard.line()) for shard in find_shards([str(path)], chosen)]
    return shards, [item for shard in shards for item in read_items(shard, chosen)]


def content(path: object, **settings: Any) -> list[tuple[str, Any]]:
    """Source and image, or the error as text."""
    return [
        (item.source, str(item.image) if isinstance(item.image, ImageError) else item.image)
        for item in read(path, **settings)[1]
    ]


@pytest.mark.parametrize("kind", ["binary", "large_binary", "binary_view", "dictionary", "struct", "struct with path"])
def test_image_bytes(kind: str, tmp_path: Path) -> None:
    if kind == "binary_view" and int(pa.__version__.partition(".")[0]) < 18:
        pytest.skip("pyarrow 17 cannot write binary_view to Parquet")
    if kind.startswith("struct"):
        names = [("bytes", pa.binary()), *([("path", pa.string())] if kind.endswith("path") else [])]
        values = pa.array([{"bytes": data, "path": "x.jpg"} for data in IMAGES], pa.struct(names))
    elif kind == "dictionary":
        values = pa.array(IMAGES).dictionary_encode()
    else:
        values = pa.array(IMAGES, getattr(pa, kind)())
    path = table(tmp_path / "x.parquet", {"label": list(range(10)), "image": values}, row_group_size=4)
    assert content(path) == [(f"{path}/{row}", data) for row, data in enumerate(IMAGES)]


def test_paths_are_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = ["a.jpg", "sub/b.jpg", str(tmp_path / "c.jpg"), "missing.jpg", ""]
    for values in (paths, pa.array(paths, pa.large_string()), pa.array(paths).dictionary_encode()):
        table(tmp_path / "x.parquet", {"text": ["x"] * 5, "file_name": values})
        assert content("x.parquet") == [(path, path) for path in paths]


def test_a_struct_without_bytes_gives_its_path(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": None, "path": "a.jpg"}, {"bytes": b"1", "path": "b.jpg"}, {"bytes": None, "path": None}, None]
    path = table(tmp_path / "x.parquet", {"image": pa.array(rows, kind)})
    null = "the row has no image: expected a value, got null"
    assert content(path) == [("a.jpg", "a.jpg"), (f"{path}/1", b"1"), (f"{path}/2", null), (f"{path}/3", null)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["one", "two\n"], ["one", "two\n"]), ([7, None], ["7", "FILE/1"]), (["same", "same"], ["same", "same"]),
        (["x" * 70_000, "y"], ["FILE/0", "y"]),
    ],
)  # fmt: skip
def test_a_column_with_the_names_of_the_images(names: list[Any], expected: list[str], tmp_path: Path) -> None:
    path = table(tmp_path / "x.parquet", {"image": IMAGES[:2], "id": names})
    found = content(path, source_column="id")
    assert [source for source, _ in found] == [name.replace("FILE", str(path)) for name in expected]
    assert [data == image for (_, data), image in zip(found, IMAGES, strict=False)] == [len(str(names[0])) < 10, True]


def test_names_of_images_that_are_paths(tmp_path: Path) -> None:
    path = table(tmp_path / "x.parquet", {"path": ["a.jpg", "b.jpg"], "id": [1, 2]})
    assert content(path, source_column="id") == [("1", "a.jpg"), ("2", "b.jpg")]
    assert content(path, source_column="path") == [("a.jpg", "a.jpg"), ("b.jpg", "b.jpg")]


def test_row_groups_are_not_cut(tmp_path: Path) -> None:
    path = table(tmp_path / "x.parquet", {"image": IMAGES}, row_group_size=3)  # 3, 3, 3, 1
    for size, expected in ((1, [3, 3, 3, 1]), (3, [3, 3, 3, 1]), (4, [3, 3, 4]), (7, [6, 4]), (100, [10])):
        shards, items = read(path, images_per_part=size)
        assert [shard.images for shard in shards] == expected
        assert [item.source for item in items] == [f"{path}/{row}" for row in range(10)]
        assert {(shard.kind, shard.paths, shard.size) for shard in shards} == {
            ("parquet", (str(path),), path.stat().st_size)
        }


def test_an_empty_file_has_no_part(tmp_path: Path) -> None:
    """Spark writes them."""
    table(tmp_path / "1.parquet", {"image": pa.array([], pa.binary())})
    table(tmp_path / "2.parquet", {"image": IMAGES[:1]})
    assert [shard.index for shard in read(f"{tmp_path}/*.parquet")[0]] == [0]
    with pytest.raises(UsageError, match="no images"):
        read(tmp_path / "1.parquet")


@pytest.mark.parametrize(
    ("columns", "settings", "expected"),
    [
        ({"content": 1, "hash": 1, "path": "p"}, {}, "content"),
        ({"thumbnail": 1, "IMAGE": 1}, {}, "IMAGE"),
        ({"anything": 1, "number": 7}, {}, "anything"),
        ({"thumbnail": 1, "image": 1}, {"image_column": "thumbnail"}, "thumbnail"),
        ({"caption": "c", "path": "p"}, {}, "path"),
        ({"a.b": 1}, {}, "a.b"),
        ({"one": 1, "two": 1}, {}, "several columns could hold the images: .*got one .binary., two .binary.. Name it"),
        ({"caption": "c", "n": 7}, {}, "no column with images is found: .*caption .string., n .int64."),
        ({"image": 7}, {}, "no column with images"),
        ({"image": 1}, {"image_column": "img"}, "there is no such column for --image-column: expected img, got image"),
        ({"image": 1}, {"source_column": "id"}, "there is no such column for --source-column"),
        ({"image": 1, "n": 7}, {"image_column": "n"}, "wrong type of column 'n' for --image-column: .*got int64"),
        ({"image": 1, "n": 1}, {"image_column": "image", "source_column": "n"}, "for --source-column: .*got binary"),
    ],
)  # fmt: skip
def test_the_column_with_the_images(
    columns: dict[str, Any], settings: dict[str, str], expected: str, tmp_path: Path
) -> None:
    """1 stands for bytes. An error comes before any image is read, and names the file and its columns."""
    values = {name: [name.encode() if value == 1 else value] for name, value in columns.items()}
    values["path"] = [name for name in columns if name == "path"] or [None]
    if "path" not in columns:
        del values["path"]
    path = table(tmp_path / "x.parquet", values)
    if " " not in expected:
        assert content(path, **settings)[0][1] in (expected, expected.encode())
        return
    with pytest.raises(UsageError, match=expected) as caught:
        read(path, **settings)
    assert str(path) in str(caught.value)


def test_columns_with_the_same_name_are_refused(tmp_path: Path) -> None:
    pq.write_table(
        pa.Table.from_arrays([pa.array(IMAGES), pa.array(IMAGES)], ["image", "image"]), tmp_path / "x.parquet"
    )
    with pytest.raises(UsageError, match="several columns have the same name"):
        read(tmp_path / "x.parquet")


# Damage: a failure in the results, in its place


def test_rows_without_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_images, "MAX_FILE_BYTES", 1000)
    path = table(tmp_path / "x.parquet", {"image": [IMAGES[0], None, b"", b"x" * 1001, IMAGES[1]]})
    assert content(path) == [
        (f"{path}/0", IMAGES[0]),
        (f"{path}/1", "the row has no image: expected a value, got null"),
        (f"{path}/2", b""),
        (f"{path}/3", "file too large: expected at most 1000 bytes, got 1001"),
        (f"{path}/4", IMAGES[1]),
    ]


def test_paths_that_are_no_paths(tmp_path: Path) -> None:
    values = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])
    path = table(tmp_path / "x.parquet", {"path": values})
    assert content(path) == [(f"{path}/0", "the text is not UTF-8")]
    texts = ["https://user:secret@host/x.jpg", "s3://user:secret@bucket/x.jpg", "x" * 70_000, None]
    path = table(tmp_path / "x.parquet", {"path": texts})
    assert content(path) == [
        ("https://***@host/x.jpg", "not a path: expected a path, or a URL that begins with s3:// or gs://"),
        ("s3://***@bucket/x.jpg",
         "a URL cannot contain a user name or password, because it is stored with the results"),
        (f"{path}/2", "the text is too long: expected at most 65536 characters, got 70000"),
        (f"{path}/3", "the row has no image: expected a value, got null"),
    ]  # fmt: skip


def test_a_damaged_page_costs_its_row_group(tmp_path: Path) -> None:
    noise = [random.Random(row).randbytes(5000) for row in range(6)]
    path = table(tmp_path / "x.parquet", {"image": noise}, row_group_size=2, compression="zstd", use_dictionary=False,
                 write_page_checksum=True)  # fmt: skip
    group = pq.read_metadata(path).row_group(1).column(0)
    data = bytearray(path.read_bytes())
    data[group.data_page_offset + group.total_compressed_size // 2] ^= 1
    path.write_bytes(bytes(data))
    first, second, damage, *rest = content(path, images_per_part=6)
    assert [first, second, *rest] == [(f"{path}/{row}", noise[row]) for row in (0, 1, 4, 5)]
    assert damage[0] == str(path)
    assert damage[1].startswith("rows 2 to 3 cannot be read (")


def test_files_that_are_no_parquet_files(tmp_path: Path) -> None:
    whole = table(tmp_path / "whole.parquet", {"image": IMAGES}).read_bytes()
    os.mkfifo(tmp_path / "pipe.parquet")
    for name, data in (("empty", b""), ("text", b"x" * 100), ("cut", whole[:-10]), ("head", b"PAR1" + whole[-40:])):
        (tmp_path / f"{name}.parquet").write_bytes(data)
    for name in ("empty", "text", "cut", "head", "pipe", "missing"):
        ((source, error),) = content(tmp_path / f"{name}.parquet")
        assert source == str(tmp_path / f"{name}.parquet")
        assert error.startswith(("the Parquet file cannot be read (", "not a file"))


def test_a_file_that_changes_after_it_was_found(tmp_path: Path) -> None:
    path = table(tmp_path / "x.parquet", {"image": IMAGES}, row_group_size=5)
    *_, last = find_shards([str(path)], BulkSettings(images_per_part=5))
    for columns, message in (
        ({"image": IMAGES[:5]}, "the file has changed: expected 2 row groups, got 1"),
        ({"n": [1] * 10}, "no column with images is found"),
    ):
        table(path, columns, row_group_size=5)
        (item,) = read_items(last, BulkSettings())
        assert (item.source, str(item.image)[: len(message)]) == (str(path), message)
    path.unlink()
    (item,) = read_items(last, BulkSettings())
    assert "No such file" in str(item.image)


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_gives_images_or_failures(seed: int, tmp_path: Path) -> None:
    """Whatever the footer and the pages say, reading ends, and raises nothing but UsageError before the run."""
    path = table(tmp_path / "x.parquet", {"image": IMAGES, "id": list(range(10))}, row_group_size=3)
    data = bytearray(path.read_bytes())
    random_numbers = random.Random(seed)
    for _ in range(random_numbers.randint(1, 4)):
        data[random_numbers.randrange(len(data))] = random_numbers.randrange(256)
    path.write_bytes(bytes(data))
    try:
        items = content(path, source_column="id")
    except UsageError:
        return
    assert 0 < len(items) <= 14


def test_images_that_are_too_large_on_average_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell of 1 GB fits in a file of 33 KB; reading it takes 4 GB."""
    monkeypatch.setattr(parquet_images, "MAX_FILE_BYTES", 1000)
    columns = {"image": [b"x", b"x" * 1001, b"x" * 3500, b"x" * 900], "id": ["a", "b", "c", "d"]}
    path = table(tmp_path / "x.parquet", columns, row_group_size=2, use_dictionary=False)
    errors = [(source, data) for source, data in content(path, source_column="id") if isinstance(data, str)]
    assert errors[0] == ("b", "file too large: expected at most 1000 bytes, got 1001")
    assert errors[1][0] == str(path)
    assert errors[1][1].startswith("rows 2 to 3 are too large: expected at most 1000 bytes per image, got ")
    assert len(errors) == 2


@pytest.mark.parametrize("as_dictionary", [False, True])
def test_a_dictionary_bomb_needs_the_memory_of_one_row(as_dictionary: bool, tmp_path: Path) -> None:
    """A file of 2 KB with 200 images of 8 MB each: 1.6 GB."""
    large = b"\0" * (8 << 20)
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 200, pa.int32()), pa.array([large]))
    path = table(tmp_path / "x.parquet", {"image": values}, compression="zstd", store_schema=as_dictionary)
    assert path.stat().st_size < 10_000
    (shard,) = find_shards([str(path)], BulkSettings())
    resource = pytest.importorskip("resource", reason="Windows has no module resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sizes = [len(item.image) for item in read_items(shard, BulkSettings()) if isinstance(item.image, bytes)]
    assert sizes == [len(large)] * 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # kB
