"""Whole runs of bulk on Ray: quiet, in a bounded object store, on the CPUs they were given; errors are one message."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ray_nodes import (
    MODEL,
    TIMEOUT_S,
    Nodes,
    classified,
    draw_images,
    ended,
    environment,
    nodes,
    parts,
    rows,
    start_bulk,
)

pytestmark = pytest.mark.bulk

IMAGES, PER_PART = 240, 40
# On the nodes only: makes a worker die, or a file operation fail, while a file of this name is in the folder.
HOOK = """
import os, signal, sys
def hook(event, arguments, folder={folder!r}):
    if event not in ("open", "os.rename"):
        return
    name = os.path.basename(str(arguments[event == "os.rename"]))
    if name == "00090.png" and os.path.exists(folder + "/poison"):
        os.kill(os.getpid(), signal.SIGKILL)
    if event == "os.rename" and name.startswith("part-") and os.path.exists(folder + "/full"):
        raise OSError(28, "No space left on device")
    if name == "_shards.jsonl" and os.path.exists(folder + "/unseen"):
        raise FileNotFoundError(2, "No such file or directory", name)
sys.addaudithook(hook)
"""


@dataclass(frozen=True)
class World:
    """A cluster of two nodes, and images with their rows by `classify`.

    Attributes:
        folder: of the files that switch `HOOK` on.
    """

    cluster: Nodes
    folder: Path
    images: Path
    expected: list[tuple[Any, ...]]

    def start(self, output: Path, *options: str, **kwargs: Any) -> subprocess.Popen[str]:
        return start_bulk(
            self.images, output, "--images-per-part", str(PER_PART), "--ray", self.cluster.address, *options, **kwargs
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("ray")
    images = draw_images(folder / "images", IMAGES)
    (folder / "sitecustomize.py").write_text(HOOK.format(folder=str(folder)))
    with nodes(1, 1, folders=(folder,)) as cluster:
        yield World(cluster, folder, images, classified(images, folder / "rows.parquet"))


def messages(stderr: str) -> list[str]:
    """What is printed, without the progress."""
    return [line for line in stderr.splitlines() if not line.startswith(("using IR", "bulk:"))]


def test_a_local_run_prints_what_a_run_without_ray_prints(world: World, tmp_path: Path) -> None:
    here = ended(start_bulk(world.images, tmp_path / "here", "--images-per-part", str(PER_PART)))
    local = ended(start_bulk(world.images, tmp_path / "local", "--images-per-part", str(PER_PART), "--ray", "local"))
    assert local[0] == here[0] == 1  # damaged images
    assert sorted(messages(local[2])) == sorted(messages(here[2]))
    assert rows(parts(tmp_path / "local")) == rows(parts(tmp_path / "here")) == world.expected


def test_relative_paths_are_those_of_the_driver(world: World, tmp_path: Path) -> None:
    folder = world.images.parent
    run = start_bulk(
        Path("images"), Path(f"out-{tmp_path.name}"), "--ray", world.cluster.address, "--images-per-part", "100",
        cwd=folder,
    )  # fmt: skip
    code, _, err = ended(run)
    assert code == 1, err
    found = rows(parts(folder / f"out-{tmp_path.name}"))
    assert [row[0] for row in found[:2]] == ["images/00000.png", "images/00000.png"]
    assert [row[1:] for row in found] == [row[1:] for row in world.expected]


def test_a_shard_that_kills_its_worker_each_time_fails_alone(world: World, tmp_path: Path) -> None:
    output, poison = tmp_path / "out", world.folder / "poison"
    poison.touch()
    try:
        code, out, err = ended(world.start(output, "--format", "json"))
    finally:
        poison.unlink()
    assert (code, err.count("Traceback")) == (1, 0), err
    assert [part.name for part in parts(output)] == [f"part-{index:05}.parquet" for index in (0, 1, 3, 4, 5)]
    assert not (output / "_SUCCESS").exists()
    assert "part-00002.parquet" in err
    assert "killed or crashed 5 times" in err
    (failed,) = json.loads(out)["failed_shards"]
    assert (failed["part"], failed["source"]) == ("part-00002.parquet", str(world.images / "00080.png"))

    assert ended(world.start(output))[0] == 1
    assert (output / "_SUCCESS").is_file()
    assert rows(parts(output)) == world.expected


@pytest.mark.parametrize(
    ("switch", "message"), [("full", "No space left on device"), ("unseen", "Every node must reach the output")]
)
def test_an_error_that_is_not_of_one_shard_ends_the_run_with_one_message(
    world: World, tmp_path: Path, switch: str, message: str
) -> None:
    (world.folder / switch).touch()
    try:
        code, _, err = ended(world.start(tmp_path / "out"))
    finally:
        (world.folder / switch).unlink()
    errors = [line for line in err.splitlines() if line.startswith("error:")]
    assert (code, len(errors)) == (1, 1), err
    assert message in errors[0]
    assert "Traceback" not in err
    assert not parts(tmp_path / "out")


def test_a_part_with_too_many_failures_ends_the_run(world: World, tmp_path: Path) -> None:
    code, _, err = ended(world.start(tmp_path / "out", "--max-errors", "0"))
    assert code == 1
    assert "too many images failed" in err
    assert not (tmp_path / "out" / "_SUCCESS").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--ray", "127.0.0.1:1"), "no Ray cluster can be reached"),
        (("--cpus-per-worker", "64"), "no node of the Ray cluster has enough CPUs for one worker"),
    ],
)
def test_a_cluster_that_cannot_run_a_worker(
    world: World, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    code, _, err = ended(world.start(tmp_path / "out", *options))
    (error,) = [line for line in messages(err) if line.startswith("error:")]
    assert code == 1
    assert message in error
    assert "Traceback" not in err


OWN_SESSION = """
import json, sys
import ray, ov_mobilenet as ovm
address, images, output = sys.argv[1:]
ray.init(address, log_to_driver=False)
free, most = ray.available_resources()["object_store_memory"], 0
def look(progress):
    global most
    most = max(most, free - ray.available_resources()["object_store_memory"])
result = ovm.bulk({model!r}, images, output, settings=ovm.BulkSettings(images_per_part=40),
                  ray=ovm.RaySettings(address), on_progress=look, inference_precision="f32")
print(json.dumps([result.manifest.images, most, ray.is_initialized()]))
"""


def test_a_program_keeps_its_session_and_no_pixels_are_in_the_object_store(world: World, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OWN_SESSION.format(model=MODEL), world.cluster.address, world.images, tmp_path / "out"],
        env=environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    images, most_bytes, is_initialized = json.loads(done.stdout)
    assert (images, is_initialized) == (IMAGES, True)
    assert most_bytes < 4e6  # the IR has 0.5 MB; the frames of 240 images would have 1.4 MB at 48x40 alone
    assert rows(parts(tmp_path / "out")) == world.expected


THREADS = """
import json, sys
import ray
from ov_mobilenet.bulk_classification.model_package import pack_model, bulk_runnable
from ov_mobilenet.bulk_classification.ray_worker import worker_class
from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.bulk_classification.ray_run import _versions
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.resolve import open_model
ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)

class Probe(worker_class()):
    def __init__(self, versions, package, attempts, setup):
        super().__init__(versions, package[0], attempts, setup)

    def properties(self):
        import os, cv2, pyarrow
        from ov_mobilenet.devices.properties import read_property
        model = self._worker.classifier.compiled(4).model
        return [read_property(model, "INFERENCE_NUM_THREADS").values, read_property(model, "ENABLE_CPU_PINNING").values,
                cv2.getNumThreads(), pyarrow.cpu_count(), os.environ["OMP_NUM_THREADS"]]

settings = BulkSettings()
package = pack_model(bulk_runnable(open_model({model!r}), settings), settings, DeviceSettings(), None)
setup = dict(output="unused", run={{}}, cpus=2, folder=".", probe=None)
worker = ray.remote(Probe).options(num_cpus=2).remote(_versions(), [ray.put(package)], None, setup)
print(json.dumps(ray.get(worker.properties.remote())))
"""


def test_the_threads_of_a_worker_fit_its_cpus() -> None:
    pytest.importorskip("ray")
    values = environment()
    del values["OMP_NUM_THREADS"]  # set by Ray
    done = subprocess.run(
        [sys.executable, "-c", THREADS.format(model=MODEL)],
        env=values, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["2"], ["NO"], 1, 2, "2"]
