"""`make soak`: a short one finds nothing, and the watcher finds each kind of leak and each lost or wrong result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import leaking_scenarios
import numpy as np
import pytest

if not Path("/proc/self/statm").exists():
    pytest.skip("the soak reads /proc, which only Linux has", allow_module_level=True)

from soak import __main__ as program
from soak import plan, scenario_process, scenario_run
from soak.plan import SCENARIOS, Scenario
from soak.rounds import Mismatch, Workplace, check_result
from soak.scenario_run import FOLDERS, ScenarioRun, Turns
from soak.scenarios import failing_devices
from soak.watch import WINDOW, Holdings, Watch

from ov_mobilenet.runtime import async_scheduler, scheduler
from ov_mobilenet.runtime import stream as stream_module
from ov_mobilenet.runtime.results import Classification, Failure, Prediction, Timings

Capture = pytest.CaptureFixture[str]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, FOLDERS))}
SOAK = [sys.executable, "-m", "soak"]


def test_a_short_soak_finds_nothing_and_counts_everything(tmp_path: Path) -> None:
    figures = tmp_path / "soak.json"
    done = subprocess.run(
        [*SOAK, "--rounds", "3", "--seed", "4", "--json", figures],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=300, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(figures.read_text())
    assert document["seed"] == 4 and document["cpu"] and document["versions"]["openvino"]
    assert [scenario["name"] for scenario in document["scenarios"]] == [scenario.name for scenario in SCENARIOS]
    for scenario in document["scenarios"]:
        assert scenario["rounds"] == 3 and scenario["violation"] is None
        assert scenario["results"] == scenario["classified"] + scenario["failures"] > 0
        assert scenario["growth_mb"] is not None and scenario["temporary_files"] == 0
        assert f"\n{scenario['name']} " in done.stdout
    assert document["scenarios"][0]["failures"] > 0, "some images of the stream are broken"


# `devices` needs no images and no IR, which take seconds to make.
WITHOUT_MATERIAL = """
import signal, sys
from soak import __main__ as program, material
material.write_material = lambda folder: None
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored here
sys.exit(program.main(["--scenario", "devices"]))
"""


def test_ctrl_c_prints_the_table_so_far(tmp_path: Path) -> None:
    soak = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_MATERIAL], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=tmp_path, start_new_session=True,
    )  # fmt: skip
    assert soak.stderr is not None
    try:
        for line in soak.stderr:
            if "running devices" in line:
                break
        soak.send_signal(signal.SIGINT)
        out, _ = soak.communicate(timeout=120)
    finally:
        soak.kill()
    assert soak.returncode == 130
    assert "interrupted" in out and "\ndevices " in out


@pytest.fixture
def run_leak(tmp_path: Path) -> Callable[[str], ScenarioRun]:
    """Runs 30 rounds at most of a scenario of `leaking_scenarios`, in a process of its own."""

    def run(name: str) -> ScenarioRun:
        scenario = Scenario(name, f"leaking_scenarios:start_{name}", 10.0, "a control", warm_up=3)
        started = ScenarioRun(
            scenario, seed=0, first_round=0, warm_up=3, material=tmp_path, folder=tmp_path / name
        )  # fmt: skip
        started.work(threading.Event(), Turns(1), 30)
        return started

    return run


def test_a_clean_scenario_has_no_violation(run_leak: Callable[[str], ScenarioRun]) -> None:
    run = run_leak("clean")
    assert run.violation is None
    assert (run.rounds, run.counts.images, run.counts.classified) == (30, 30, 30)


def test_a_memory_leak_is_found_with_its_size(run_leak: Callable[[str], ScenarioRun]) -> None:
    run = run_leak("leaking_memory")
    assert run.violation is not None and run.violation.what == "growth of resident memory"
    # Ten rounds or more lie between the medians' rounds that are compared.
    assert run.next_round < 30
    assert run.watch.growth_mb is not None and run.watch.growth_mb >= 10


@pytest.mark.parametrize(
    ("leak", "what", "got"),
    [
        ("leaking_handles", "open handles", "kept open"),
        ("leaking_files", "temporary files", "forgotten"),
        ("leaking_threads", "threads that a round started", "never ends"),
        ("raising", "OSError in the round", "no such share"),
        ("dying", "the process", "exit code 9:\na crash in native code"),
    ],
)
def test_a_leak_is_found_and_named(
    run_leak: Callable[[str], ScenarioRun], leak: str, what: str, got: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenario_run, "REST_S", 0.0)  # what leaks does not end; anything else may take a moment to end
    violation = run_leak(leak).violation
    assert violation is not None
    assert violation.what.startswith(what) and got in violation.got


def test_a_violation_ends_the_soak_and_says_how_to_repeat_it(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    from soak import material

    leak = Scenario("leak", "leaking_scenarios:start_leaking_files", 10.0, "a control")
    monkeypatch.setattr(plan, "SCENARIOS", (leak,))
    monkeypatch.setattr(material, "write_material", lambda folder: None)
    assert program.main(["--seed", "9", "--first-round", "12"]) == 1
    printed = capsys.readouterr()
    assert "WRONG in round 12" in printed.out
    assert "scenario leak, seed 9, round 12: temporary files after a round\n  expected: none\n  got: " in printed.err
    assert "make soak SEED=9 SCENARIO=leak" in printed.err


def test_a_watcher_that_fails_is_no_success(
    run_leak: Callable[[str], ScenarioRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(pid: int, temporary: Path) -> Holdings:
        raise PermissionError("/proc cannot be read")

    monkeypatch.setattr(scenario_run, "holdings_of", fail)
    violation = run_leak("clean").violation
    assert violation is not None and violation.got == "PermissionError: /proc cannot be read"


def test_an_unknown_scenario_is_refused(capsys: Capture) -> None:
    assert program.main(["--scenario", "streams"]) == 2
    assert "expected one of stream, queue, live, devices, loading, serving, got streams" in capsys.readouterr().err


@pytest.mark.parametrize("fault", [leaking_scenarios.losing, leaking_scenarios.doubling, leaking_scenarios.swapping])
@pytest.mark.parametrize("part", [failing_devices.stream_once, failing_devices.queue_once])
def test_lost_doubled_and_swapped_results_are_found(
    fault: Callable[[], object], part: Callable[..., object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # `start` sets these.
    for module, name in ((stream_module, "DEVICE_TIMEOUT_S"), (scheduler, "leak"), (async_scheduler, "leak")):
        monkeypatch.setattr(module, name, getattr(module, name))
    failing_devices.start(Workplace(tmp_path, tmp_path))
    monkeypatch.setattr(scheduler.Scheduler, "take_ready", fault())
    found = 0
    for number in range(4):  # a device that is lost early may have no result to lose
        try:
            part(scenario_process.random_of(0, "control", number))
        except Mismatch:
            found += 1
    assert found >= 2


def test_the_same_seed_and_round_decide_the_same() -> None:
    one, other, next_round = (scenario_process.random_of(3, "a:start", number).random() for number in (7, 7, 8))
    assert one == other != next_round


def holdings(memory_mb: float = 100.0, threads: int = 4) -> Holdings:
    return Holdings(memory_mb, threads, ("pipe",), ())


def test_native_threads_that_stay_are_found() -> None:
    watch = Watch(Scenario("x", "m:start", 10.0, "a control", warm_up=2), warm_up=2)
    assert [watch.add(holdings(threads=number)) for number in (3, 5, 4, 5)] == [None] * 4
    violation = watch.add(holdings(threads=6))
    assert violation is not None
    assert (violation.what, violation.expected, violation.got) == ("threads after a round", "at most 5", "6")


def test_memory_is_compared_by_medians_after_the_warm_up() -> None:
    watch = Watch(Scenario("x", "m:start", 10.0, "a control", warm_up=3), warm_up=3)
    for memory_mb in (20, 50, 90, *[100] * WINDOW, 150, 100, 100, 100, 100):  # one peak is no growth
        assert watch.add(holdings(memory_mb)) is None
    for memory_mb in (111, 111):
        assert watch.add(holdings(memory_mb)) is None
    violation = watch.add(holdings(111))
    assert violation is not None
    assert violation.got == "+11.0 MB: from 100.0 to 111.0 MB"


def result(*classes: tuple[int, float]) -> Classification:
    return Classification(
        "a.jpg", tuple(Prediction(number, str(number), p) for number, p in classes), Timings()
    )  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(result((1, 0.7001)), id="another probability"),
        pytest.param(result((0, 0.2)), id="not the best class"),
        pytest.param(result((1, 0.7), (2, 0.1)), id="not the second best class"),
        pytest.param(Failure("a.jpg", "the device failed"), id="a failure"),
        pytest.param(result((1, 0.7)), id="another source"),
    ],
)
def test_a_wrong_result_is_found(request: pytest.FixtureRequest, wrong: Classification | Failure) -> None:
    answer = np.array([0.2, 0.7, 0.1], np.float32)
    check_result(result((1, 0.7), (0, 0.2)), answer, "a.jpg")
    check_result(Failure("a.jpg", "damaged"), None, "a.jpg")
    with pytest.raises(Mismatch):
        check_result(wrong, answer, "b.jpg" if "source" in request.node.name else "a.jpg")
    with pytest.raises(Mismatch, match="cannot be read"):
        check_result(result((1, 0.7)), None, "a.jpg")
