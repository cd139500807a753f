"""`bulk` with inputs and output in a bucket: moto's S3 server on a loopback port."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bulk_runs
import pytest
from bulk_classification.loopback_s3 import LoopbackS3
from bulk_runs import assert_same_rows, bulk_arguments, classify_arguments, rows_of, start

from ov_mobilenet.cli.main import main

pytest.importorskip("pyarrow")
pytest.importorskip("moto")
pytestmark = pytest.mark.bulk

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def s3() -> Iterator[LoopbackS3]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "k")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "s")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with LoopbackS3() as server:
            yield server


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, tars and a Parquet file with image bytes in a local folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("local")
    data = bulk_runs.drawings(24)
    (folder / "images" / "more").mkdir(parents=True)
    for number in range(9):
        (folder / "images" / ("more" if number % 2 else "") / f"{number}.jpg").write_bytes(data[number])
    (folder / "images" / "bad.jpg").write_bytes(b"not an image")
    (folder / "tars").mkdir()
    for tar in range(3):
        bulk_runs.write_tar(folder / "tars" / f"{tar}.tar", {f"{n}.jpg": data[9 + 3 * tar + n] for n in range(3)})
    table = pa.table({"name": [f"row{n}" for n in range(6)], "image": data[18:]})
    pq.write_table(table, folder / "images.parquet", row_group_size=2)
    return folder


@pytest.fixture
def bucket(local: Path, s3: LoopbackS3) -> str:
    """The name of a new bucket that holds the files of the local folder."""
    files, name = s3.filesystem(), f"bucket{next(_NUMBERS)}"
    files.create_dir(name)
    for path in sorted(local.rglob("*")):
        if path.is_file():
            with files.open_output_stream(f"{name}/{path.relative_to(local).as_posix()}") as stream:
                stream.write(path.read_bytes())
    return name


def names_in(files: Any, folder: str) -> dict[str, Any]:
    """Modification time of each object in a folder of a bucket."""
    from pyarrow.fs import FileSelector

    return {one.base_name: one.mtime for one in files.get_file_info(FileSelector(folder, allow_not_found=True))}


def rows_in(files: Any, folder: str) -> bulk_runs.Rows:
    names = sorted(name for name in names_in(files, folder) if name.startswith("part-"))
    return rows_of([f"{folder}/{name}" for name in names], filesystem=files)


def without_place(rows: bulk_runs.Rows, *places: str) -> bulk_runs.Rows:
    """The rows with sources relative to the folder or bucket."""
    found = []
    for source, *rest in rows:
        assert isinstance(source, str)
        (place,) = (place for place in places if source.startswith(place))
        found.append((source[len(place) :].lstrip("/"), *rest))
    return sorted(found, key=lambda row: (row[0], row[1] or 0, row[3] or 0))


def test_inputs_and_parts_in_a_bucket_have_the_rows_of_local_files(
    local: Path, bucket: str, s3: LoopbackS3, tmp_path: Path
) -> None:
    kinds = ("images", "tars/*.tar", "images.parquet")
    settings = ("--images-per-part", "4", "--image-column", "image", "--source-column", "name")
    remote, output = [s3.url(f"{bucket}/{kind}") for kind in kinds], s3.url(f"{bucket}/out")
    assert main(bulk_arguments(remote, output, *settings)) == 1, "one image is damaged"
    oracle = tmp_path / "x.parquet"
    assert main(classify_arguments([local / "images", *sorted((local / "tars").iterdir())], oracle)) == 1
    files = s3.filesystem()
    rows = rows_in(files, f"{bucket}/out")
    of_tables = [row for row in rows if str(row[0]).startswith("row")]
    others = [row for row in rows if not str(row[0]).startswith("row")]
    # The message of a damaged image may name where it is.
    assert [row[:7] for row in without_place(others, f"s3://{bucket}")] == [
        row[:7] for row in without_place(rows_of([oracle]), str(local))
    ]
    (damaged,) = (row for row in rows if row[7] is not None)
    assert str(damaged[0]).endswith("images/bad.jpg")
    loose = tmp_path / "loose"
    loose.mkdir()
    for number, data in enumerate(bulk_runs.drawings(24)[18:]):
        (loose / f"row{number}").with_suffix(".jpg").write_bytes(data)
    assert main(classify_arguments([loose], tmp_path / "y.parquet")) == 0
    assert [row[1:] for row in of_tables] == [row[1:] for row in rows_of([tmp_path / "y.parquet"])]
    assert {row[0] for row in of_tables} == {f"row{number}" for number in range(6)}

    names = names_in(files, f"{bucket}/out")
    assert {"_SUCCESS", "_manifest.json", "_shards.jsonl"} < set(names)
    found = json.loads(files.open_input_file(f"{bucket}/out/_manifest.json").read())
    assert (found["state"], found["images"], found["errors"]) == ("complete", 10 + 9 + 6, 1)
    assert b"AWS" not in json.dumps(found).encode()

    assert main(bulk_arguments(remote, output, *settings)) == 1, "the same exit code as the first run"
    after = names_in(files, f"{bucket}/out")
    assert {n: t for n, t in after.items() if n.startswith("part")} == {
        n: t for n, t in names.items() if n.startswith("part")
    }
    files.delete_file(f"{bucket}/out/part-00001.parquet")
    assert main(bulk_arguments(remote, output, *settings)) == 1
    again = names_in(files, f"{bucket}/out")
    assert {n for n, t in again.items() if n.startswith("part") and t != names[n]} == {"part-00001.parquet"}
    assert_same_rows(rows_in(files, f"{bucket}/out"), rows)


def test_a_bucket_that_does_not_exist_is_an_error_and_is_not_created(
    local: Path, bucket: str, s3: LoopbackS3, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(bulk_arguments([local / "images"], s3.url("no-such-bucket/out"))) == 1
    err = capsys.readouterr().err
    assert "no-such-bucket" in err
    assert "Traceback" not in err
    assert main(bulk_arguments([s3.url("no-such-bucket/images")], s3.url(f"{bucket}/out"))) == 1
    err = capsys.readouterr().err
    assert "no-such-bucket" in err
    assert "Traceback" not in err
    from pyarrow.fs import FileType

    assert s3.filesystem().get_file_info("no-such-bucket").type == FileType.NotFound
    assert names_in(s3.filesystem(), f"{bucket}/out") == {}


def wait_for_parts(count: int, s3: LoopbackS3, folder: str, process: subprocess.Popen[str]) -> None:
    files = s3.filesystem()
    while sum(name.startswith("part-") for name in names_in(files, folder)) < count:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.01)


@pytest.mark.parametrize("returns", [True, False])
def test_a_server_that_dies_in_the_middle(
    returns: bool, bucket: str, local: Path, s3: LoopbackS3, tmp_path: Path
) -> None:
    listed = tmp_path / "list.txt"
    names = [s3.url(f"{bucket}/images/{number}.jpg") for number in (0, 2, 4, 6, 8)]
    listed.write_text("\n".join(names * 40))
    arguments = bulk_arguments([f"@{listed}"], s3.url(f"{bucket}/out"), "--images-per-part", "10")
    process = start(arguments)
    wait_for_parts(2, s3, f"{bucket}/out", process)
    s3.cut()
    if returns:
        s3.connect()
    _, err = process.communicate(timeout=300)
    assert "Traceback" not in err
    files = s3.filesystem()
    if not returns:
        assert process.returncode == 1, err
        assert bucket in err
        found = names_in(files, f"{bucket}/out")
        assert "_SUCCESS" not in found
        assert 2 <= sum(name.startswith("part-") for name in found) < 20
        s3.connect()
        assert main(arguments) == 0
    else:
        assert process.returncode == 0, err
    images = [local / "images" / f"{number}.jpg" for number in (0, 2, 4, 6, 8)]
    oracle = tmp_path / "x.parquet"
    assert main(classify_arguments(images * 40, oracle)) == 0
    rows = without_place(rows_in(files, f"{bucket}/out"), f"s3://{bucket}")
    assert_same_rows(rows, without_place(rows_of([oracle]), str(local)))
