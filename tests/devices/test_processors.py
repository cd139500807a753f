"""The number of threads follows the affinity mask and the CPU quota of the control group, not the number of CPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from known_network import Known

from ov_mobilenet.devices import processors
from ov_mobilenet.devices.processors import cpu_quota, usable_cpus
from ov_mobilenet.devices.properties import read_property
from ov_mobilenet.load import load_classifier
from ov_mobilenet.runtime import stream as stream_module

FOUR_CPUS = 4


@pytest.fixture(autouse=True)
def four_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "cpus_in_mask", lambda: FOUR_CPUS)


def v2(folder: Path, quotas: dict[str, str], own: str = "/app") -> tuple[Path, Path]:
    """Control groups of version 2: path of a group and content of its cpu.max."""
    for path, text in quotas.items():
        group = folder / "cgroup" / path
        group.mkdir(parents=True, exist_ok=True)
        (group / "cpu.max").write_text(f"{text}\n")
    (folder / "own").write_text(f"0::{own}\n")
    return folder / "cgroup", folder / "own"


def v1(
    folder: Path, quota_us: str, *, path: str = "", mount: str = "cpu,cpuacct", own: str = "/app"
) -> tuple[Path, Path]:
    """Control groups of version 1."""
    group = folder / "cgroup" / mount / path
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text(f"{quota_us}\n")
    (group / "cpu.cfs_period_us").write_text("100000\n")
    (folder / "own").write_text(f"12:cpuset:/\n4:cpu,cpuacct:{own}\n0::/\n")
    return folder / "cgroup", folder / "own"


@pytest.mark.parametrize(
    ("quotas", "cpus"),
    [
        ({"app": "100000 100000"}, 1),
        ({"app": "150000 100000"}, 2),  # rounded up
        ({"app": "10000 100000"}, 1),
        ({"app": "max 100000"}, FOUR_CPUS),
        ({"app": "900000 100000"}, FOUR_CPUS),
        ({"app": "max 100000", ".": "200000 100000"}, 2),  # the limit of a parent
        ({"app": "300000 100000", ".": "200000 100000"}, 2),
        ({".": "200000 100000"}, 2),  # a container in which only its own group is mounted
        ({"app": "nonsense"}, FOUR_CPUS),
        ({"app": "0 0"}, FOUR_CPUS),
        ({}, FOUR_CPUS),
    ],
)
def test_version_2(quotas: dict[str, str], cpus: int, tmp_path: Path) -> None:
    assert usable_cpus(*v2(tmp_path, quotas)) == cpus


def test_version_1(tmp_path: Path) -> None:
    assert usable_cpus(*v1(tmp_path / "unlimited", "-1")) == FOUR_CPUS
    assert usable_cpus(*v1(tmp_path / "one", "50000", path="app")) == 1
    assert usable_cpus(*v1(tmp_path / "two", "200000", mount="cpu")) == 2
    assert cpu_quota(*v1(tmp_path / "half", "50000")) == 0.5


def test_a_system_without_control_groups(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path, tmp_path / "none") == FOUR_CPUS
    (tmp_path / "own").write_bytes(b"\xff\xfe\n:::\n0::/../elsewhere\n")
    assert usable_cpus(tmp_path, tmp_path / "own") == FOUR_CPUS


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
    from ov_mobilenet.devices import compile as compile_module

    def threads(**options: int) -> int:
        classifier = load_classifier(known.xml, device=device, inference_precision="f32", **options)  # type: ignore[arg-type]
        assert np.allclose(classifier.probabilities(known.frames), known.answers, atol=1e-4)
        (value,) = read_property(classifier._compiled.model, "INFERENCE_NUM_THREADS").values
        return int(value)

    if (os.cpu_count() or 1) < 2:
        pytest.skip("needs two CPUs")
    monkeypatch.setattr(compile_module, "usable_cpus", lambda: 1)
    monkeypatch.setattr(compile_module, "cpus_in_mask", lambda: 2)
    assert threads() == 1
    assert threads(streams=2) == 2
    assert threads(threads=2) == 2
    monkeypatch.setattr(compile_module, "usable_cpus", lambda: 2)
    assert threads() == 2


def test_nothing_else_asks_for_the_number_of_cpus_of_the_machine() -> None:
    root = Path(processors.__file__).parents[1]
    found = [path.name for path in root.rglob("*.py") if "os.cpu_count" in path.read_text("utf-8")]
    assert found == ["processors.py"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity masks")
def test_the_affinity_mask_counts() -> None:
    script = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from ov_mobilenet.devices.processors import usable_cpus; print(usable_cpus())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
