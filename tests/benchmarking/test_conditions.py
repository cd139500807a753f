from __future__ import annotations

from pathlib import Path

import pytest

from ov_mobilenet.benchmarking.conditions import cores, current_load, governor
from ov_mobilenet.benchmarking.resources import Meter


def test_load_from_the_cpu_times(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 …\n")

    def pause(seconds: float) -> None:  # 20 more jiffies: 5 of work, 15 idle
        stat.write_text("cpu  104 0 51 812 53 0 0 0 0 0\n")

    found = current_load(stat=stat, pause=pause, average=lambda: 0.0)
    assert found.cpu_busy == pytest.approx(0.25)
    assert found.busy


def test_a_high_load_average_does_not_make_an_idle_machine_busy(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 50 800 50 0 0 0 0 0\n")

    def pause(seconds: float) -> None:  # 20 more jiffies, all idle
        stat.write_text("cpu 100 0 50 820 50 0 0 0 0 0\n")

    found = current_load(stat=stat, pause=pause, average=lambda: 99.0)
    assert (found.cpu_busy, found.busy, found.average) == (0.0, False, 99.0)


def test_without_cpu_times_the_load_average_decides(tmp_path: Path) -> None:
    found = current_load(stat=tmp_path / "none", average=lambda: cores() * 0.9)
    assert (found.cpu_busy, found.busy) == (None, True)
    assert not current_load(stat=tmp_path / "none", average=lambda: None).busy


def test_governors_of_all_cores_are_joined(tmp_path: Path) -> None:
    assert governor(tmp_path) is None
    for number, name in enumerate(("powersave", "performance", "powersave")):
        folder = tmp_path / f"cpu{number}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(name + "\n")
    assert governor(tmp_path) == "performance, powersave"


def zone(folder: Path, name: str, label: str, value: int, most: int = 999_999_999) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "name").write_text(label + "\n")
    (folder / name / "energy_uj").write_text(f"{value}\n")
    (folder / name / "max_energy_range_uj").write_text(f"{most}\n")


def test_energy_of_all_packages_with_a_counter_that_wraps_around(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 7)  # part of its package
    zone(tmp_path, "intel-rapl:1", "package-1", 999_000_000)
    zone(tmp_path, "intel-rapl:2", "psys", 5)
    meter = Meter(powercap=tmp_path)
    zone(tmp_path, "intel-rapl:0", "package-0", 3_500_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 2_000_007)
    zone(tmp_path, "intel-rapl:1", "package-1", 500_000)  # wrapped around
    found = meter.read(10)
    assert found.energy_j == pytest.approx(2.5 + 1.5)
    assert found.energy_per_image_j == pytest.approx(0.4)


def test_unreadable_energy_is_null(tmp_path: Path) -> None:
    assert Meter(powercap=tmp_path).read(1).energy_j is None
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert Meter(powercap=tmp_path).read(1).energy_j is None


def test_cpu_time_and_memory_of_this_process() -> None:
    now = [0.0]
    meter = Meter(clock=lambda: now[0])
    total = sum(number * number for number in range(2_000_000))
    assert total
    now[0] = 2.0
    found = meter.read(1)
    assert found.cpu_time_s is not None
    assert found.cpu_time_s > 0
    assert found.cpu_cores == pytest.approx(found.cpu_time_s / 2)
    assert found.peak_memory_mb is not None
    assert found.peak_memory_mb > 10
