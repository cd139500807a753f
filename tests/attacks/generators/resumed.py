"""Damaged results of an earlier run, then `--resume`: refused without a change, or each image has its result."""

from __future__ import annotations

import collections
import csv
import io
import json
import random
from pathlib import Path

import pytest
from attacks import damage
from attacks.fuzz import Attack
from attacks.outside_watch import nothing_outside

from ov_mobilenet.errors import OutputError, UsageError
from ov_mobilenet.outputs.destination import open_destination
from ov_mobilenet.outputs.run_settings import settings_file
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.runtime.results import Classification, Failure, Prediction, Timings

TOP_K = 3
SETTINGS = {"network: weights": "4ab0", "top-k": str(TOP_K)}
ODD_NAMES = (
    'a,b".jpg',
    "line\nbreak.jpg",
    "cr\rlf\r\n.jpg",
    "é\u2028.png",
    "x" * 300,
    " space ",
    '"',
    "1",
    "source,frame",
)
Keys = collections.Counter[tuple[str, int | None]]


def result(source: str, frame: int | None) -> Classification | Failure:
    """The result of an image, which depends on its name alone."""
    rng = random.Random(source)
    if rng.random() < 0.2:
        return Failure(source, "broken image (truncated)", frame)
    predictions = tuple(
        Prediction(rng.randrange(1000), rng.choice(("cat", "a, b", "“q”")), rng.random()) for _ in range(TOP_K)
    )
    return Classification(source, predictions, Timings(decode=rng.random(), total=rng.random()), frame)


def inputs(rng: random.Random) -> list[Item]:
    """Files, some of them with odd names or given twice, or the frames of a video."""
    if rng.random() < 0.2:
        return [Item(b"", "video.mp4", frame, frame / 25) for frame in range(rng.randrange(1, 12))]
    names = [f"images/{number:03}.jpg" for number in range(rng.randrange(1, 12))]
    names += rng.sample(ODD_NAMES, rng.randrange(3))
    names += rng.choices(names, k=rng.randrange(3))
    return [Item(b"", name) for name in names]


def classify(path: Path, images: list[Item], stop: int | None = None) -> None:
    """What `classify -o FILE --resume` does with its output, with results that are made up."""
    with open_destination(path, resume=True, top_k=TOP_K) as destination:
        destination.check(SETTINGS)
        left = list(destination.remaining(images))[:stop]
        sink = destination.sink(settings=SETTINGS)
        for image in left:
            sink.put(result(image.source, image.frame))
        sink.close()


def rows_of(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def keys_of(path: Path) -> Keys:
    """How many results each image has, by an independent reader; of several rows the first is counted."""
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
        lines = [line for line in lines if "predictions" in line or "error" in line]
        return collections.Counter((line["source"], line.get("frame")) for line in lines)
    if path.suffix == ".csv":
        cells = [row for row in rows_of(path.read_bytes())[1:] if row[3] in ("", "1")]
        return collections.Counter((row[0], int(row[1]) if row[1] else None) for row in cells)
    pq = pytest.importorskip("pyarrow.parquet")
    rows = pq.read_table(path).to_pylist()
    return collections.Counter((row["source"], row["frame"]) for row in rows if row["rank"] in (None, 1))


def damage_lines(data: bytes, rng: random.Random) -> bytes:
    """Damage that is particular to text with lines."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return b"\n"
    at = rng.randrange(len(lines))
    kind = rng.randrange(8)
    if kind == 0:
        lines[at] = lines[at].replace(b"\n", rng.choice((b"\r\n", b"\r", b"", b"\n\n", b"\0\n", b"\x85\n", b" \n")))
    elif kind == 1:
        return data.replace(b"\n", rng.choice((b"\r\n", b"\r")))
    elif kind == 2:
        lines[at] = (
            lines[at][:5]
            + rng.choice((b"\0", b"\xff\xfe", b"\xc3", b'"', b",", b"\\", b"\xed\xa0\x80"))
            + lines[at][5:]
        )
    elif kind == 3:
        lines.insert(
            at,
            rng.choice(
                (b"\n", b"{}\n", b"[]\n", b"null\n", b'"x"\n', b",,,\n", b"1,2\n", lines[at], b'{"source":1}\n')
            ),
        )
    elif kind == 4:
        return rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b" ", b"[")) + data
    elif kind == 5:
        return data + rng.choice((b"\0" * 5, b"x", b"\n", b'{"source":', b'"', b"\xff", b"images/1,", b" " * 9))
    elif kind == 6:
        del lines[at]
    else:
        lines[at] = lines[at][: rng.randrange(len(lines[at]))]
    return b"".join(lines)


def earlier_run(rng: random.Random, path: Path) -> list[Item]:
    """Write the results of some of the images. Returns: all of them."""
    images = inputs(rng)
    classify(path, images, stop=rng.randrange(1, len(images) + 1))
    return images


def resume(path: Path, images: list[Item], rng: random.Random) -> bool:
    """Resume a damaged file, twice; whether it was accepted. A refused file keeps its bytes."""
    if rng.random() < 0.1 and settings_file(path).exists():
        settings_file(path).write_bytes(damage.damaged(settings_file(path).read_bytes(), rng))
    before = path.read_bytes()
    with nothing_outside(path.parent):
        try:
            classify(path, images)
        except (OutputError, UsageError) as error:
            assert str(error).isprintable() and len(str(error)) < 2000, error
            assert path.read_bytes() == before
            assert {each.name for each in path.parent.iterdir()} <= {path.name, settings_file(path).name}
            return False
        complete = path.read_bytes()
        classify(path, images)
        assert path.read_bytes() == complete, "a third run finds images without a result"
    assert {each.name for each in path.parent.iterdir()} <= {path.name, settings_file(path).name}
    return True


def check_results(path: Path, images: list[Item], earlier: Keys) -> None:
    """Each image has as many results as it was given times, or as many as the damaged file had."""
    wanted = collections.Counter((image.source, image.frame) for image in images)
    found = keys_of(path)
    for key, count in wanted.items():
        assert count <= found[key] <= max(count, earlier[key]), (key, found[key])


def text(path: Path, rng: random.Random) -> None:
    images = earlier_run(rng, path)
    good = path.read_bytes()
    bad = damage_lines(good, rng) if rng.random() < 0.5 else damage.damaged(good, rng)
    path.write_bytes(bad)
    if not resume(path, images, rng):
        return
    final = path.read_bytes()
    same = next(
        (at for at, pair in enumerate(zip(good, bad, strict=False)) if pair[0] != pair[1]), min(len(good), len(bad))
    )
    kept = good[: good.rfind(b"\n", 0, same) + 1]
    if path.suffix == ".csv":  # the last image before the damage may lack rows
        rows = kept.split(b"\n")
        kept = b"\n".join(rows[: -TOP_K - 1])
    assert final.startswith(kept), "results before the damage are lost"
    damaged = path.with_name(f"damaged{path.suffix}")
    damaged.write_bytes(bad[: bad.rfind(b"\n") + 1])
    try:
        earlier = keys_of(damaged)
    except (ValueError, KeyError, IndexError, TypeError, csv.Error):
        earlier = collections.Counter()
    damaged.unlink()
    check_results(path, images, earlier)
    again = path.with_name(f"again{path.suffix}")
    classify(again, images)
    right = {*good.split(b"\n"), *bad.split(b"\n"), *again.read_bytes().split(b"\n")}
    assert set(final.split(b"\n")) <= right, "lines that nobody wrote"


def json_lines(rng: random.Random, folder: Path) -> None:
    """A JSON Lines file with flipped, cut, repeated bytes, other line ends, NUL and invalid UTF-8."""
    text(folder / "r.jsonl", rng)


def csv_rows(rng: random.Random, folder: Path) -> None:
    """The same with CSV."""
    text(folder / "r.csv", rng)


def parquet(rng: random.Random, folder: Path) -> None:
    """A Parquet file with flipped, cut, repeated bytes or spliced with another: refused, or the values are right."""
    pytest.importorskip("pyarrow")
    path = folder / "r.parquet"
    images = earlier_run(rng, path)
    good = path.read_bytes()
    earlier = keys_of(path)
    if rng.random() < 0.15:
        other = folder / "other.parquet"
        classify(other, inputs(rng))
        bad = damage.spliced(good, other.read_bytes(), rng)
        other.unlink()
    else:
        bad = damage.damaged(good, rng)
    path.write_bytes(bad)
    if resume(path, images, rng):
        assert all(row == right for row, right in parquet_rows(path)), "other values without an error"
        check_results(path, images, earlier)


def parquet_rows(path: Path) -> list[tuple[object, object]]:
    """Each row with what it must be, as far as its image tells."""
    pq = pytest.importorskip("pyarrow.parquet")
    pairs: list[tuple[object, object]] = []
    for row in pq.read_table(path).to_pylist():
        right = result(row["source"], row["frame"])
        if isinstance(right, Failure):
            pairs.append(((row["rank"], row["error"]), (None, right.error)))
        else:
            prediction = right.predictions[row["rank"] - 1]
            shown = row["class_id"], row["label"], row["probability"], row["decode_ms"]
            pairs.append(
                (shown, (prediction.class_id, prediction.label, prediction.probability, right.timings_ms.decode))
            )
    return pairs


def foreign_parquet(rng: random.Random, folder: Path) -> None:
    """A valid Parquet file with other columns, types, order or null sources: refused, and not changed."""
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = folder / "r.parquet"
    images = earlier_run(rng, path)
    table = pq.read_table(path)
    name = rng.choice(table.column_names)
    column = table.column(name)
    kind = rng.randrange(5)
    if kind == 0:
        table = table.drop_columns([name])
    elif kind == 1:
        table = table.append_column(rng.choice(("more", name)), column)
    elif kind == 2:
        table = table.set_column(
            table.column_names.index(name), name, pa.nulls(len(table), rng.choice((pa.binary(), pa.float32())))
        )
    elif kind == 3:
        table = table.select(table.column_names[::-1])
    else:
        table = table.set_column(0, "source", pa.nulls(len(table), pa.string()))
    pq.write_table(table, path)
    assert not resume(path, images, rng)


ATTACKS = (
    Attack("resumed: JSON lines", 1500, json_lines, 30),
    Attack("resumed: CSV", 1500, csv_rows, 30),
    Attack("resumed: Parquet", 1000, parquet, 20, apart=True),
    Attack("resumed: foreign Parquet", 200, foreign_parquet, 5),
)
