"""10,000 images through `bulk`, here and on Ray: the same rows as `classify`, bit for bit."""

from __future__ import annotations

import random
from pathlib import Path

import bulk_runs
import pytest
from bulk_runs import assert_same_rows, bulk_arguments, classify_arguments, manifest, parts, rows_of

from ov_mobilenet.cli.main import main

pytest.importorskip("pyarrow")

IMAGES, IN_TARS, PER_TAR = 10_000, 4_000, 250


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path | str]:
    """Tars, a folder and a list that together have 10,000 images; some are damaged."""
    folder = tmp_path_factory.mktemp("images")
    data = bulk_runs.drawings(1600, side=128)
    damaged = random.Random(3).sample(range(IMAGES), 20)
    contents = {number: data[number % len(data)] for number in range(IMAGES)}
    contents |= {number: contents[number][:300] for number in damaged}
    (folder / "files").mkdir()
    tars: list[Path | str] = []
    for begin in range(0, IN_TARS, PER_TAR):
        members = {f"{number:05}.jpg": contents[number] for number in range(begin, begin + PER_TAR)}
        tars.append(bulk_runs.write_tar(folder / f"{begin:05}.tar", members))
    for number in range(IN_TARS, IMAGES - 1000):
        (folder / "files" / f"{number:05}.jpg").write_bytes(contents[number])
    listed = [folder / "files" / f"{IN_TARS + number * 3:05}.jpg" for number in range(1000)]
    (folder / "list.txt").write_text("\n".join(map(str, listed)))
    return [*tars, folder / "files", f"@{folder / 'list.txt'}"]


@pytest.fixture(scope="module")
def expected(inputs: list[Path | str], tmp_path_factory: pytest.TempPathFactory) -> bulk_runs.Rows:
    output = tmp_path_factory.mktemp("oracle") / "x.parquet"
    assert main(classify_arguments(inputs, output, "-q")) == 1
    return rows_of([output])


@pytest.mark.bulk
@pytest.mark.parametrize(
    "engine",
    [
        pytest.param((), id="here"),
        pytest.param(("--ray", "local", "--workers", "2"), id="Ray"),
    ],
)
def test_ten_thousand_images_have_the_rows_of_classify(
    engine: tuple[str, ...], inputs: list[Path | str], expected: bulk_runs.Rows, tmp_path: Path
) -> None:
    if engine:
        pytest.importorskip("ray")
    output = tmp_path / "out"
    process = bulk_runs.start(bulk_arguments(inputs, output, "--images-per-part", "300", "-q", *engine))
    _, err = process.communicate()
    assert process.returncode == 1, err
    rows = rows_of(parts(output))
    assert_same_rows(rows, expected)
    assert len(bulk_runs.sources_of(rows)) == IMAGES
    found = manifest(output)
    errors = sum(row[7] is not None for row in rows)
    assert (found["state"], found["images"], found["errors"]) == ("complete", IMAGES, errors)
    assert 0 < errors <= 40
