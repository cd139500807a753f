"""Processes and nodes of a Ray cluster are killed during a run: every image is in the parts exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ray_nodes import Nodes, classified, draw_images, ended, nodes, parts, rows, start_bulk, wait_for

pytestmark = pytest.mark.bulk

IMAGES, PER_PART = 1200, 30
# Damaged images make the exit code 1.
WITH_ERRORS = 1


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_images(tmp_path_factory.mktemp("bulk") / "images", IMAGES)


@pytest.fixture(scope="module")
def expected(images: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    found = classified(images, tmp_path_factory.mktemp("classify") / "rows.parquet")
    assert len({row[0] for row in found}) == IMAGES
    return found


def start(cluster: Nodes, images: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    return start_bulk(images, output, "--ray", cluster.address, "--images-per-part", str(PER_PART), *options)


def check_whole(output: Path, expected: list[tuple[Any, ...]]) -> None:
    assert rows(parts(output)) == expected
    assert (output / "_SUCCESS").is_file()
    assert {file.name for file in output.iterdir() if not file.name.startswith("part-")} == {
        "_SUCCESS", "_manifest.json", "_shards.jsonl",
    }  # fmt: skip


def test_a_node_is_killed_in_the_middle_and_another_is_added(
    images: Path, expected: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    with nodes(1) as cluster:
        killed = cluster.add(1)
        run = start(cluster, images, tmp_path / "out", "--workers", "2")
        wait_for("three parts", lambda: len(parts(tmp_path / "out")) >= 3, run)
        wait_for("two workers", lambda: len(cluster.workers()) == 2, run)
        cluster.kill(killed)
        there = len(parts(tmp_path / "out"))
        wait_for("parts of the node that is left", lambda: len(parts(tmp_path / "out")) > there + 2, run)
        cluster.add(1)
        code, _, err = ended(run)
    assert (code, err.count("Traceback")) == (WITH_ERRORS, 0), err
    check_whole(tmp_path / "out", expected)


def test_a_worker_is_killed_ten_times(images: Path, expected: list[tuple[Any, ...]], tmp_path: Path) -> None:
    with nodes(1) as cluster:
        run = start(cluster, images, tmp_path / "out")
        for _ in range(10):
            # The shard that a killed worker had is the first of the next one: after a new part no shard has died twice.
            wait_for("another part", partial(has_more_than, len(parts(tmp_path / "out")), tmp_path / "out"), run)
            for pid in cluster.workers():
                os.kill(pid, signal.SIGKILL)
        code, _, err = ended(run)
    assert (code, err.count("Traceback")) == (WITH_ERRORS, 0), err
    check_whole(tmp_path / "out", expected)


def has_more_than(count: int, output: Path) -> bool:
    return len(parts(output)) > count


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    with nodes(1, 1) as started:
        yield started


def test_the_driver_is_killed_and_the_same_command_does_the_rest(
    cluster: Nodes, images: Path, expected: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    first = start(cluster, images, output)
    wait_for("four parts", lambda: len(parts(output)) >= 4, first)
    first.kill()
    first.communicate()
    wait_for("the end of its workers", lambda: not cluster.workers())
    written = {part: part.stat().st_mtime_ns for part in parts(output)}
    assert len(written) < IMAGES // PER_PART

    code, _, err = ended(start(cluster, images, output))
    assert (code, err.count("Traceback")) == (WITH_ERRORS, 0), err
    check_whole(output, expected)
    assert {part: part.stat().st_mtime_ns for part in written} == written  # whole parts are not done again


@pytest.mark.parametrize(("ray", "signum", "code"), [("cluster", signal.SIGINT, 130), ("local", signal.SIGTERM, 143)])
def test_a_signal_ends_the_workers_and_leaves_a_state_that_is_resumed(
    cluster: Nodes, images: Path, expected: list[tuple[Any, ...]], tmp_path: Path, ray: str, signum: int, code: int
) -> None:
    output = tmp_path / "out"
    address = cluster.address if ray == "cluster" else "local"
    first = start_bulk(
        images, output, "--images-per-part", str(PER_PART), "--ray", address, start_new_session=True
    )  # fmt: skip
    wait_for("two parts", lambda: len(parts(output)) >= 2, first)
    os.killpg(first.pid, signum)
    found, _, err = ended(first)
    assert found == code
    for noise in ("Traceback", "ray", "WARNING", "Error"):
        assert noise not in err, err
    wait_for("the end of its workers", lambda: not cluster.workers())
    assert (output / "_manifest.json").is_file()
    assert not (output / "_SUCCESS").exists()

    ended(start(cluster, images, output))
    check_whole(output, expected)
