"""The formats hold the same values; what is cut short is found and done again."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ov_mobilenet.errors import MissingDependencyError, OutputError, UsageError
from ov_mobilenet.outputs.destination import open_destination
from ov_mobilenet.outputs.text import Table
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.runtime.results import Classification, Failure, Prediction, Result, Timings

TIMINGS = Timings(decode=0.1, geometry=1 / 3, queue=0.0, inference=2.5, total=1e-7)
AWKWARD = 'a "b",\r\nc\rd é.png'
RESULTS: tuple[Result, ...] = (
    Classification("a.png", (Prediction(3, "x, y", 0.1 + 0.2), Prediction(0, 'say "z"', 1 / 7)), TIMINGS),
    Failure(AWKWARD, "broken,\nreally"),
    Classification(AWKWARD, (), TIMINGS),
    Classification("v.mp4", (Prediction(1, "café", 5e-324),), TIMINGS, 0, 0.0, 12.25),
    Classification("v.mp4", (Prediction(1, "café", 1.0),), TIMINGS, 1, 0.04),
    Failure("v.mp4", "no frame", 2, 0.08),
    Failure("bare\rreturn", "broken"),
)
FORMS = ("jsonl", "csv", "parquet")
TIMING_NAMES = ("decode", "geometry", "queue", "inference", "total")


def write(path: Path, results: tuple[Result, ...], **wishes: bool) -> None:
    with open_destination(path, top_k=2, **wishes) as destination:
        sink = destination.sink()
        for result in results:
            sink.put(result)
        sink.close()


def flat(line: dict) -> list[dict]:
    """A JSON line as the rows that the other formats have, by their documentation."""
    times = line.get("timings_ms", {})
    common = {
        "source": line["source"], "frame": line.get("frame"), "time_s": line.get("time_s"),
        "error": line.get("error"), "age_ms": line.get("age_ms"),
        **{f"{name}_ms": times.get(name) for name in TIMING_NAMES},
    }  # fmt: skip
    rows = [{**common, "rank": rank, **p} for rank, p in enumerate(line.get("predictions", ()), 1)]
    return rows or [{**common, "rank": None, "class_id": None, "label": None, "probability": None}]


def read(path: Path) -> list[dict]:
    if path.suffix == ".jsonl":
        return [row for line in path.read_text("utf-8").split("\n")[:-1] for row in flat(json.loads(line))]
    if path.suffix == ".parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        return pq.ParquetFile(path).read().to_pylist()
    kinds = {"frame": int, "rank": int, "class_id": int, "source": str, "label": str, "error": str}
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: kinds.get(name, float)(cell) if cell else None for name, cell in row.items()}
            for row in csv.DictReader(file)
        ]


def needs(form: str) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")


def test_all_formats_hold_the_same_values(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for form in FORMS:
        write(tmp_path / f"r.{form}", RESULTS)
    expected = read(tmp_path / "r.jsonl")
    assert [row["source"] for row in expected] == ["a.png", "a.png", AWKWARD, AWKWARD, *["v.mp4"] * 3, "bare\rreturn"]
    assert expected[0]["probability"] == 0.30000000000000004
    for form in ("csv", "parquet"):
        assert read(tmp_path / f"r.{form}") == expected, form


@pytest.mark.parametrize("form", ("jsonl", "csv"))
def test_cut_anywhere_and_resumed_the_file_is_the_same(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"r.{form}"
    # The last but one has as many rows as were asked for, the last fewer: a cut between its rows cannot be seen.
    results = (RESULTS[1], RESULTS[3], RESULTS[0])
    items = [Item(b"", r.source, r.frame) for r in results]
    write(path, results)
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        with open_destination(path, resume=True, top_k=2) as destination:
            left = list(destination.left(items))
            sink = destination.sink()
            for item in left:
                sink.put(results[items.index(item)])
        assert path.read_bytes() == whole, size
    assert left == []


@pytest.mark.parametrize("form", FORMS)
def test_resume_goes_by_source_and_frame_and_counts_them(form: str, tmp_path: Path) -> None:
    needs(form)
    path = tmp_path / f"r.{form}"
    write(path, RESULTS)
    twice = ["a.png", "a.png", "b.png"]
    frames = [Item(b"", "v.mp4", frame) for frame in range(4)]
    live = Item(b"", "v.mp4", 0, captured=1.0)
    with open_destination(path, resume=True, top_k=2) as destination:
        assert list(destination.left(twice)) == ["a.png", "b.png"]
        assert list(destination.left(frames)) == [frames[3]]
        assert list(destination.left([live])) == [live]
        assert list(destination.left([AWKWARD, Path(AWKWARD), AWKWARD])) == [AWKWARD]


def test_a_name_that_is_no_utf8_is_found_again(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    for form in FORMS:
        needs(form)
        path = tmp_path / f"r.{form}"
        write(path, (Failure(name, "broken"),))
        with open_destination(path, resume=True) as destination:
            assert list(destination.left([name])) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_is_there_is_not_lost(form: str, tmp_path: Path) -> None:
    needs(form)
    path = tmp_path / f"r.{form}"
    write(path, RESULTS[:1])
    before = path.read_bytes()
    with pytest.raises(UsageError, match="--resume adds what it lacks, --overwrite begins anew"):
        open_destination(path)
    with open_destination(path, overwrite=True):
        assert path.read_bytes() == before  # until there is something to write
    write(path, RESULTS[3:4], overwrite=True)
    assert [row["source"] for row in read(path)] == ["v.mp4"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", ("somebody's notes", "a,b\n1,2\n", '{"a": 1}\n'))
def test_somebody_elses_file_is_not_touched(form: str, text: str, tmp_path: Path) -> None:
    needs(form)
    path = tmp_path / f"r.{form}"
    path.write_text(text)
    with pytest.raises(OutputError, match="--overwrite"):
        open_destination(path, resume=True)
    assert path.read_text() == text


def test_another_programs_parquet_is_not_touched(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "r.parquet"
    pq.write_table(pa.table({"source": ["a"]}), path)
    with pytest.raises(OutputError, match="columns"):
        open_destination(path, resume=True)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"path": None, "resume": True}, "--resume needs a file"),
        ({"path": None, "overwrite": True}, "--overwrite needs a file"),
        ({"path": "r.csv", "overwrite": True, "resume": True}, "Give one"),
        ({"path": "r.txt", "resume": True}, "cannot be resumed"),
        ({"path": "r.json", "resume": True}, "cannot be resumed"),
        ({"path": "results"}, "not clear from the name"),
        ({"path": None, "form": "parquet"}, "to a file only"),
        ({"path": "/dev/null", "form": "parquet"}, "to a file only"),
    ],
)
def test_wishes_that_cannot_be_met(wishes: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_destination(**wishes)


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"ov-mobilenet\[parquet\]"):
        open_destination(tmp_path / "r.parquet")
    assert list(tmp_path.iterdir()) == []


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """As a disk that is full; Python ignores the signal, so the write fails."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("form", FORMS)
def test_a_full_disk_keeps_what_was_written(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(form)
    monkeypatch.setattr("ov_mobilenet.outputs.parquet.STEP_S", 0.0)
    monkeypatch.setattr("ov_mobilenet.outputs.parquet.REST", 0)
    path = tmp_path / f"r.{form}"
    names = [f"{n}-{os.urandom(100).hex()}.png" for n in range(200)]
    put = 0
    with open_destination(path) as destination, no_file_larger_than(20_011):
        sink = destination.sink()
        with pytest.raises(OutputError, match="r.*: the results cannot be written: got File too large. .*make room"):
            for name in names:
                sink.put(Failure(name, "broken"))
                put += 1
        sink.close()  # as a `finally` does
    assert 5 < put < 200
    assert [row["source"] for row in read(path)] == names[:put]
    assert list(tmp_path.iterdir()) == [path]


def test_parquet_is_valid_and_grows_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    from ov_mobilenet.outputs.parquet import Parquet

    monkeypatch.setattr("ov_mobilenet.outputs.parquet.GROUP_ROWS", 4)
    now = 0.0
    path = tmp_path / "r.parquet"
    sink = Parquet(path, clock=lambda: now)
    there = [len(read(path))]
    for number in range(10):
        now += 0.3
        sink.put(Failure(f"{number}", "broken"))
        there.append(len(read(path)))
    # Steps where a second has passed, also after a group has been written without one.
    assert there == [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8]
    sink.close()
    assert [row["source"] for row in read(path)] == [str(number) for number in range(10)]


def test_parquet_spends_little_time_on_copies(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from ov_mobilenet.outputs.parquet import Parquet

    times = iter([0.0, 0.0, 0.5, *range(1, 100)])  # made; first step begins and ends: half a second
    sink = Parquet(tmp_path / "r.parquet", clock=lambda: float(next(times)))
    there = []
    for number in range(20):
        sink.put(Failure(f"{number}", "broken"))
        there.append(len(read(tmp_path / "r.parquet")))
    assert there == [0] * 15 + [16] + [16] * 4  # at 16 s at the earliest: 30 x 0.5 s after 0.5 s


def test_a_table_says_where_nothing_is_probable() -> None:
    out = io.StringIO()
    sink = Table(out, least=0.5)
    for result in RESULTS[:1] + RESULTS[3:5]:
        assert isinstance(result, Classification)
        sink.put(result.at_least(0.5))
    blocks = out.getvalue().splitlines()
    assert blocks[1] == "  nothing at or above 0.5"
    assert blocks[2].startswith("v.mp4  frame 0")
    assert blocks[5] == "  100.00%      1  café"
