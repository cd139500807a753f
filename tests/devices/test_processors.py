"""The number of threads follows the affinity mask and the CPU quota of the control group, not the number of CPUs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from control_group import NoControlGroup, cpu_group
from known_network import Known

from ov_mobilenet.accuracy import source_networks
from ov_mobilenet.accuracy.source_networks import source_oracle
from ov_mobilenet.cli import library_threads, options
from ov_mobilenet.cli.library_threads import VARIABLES
from ov_mobilenet.devices import processors, quota_settings
from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.devices.properties import read_property
from ov_mobilenet.load import load_classifier
from ov_mobilenet.runtime import stream as stream_module
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.config import load_config

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests" / "devices" / "limited_program.py"


def test_decoding_and_inference_use_the_quota(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    class Counted(stream_module._Decoders):
        def start(self) -> None:
            started.append(len(self._threads))
            super().start()

    monkeypatch.setattr(stream_module, "_Decoders", Counted)
    monkeypatch.setattr(stream_module, "usable_cpus", lambda: 3)
    classifier = load_classifier(known.xml, device="CPU", inference_precision="f32")
    results = classifier.classify_batch([*known.files])
    assert started == [3]
    assert len(results) == len(known.files)


@pytest.mark.parametrize("device", ["CPU", "AUTO"])
def test_openvino_is_told_about_a_quota_below_the_number_of_cpus(
    device: str, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    def threads(**options: int) -> int:
        classifier = load_classifier(known.xml, device=device, inference_precision="f32", **options)  # type: ignore[arg-type]
        assert np.allclose(classifier.probabilities(known.frames), known.answers, atol=1e-4)
        (value,) = read_property(classifier._compiled.model, "INFERENCE_NUM_THREADS").values
        return int(value)

    if (os.cpu_count() or 1) < 2:
        pytest.skip("needs two CPUs")
    monkeypatch.setattr(quota_settings, "usable_cpus", lambda: 1)
    monkeypatch.setattr(quota_settings, "cpus_in_mask", lambda: 2)
    assert threads() == 1
    assert threads(streams=2) == 2
    assert threads(threads=2) == 2
    monkeypatch.setattr(quota_settings, "usable_cpus", lambda: 2)
    assert threads() == 2


def test_nothing_else_asks_for_the_number_of_cpus_of_the_machine() -> None:
    root = Path(processors.__file__).parents[1]
    found = [path.name for path in root.rglob("*.py") if "os.cpu_count" in path.read_text("utf-8")]
    assert found == ["processors.py"]


# Everything with its default number of threads, in a process that may use one CPU.
ONE_CPU = {
    "stream": 1, "classify": 1, "async queue": 1, "inference": 1, "streams": 1, "opencv": 1, "env": 1,
    "tune for latency": 1, "tune for throughput": 1,
}  # fmt: skip


def report_of(known: Known, limit: list[str], folder: Path) -> dict[str, Any]:
    """What `limited_program.py` prints behind the beginning of a command line that limits it."""
    environment = {name: text for name, text in os.environ.items() if name not in VARIABLES}
    environment |= {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [*limit, sys.executable, str(PROGRAM), str(known.xml), *map(str, known.files)],
        stdout=subprocess.PIPE, text=True, check=True, env=environment, timeout=300,
    )  # fmt: skip
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.skipif(shutil.which("taskset") is None or usable_cpus() < 2, reason="needs taskset and two CPUs")
def test_a_process_with_one_cpu_in_its_affinity_mask(known: Known, tmp_path: Path) -> None:
    last = max(os.sched_getaffinity(0))
    report = report_of(known, ["taskset", "-c", str(last)], tmp_path)
    assert report.items() >= ONE_CPU.items()


def test_a_process_with_a_real_quota_of_one_cpu(known: Known, tmp_path: Path) -> None:
    if usable_cpus() < 2:
        pytest.skip("needs two CPUs")
    try:
        with cpu_group(1.0) as limit:
            report = report_of(known, limit, tmp_path)
    except NoControlGroup as error:
        pytest.skip(f"needs root and control groups that can be written: {error}")
    # Without pinning: several such processes would otherwise share the first CPU.
    assert report == {**ONE_CPU, "pinning": False}


def test_onnxruntime_as_oracle_uses_the_quota(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    threads: list[int] = []
    session = onnxruntime.InferenceSession

    def recorded(path: str, options: Any, **rest: Any) -> Any:
        threads.append(options.intra_op_num_threads)
        return session(path, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", recorded)
    monkeypatch.setattr(source_networks, "usable_cpus", lambda: 3)
    config = load_config(known.yml)
    plan = plan_conversion(config)
    source_oracle(config, plan, config.folder / plan.source.path)
    assert threads == [3]


def test_conversions_side_by_side_fit_into_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def jobs(text: str = "auto") -> int:
        return options.JobCount().convert(text, None, None)

    monkeypatch.setattr(options, "usable_cpus", lambda: 8)
    for memory, expected in ((None, 8), (64 << 30, 8), (3 << 30, 3), (200 << 20, 1)):
        monkeypatch.setattr(options, "usable_memory", lambda memory=memory: memory)
        assert jobs() == expected
        assert jobs("5") == 5  # given by the user


def test_the_users_own_variables_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"OMP_NUM_THREADS": "7"}
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(library_threads, "cpus_in_mask", lambda: 8)
    monkeypatch.setattr(library_threads, "usable_cpus", lambda: 8)
    library_threads.limit_library_threads()
    assert environment == {"OMP_NUM_THREADS": "7"}
    monkeypatch.setattr(library_threads, "usable_cpus", lambda: 2)
    library_threads.limit_library_threads()
    assert environment == {**dict.fromkeys(VARIABLES, "2"), "OMP_NUM_THREADS": "7"}
