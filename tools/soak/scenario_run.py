"""Runs one scenario in a process of its own, round after round, and watches what the process holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soak.plan import Scenario
from soak.rounds import Counts
from soak.watch import Holdings, Violation, Watch, holdings_of

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (ROOT, ROOT / "tools", ROOT / "tests")
# Native threads end a moment after those of Python, and OpenVINO's after they had no work.
REST_S = 10.0
END_S = 20.0
LOG_LINES = 40


class Turns:
    """Lets at most this number of scenarios run a round at a time; the one that has run least comes next."""

    def __init__(self, at_a_time: int) -> None:
        self._free, self._changed = at_a_time, threading.Condition()
        self._waiting: list[float] = []

    @contextmanager
    def turn(self, used_s: float) -> Iterator[None]:
        """Wait for a turn.

        Args:
            used_s: seconds that this scenario has run.
        """
        with self._changed:
            self._waiting.append(used_s)
            self._changed.wait_for(lambda: self._free > 0 and used_s <= min(self._waiting))
            self._waiting.remove(used_s)
            self._free -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()


class ScenarioRun:
    """A scenario that runs; call `work` in a thread.

    Attributes:
        scenario: what runs.
        counts: of all rounds.
        watch: what its process held.
        rounds: number of complete rounds.
        next_round: number of the next round, or of the one that was violated.
        violation: what ended it; None while nothing is wrong.
    """

    def __init__(
        self, scenario: Scenario, *, seed: int, first_round: int, warm_up: int, material: Path, folder: Path
    ) -> None:
        """Define it.

        Args:
            warm_up: number of rounds before anything is compared.
            material: see `material.write_material`.
            folder: for files of its process.
        """
        self.scenario, self.watch, self.counts = scenario, Watch(scenario, warm_up), Counts()
        self.rounds, self.next_round = 0, first_round
        self.violation: Violation | None = None
        self._seed, self._material, self._folder = seed, material, folder
        self._temporary, self._log = folder / "tmp", folder / "log"

    def work(self, stopping: threading.Event, turns: Turns, rounds: int | None) -> None:
        """Run rounds until `stopping` is set, this number of rounds is done, or something is wrong.

        Args:
            rounds: None for no limit.
        """
        self._temporary.mkdir(parents=True)
        process, used_s = self._start(), 0.0
        try:
            while self.violation is None and self.rounds != rounds and not stopping.is_set():
                with turns.turn(used_s):
                    begun = time.monotonic()
                    if not stopping.is_set():
                        self._run_round(process)
                    used_s += time.monotonic() - begun
            if self.violation is None:
                self.violation = self.watch.memory_violation()
        except Exception as error:  # noqa: BLE001 (a watcher that fails must not pass for a scenario that is fine)
            self.violation = Violation("the watcher", "no error", f"{type(error).__name__}: {error}")
        finally:
            self._end(process)
        if self.violation is not None:
            stopping.set()

    def _start(self) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, FOLDERS)),
            "TMPDIR": str(self._temporary),
            "XDG_CACHE_HOME": str(self._folder / "cache"),
            "CI": "true",  # OpenVINO then sends no telemetry, for which it would keep a thread
        }
        command = [sys.executable, "-m", "soak.scenario_process", self.scenario.start, str(self._seed)]
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C ends the soak, which ends the process after its round.
            return subprocess.Popen(
                [*command, str(self._material), str(self._folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, env=environment, start_new_session=True, text=True, encoding="utf-8",
            )  # fmt: skip

    def _run_round(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(f"{self.next_round}\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            process.wait()
            log = "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-LOG_LINES:])
            self.violation = Violation("the process", "runs", f"ended with exit code {process.returncode}:\n{log}")
            return
        answer = json.loads(line)
        if "counts" not in answer:
            self.violation = Violation(answer["what"], answer["expected"], answer["got"])
            return
        self.violation = self.watch.add(self._held_at_rest(process.pid))
        if self.violation is None:
            self.counts += Counts(**answer["counts"])
            self.rounds += 1
            self.next_round += 1

    def _held_at_rest(self, pid: int) -> Holdings:
        """What the process holds once it holds no more than before, or after `REST_S`."""
        deadline = time.monotonic() + REST_S
        while not self.watch.is_at_rest(held := holdings_of(pid, self._temporary)) and time.monotonic() < deadline:
            time.sleep(0.02)
        return held

    def _end(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
