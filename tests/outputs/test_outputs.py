"""All formats hold the same values; incomplete records are found and written again."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ov_mobilenet.errors import MissingDependencyError, OutputError, UsageError
from ov_mobilenet.outputs.destination import open_destination
from ov_mobilenet.outputs.text_sinks import TableSink
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.runtime.results import Classification, Failure, Prediction, Result, Timings

TIMINGS = Timings(decode=0.1, geometry=1 / 3, queue=0.0, inference=2.5, total=1e-7)
ODD_NAME = 'a "b",\r\nc\rd é.png'
RESULTS: tuple[Result, ...] = (
    Classification("a.png", (Prediction(3, "x, y", 0.1 + 0.2), Prediction(0, 'say "z"', 1 / 7)), TIMINGS),
    Failure(ODD_NAME, "broken,\nreally"),
    Classification(ODD_NAME, (), TIMINGS),
    Classification("v.mp4", (Prediction(1, "café", 5e-324),), TIMINGS, 0, 0.0, 12.25),
    Classification("v.mp4", (Prediction(1, "café", 1.0),), TIMINGS, 1, 0.04),
    Failure("v.mp4", "no frame", 2, 0.08),
    Failure("bare\rreturn", "broken"),
)
FORMATS = ("jsonl", "csv", "parquet")
TIMING_NAMES = ("decode", "geometry", "queue", "inference", "total")


def write(path: Path, results: tuple[Result, ...], **options: Any) -> None:
    with open_destination(path, top_k=2, **options) as destination:
        sink = destination.sink()
        for result in results:
            sink.put(result)
        sink.close()


def as_rows(line: dict[str, Any]) -> list[dict[str, Any]]:
    """A JSON line as the rows that the other formats are documented to have."""
    times = line.get("timings_ms", {})
    common = {
        "source": line["source"], "frame": line.get("frame"), "time_s": line.get("time_s"),
        "error": line.get("error"), "age_ms": line.get("age_ms"),
        **{f"{name}_ms": times.get(name) for name in TIMING_NAMES},
    }  # fmt: skip
    rows = [{**common, "rank": rank, **p} for rank, p in enumerate(line.get("predictions", ()), 1)]
    return rows or [{**common, "rank": None, "class_id": None, "label": None, "probability": None}]


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [row for line in path.read_text("utf-8").split("\n")[:-1] for row in as_rows(json.loads(line))]
    if path.suffix == ".parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        rows: list[dict[str, Any]] = pq.ParquetFile(path).read().to_pylist()
        return rows
    kinds = {"frame": int, "rank": int, "class_id": int, "source": str, "label": str, "error": str}
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: kinds.get(name, float)(cell) if cell else None for name, cell in row.items()}
            for row in csv.DictReader(file)
        ]


def skip_without_pyarrow(output_format: str) -> None:
    if output_format == "parquet":
        pytest.importorskip("pyarrow")


def test_all_formats_hold_the_same_values(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for output_format in FORMATS:
        write(tmp_path / f"r.{output_format}", RESULTS)
    expected = read(tmp_path / "r.jsonl")
    assert [row["source"] for row in expected] == ["a.png", "a.png", ODD_NAME, ODD_NAME, *["v.mp4"] * 3, "bare\rreturn"]
    assert expected[0]["probability"] == 0.30000000000000004
    for output_format in ("csv", "parquet"):
        assert read(tmp_path / f"r.{output_format}") == expected, output_format


@pytest.mark.parametrize("output_format", ["jsonl", "csv", "parquet", "json", "txt"])
def test_several_results_at_once_are_the_same_file(output_format: str, tmp_path: Path) -> None:
    skip_without_pyarrow(output_format)
    write(tmp_path / f"single.{output_format}", RESULTS)
    with open_destination(tmp_path / f"groups.{output_format}", top_k=2) as destination:
        sink = destination.sink()
        sink.put_all(RESULTS[:3])
        sink.put_all(RESULTS[3:])
        sink.close()
    if output_format == "parquet":
        assert read(tmp_path / "groups.parquet") == read(tmp_path / "single.parquet")
    else:
        single, groups = (tmp_path / f"{name}.{output_format}" for name in ("single", "groups"))
        assert groups.read_bytes() == single.read_bytes()


@pytest.mark.parametrize("output_format", ("jsonl", "csv"))
def test_resume_restores_a_file_truncated_at_any_byte(output_format: str, tmp_path: Path) -> None:
    path = tmp_path / f"r.{output_format}"
    # The last result has as many rows as top_k: with fewer rows, a cut between them could not be detected.
    results = (RESULTS[1], RESULTS[3], RESULTS[0])
    items = [Item(b"", r.source, r.frame) for r in results]
    write(path, results)
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        with open_destination(path, resume=True, top_k=2) as destination:
            remaining = list(destination.remaining(items))
            sink = destination.sink()
            for item in remaining:
                sink.put(results[items.index(item)])
        assert path.read_bytes() == whole, size
    assert remaining == []


@pytest.mark.parametrize("output_format", FORMATS)
def test_resume_matches_results_by_source_and_frame_with_multiplicity(output_format: str, tmp_path: Path) -> None:
    skip_without_pyarrow(output_format)
    path = tmp_path / f"r.{output_format}"
    write(path, RESULTS)
    twice = ["a.png", "a.png", "b.png"]
    frames = [Item(b"", "v.mp4", frame) for frame in range(4)]
    live = Item(b"", "v.mp4", 0, captured=1.0)
    odd: list[str | Path] = [ODD_NAME, Path(ODD_NAME), ODD_NAME]
    with open_destination(path, resume=True, top_k=2) as destination:
        assert list(destination.remaining(twice)) == ["a.png", "b.png"]
        assert list(destination.remaining(frames)) == [frames[3]]
        assert list(destination.remaining([live])) == [live]
        assert list(destination.remaining(odd)) == [ODD_NAME]


def test_resume_finds_a_source_that_is_not_valid_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    for output_format in FORMATS:
        skip_without_pyarrow(output_format)
        path = tmp_path / f"r.{output_format}"
        write(path, (Failure(name, "broken"),))
        with open_destination(path, resume=True) as destination:
            assert list(destination.remaining([name])) == []


@pytest.mark.parametrize("output_format", FORMATS)
def test_an_existing_file_is_neither_replaced_nor_extended_unasked(output_format: str, tmp_path: Path) -> None:
    skip_without_pyarrow(output_format)
    path = tmp_path / f"r.{output_format}"
    write(path, RESULTS[:1])
    before = path.read_bytes()
    with pytest.raises(
        UsageError, match=r"the file already exists\. Add the missing results with --resume, or replace"
    ):
        open_destination(path)
    with open_destination(path, overwrite=True):
        assert path.read_bytes() == before  # until the first result is written
    write(path, RESULTS[3:4], overwrite=True)
    assert [row["source"] for row in read(path)] == ["v.mp4"]


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("text", ("some notes", "a,b\n1,2\n", '{"a": 1}\n'))
def test_a_file_of_another_program_cannot_be_resumed_and_stays_unchanged(
    output_format: str, text: str, tmp_path: Path
) -> None:
    skip_without_pyarrow(output_format)
    path = tmp_path / f"r.{output_format}"
    path.write_text(text)
    with pytest.raises(OutputError, match="--overwrite"):
        open_destination(path, resume=True)
    assert path.read_text() == text


def test_a_parquet_file_with_other_columns_cannot_be_resumed(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "r.parquet"
    pq.write_table(pa.table({"source": ["a"]}), path)
    with pytest.raises(OutputError, match="columns"):
        open_destination(path, resume=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": None, "resume": True}, "--resume needs a file"),
        ({"path": None, "overwrite": True}, "--overwrite needs a file"),
        ({"path": "r.csv", "overwrite": True, "resume": True}, "exclude each other"),
        ({"path": "r.txt", "resume": True}, "cannot be resumed"),
        ({"path": "r.json", "resume": True}, "cannot be resumed"),
        ({"path": "results"}, "does not determine the format"),
        ({"path": None, "output_format": "parquet"}, "only be written to a file"),
        ({"path": "/dev/null", "output_format": "parquet"}, "only be written to a file"),
    ],
)
def test_invalid_option_combinations_are_usage_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_destination(**options)


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"\[parquet\]"):
        open_destination(tmp_path / "r.parquet")
    assert list(tmp_path.iterdir()) == []


@contextmanager
def max_file_size(size: int) -> Iterator[None]:
    """Simulate a full disk: writes beyond `size` fail."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource = pytest.importorskip("resource", reason="Windows has no module resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_full_disk_keeps_the_results_written_before(
    output_format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_without_pyarrow(output_format)
    monkeypatch.setattr("ov_mobilenet.outputs.parquet_sink.CHECKPOINT_S", 0.0)
    monkeypatch.setattr("ov_mobilenet.outputs.parquet_sink.CHECKPOINT_INTERVAL_FACTOR", 0)
    path = tmp_path / f"r.{output_format}"
    names = [f"{n}-{os.urandom(100).hex()}.png" for n in range(200)]
    put = 0
    with open_destination(path) as destination, max_file_size(20_011):
        sink = destination.sink()
        with pytest.raises(
            OutputError, match=r"r.*: the results cannot be written \(File too large\)\. .*Free disk space"
        ):
            for name in names:
                sink.put(Failure(name, "broken"))
                put += 1
        sink.close()  # as in a `finally` block
    assert 5 < put < 200
    assert [row["source"] for row in read(path)] == names[:put]
    assert list(tmp_path.iterdir()) == [path]


def test_parquet_is_valid_and_grows_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    from ov_mobilenet.outputs.parquet_sink import ParquetSink

    monkeypatch.setattr("ov_mobilenet.outputs.parquet_sink.GROUP_ROWS", 4)
    now = 0.0
    path = tmp_path / "r.parquet"
    sink = ParquetSink(path, clock=lambda: now)
    row_counts = [len(read(path))]
    for number in range(10):
        now += 0.3
        sink.put(Failure(f"{number}", "broken"))
        row_counts.append(len(read(path)))
    # A checkpoint whenever a second has passed, also after a row group was written without one.
    assert row_counts == [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8]
    sink.close()
    assert [row["source"] for row in read(path)] == [str(number) for number in range(10)]


def test_the_interval_between_parquet_checkpoints_grows_with_their_duration(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from ov_mobilenet.outputs.parquet_sink import ParquetSink

    times = iter([0.0, 0.0, 0.5, *range(1, 100)])  # created; the first checkpoint takes half a second
    sink = ParquetSink(tmp_path / "r.parquet", clock=lambda: float(next(times)))
    row_counts = []
    for number in range(20):
        sink.put(Failure(f"{number}", "broken"))
        row_counts.append(len(read(tmp_path / "r.parquet")))
    assert row_counts == [0] * 15 + [16] + [16] * 4  # not before 15.5 s: 30 x 0.5 s after 0.5 s


def test_a_table_reports_an_image_without_probable_classes() -> None:
    out = io.StringIO()
    sink = TableSink(out, min_probability=0.5)
    for result in RESULTS[:1] + RESULTS[3:5]:
        assert isinstance(result, Classification)
        sink.put(result.at_least(0.5))
    blocks = out.getvalue().splitlines()
    assert blocks[1] == "  no class with a probability of 0.5 or more"
    assert blocks[2].startswith("v.mp4  frame 0")
    assert blocks[5] == "  100.00%      1  café"
