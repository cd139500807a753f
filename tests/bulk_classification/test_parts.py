"""Parts read as one data set with the files of `classify`, and their footers tell what they are."""

from __future__ import annotations

import io
import tempfile
from mmap import mmap
from pathlib import Path

import pytest
from bulk_output_cases import RUN, SHARDS

import ov_mobilenet.bulk_classification.parts as parts_module
from ov_mobilenet.bulk_classification.parts import PartFacts, PartWriter, read_part_facts
from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.bulk_classification.stores import LocalFolder
from ov_mobilenet.errors import OutputError
from ov_mobilenet.outputs.destination import open_destination
from ov_mobilenet.runtime.results import Classification, Failure, Prediction, Result, Timings

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
ds = pytest.importorskip("pyarrow.dataset")

TIMINGS = Timings(decode=0.1, geometry=1 / 3, queue=0.0, inference=2.5, total=1e-7)
RESULTS: tuple[Result, ...] = (
    Classification("a.png", (Prediction(3, "x, y", 0.1 + 0.2), Prediction(0, "é", 1 / 7)), TIMINGS),
    Failure("b\udcff.png", "broken"),
    Classification("c.png", (), TIMINGS),
)


def write(folder: Path, results: tuple[Result, ...] = RESULTS, shard: Shard = SHARDS[0]) -> PartFacts:
    writer = PartWriter(LocalFolder(str(folder)), shard, RUN.settings, "CPU", "f32")
    for result in results:
        writer.put(result)
    assert (writer.images, writer.errors) == (len(results), sum(isinstance(result, Failure) for result in results))
    return writer.close()


def facts_in(folder: Path, name: str) -> PartFacts | None:
    return read_part_facts(LocalFolder(str(folder)), name, (folder / name).stat().st_size, RUN.settings)


def test_a_part_and_a_file_of_classify_are_one_data_set(tmp_path: Path) -> None:
    write(tmp_path)
    with open_destination(tmp_path / "one.parquet", top_k=2) as destination:
        sink = destination.sink(settings=RUN.settings)
        for result in RESULTS:
            sink.put(result)
        sink.close()
    part, one = pq.read_table(tmp_path / "part-00000.parquet"), pq.read_table(tmp_path / "one.parquet")
    assert part.schema.equals(one.schema, check_metadata=True)
    assert part.to_pylist() == one.to_pylist()
    assert [row["source"] for row in part.to_pylist()] == ["a.png", "a.png", "b\\xff.png", "c.png"]
    (tmp_path / "_manifest.json").write_text("not Parquet")
    (tmp_path / "_SUCCESS").touch()
    assert ds.dataset(tmp_path).count_rows() == 8


def test_large_parts_are_collected_in_a_temporary_file_in_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_module, "GROUP_ROWS", 10)
    monkeypatch.setattr(parts_module, "MEMORY_BYTES", 2000)
    results = tuple(Failure(f"{number}.png", "broken") for number in range(95))
    written: list[type] = []
    write_whole = LocalFolder.write

    def note_type(store: LocalFolder, name: str, data: bytes | mmap) -> None:
        written.append(type(data))
        write_whole(store, name, data)

    monkeypatch.setattr(LocalFolder, "write", note_type)
    facts = write(tmp_path, results)
    assert written == [mmap], "the part was read into memory"
    file = pq.ParquetFile(tmp_path / "part-00000.parquet")
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [10] * 9 + [5]
    assert file.read(["source"])["source"].to_pylist() == [f"{number}.png" for number in range(95)]
    assert facts == facts_in(tmp_path, "part-00000.parquet")
    assert (facts.images, facts.errors, facts.bytes) == (95, 95, (tmp_path / "part-00000.parquet").stat().st_size)
    assert [path.name for path in tmp_path.iterdir()] == ["part-00000.parquet"]


def test_a_shard_without_images_has_an_empty_part(tmp_path: Path) -> None:
    facts = write(tmp_path, ())
    assert (facts.images, facts.errors) == (0, 0)
    assert facts == facts_in(tmp_path, "part-00000.parquet")
    write(tmp_path, RESULTS, SHARDS[1])
    assert ds.dataset(tmp_path).count_rows() == 4


def test_a_temporary_file_that_cannot_be_written_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda size: Full())
    writer = PartWriter(LocalFolder(str(tmp_path)), SHARDS[0], RUN.settings, "CPU", "f32")
    writer.put(RESULTS[0])
    with pytest.raises(OutputError) as caught:
        writer.close()
    assert f"temporary file in {tempfile.gettempdir()}: " in str(caught.value)
    assert "No space left on device). Free disk space. Select another folder for temporary" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_only_whole_parts_of_the_run_are_recognised(tmp_path: Path) -> None:
    facts = write(tmp_path)
    whole = (tmp_path / "part-00000.parquet").read_bytes()
    assert facts_in(tmp_path, "part-00000.parquet") == facts
    assert (facts.device, facts.inference_precision, facts.images, facts.errors) == ("CPU", "f32", 3, 1)

    store = LocalFolder(str(tmp_path))
    assert read_part_facts(store, "part-00000.parquet", len(whole), {**RUN.settings, "top-k": "3"}) is None
    for length in (0, 1, 4, 12, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        (tmp_path / "cut.parquet").write_bytes(whole[:length])
        assert facts_in(tmp_path, "cut.parquet") is None
    (tmp_path / "text.parquet").write_bytes(b"PAR1" + b"\xff" * 500 + b"PAR1")
    pq.write_table(pa.table({"source": ["a.png"]}), tmp_path / "foreign.parquet")
    assert [facts_in(tmp_path, name) for name in ("text.parquet", "foreign.parquet")] == [None, None]
    with pytest.raises(OutputError, match="cannot be read"):
        read_part_facts(store, "missing.parquet", 1)
