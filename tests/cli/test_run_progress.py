"""Progress of a run, under a clock of the test's own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ov_mobilenet.cli.main import cli
from ov_mobilenet.cli.run_progress import RunProgress, shown, with_bar, with_lines
from ov_mobilenet.runtime.results import Classification, Failure, Result, Timings

ROOT = Path(__file__).resolve().parents[2]


class Clock:
    """Shows what it is set to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def paced(clock: Clock, count: int, each_s: float) -> Iterator[Result]:
    """One result every so many seconds, each fourth a failure."""
    for number in range(count):
        clock.now += each_s
        if number % 4 == 3:
            yield Failure(f"{number}.png", "broken")
        else:
            yield Classification(f"{number}.png", (), Timings())


def test_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    results = list(with_lines(paced(clock, 12, 2.5), RunProgress(12), clock))
    out, err = capsys.readouterr()
    assert [r.source for r in results] == [f"{number}.png" for number in range(12)]
    assert out == ""
    assert err.splitlines() == [
        "classify: 4 of 12, 0.4/s, 20 s left, 1 error",
        "classify: 8 of 12, 0.4/s, 10 s left, 2 errors",
        "classify: 12 of 12, 0.4/s, 0 s left, 3 errors",
    ]


def test_a_run_below_ten_seconds_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    list(with_lines(paced(clock, 9, 1.0), RunProgress(9), clock))
    assert capsys.readouterr().err == ""


def test_a_stream_without_an_end_and_with_dropped_frames(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    list(with_lines(paced(clock, 3, 4.0), RunProgress(None, dropped=lambda: 7), clock))
    assert capsys.readouterr().err == "classify: 3, 0.2/s, 7 dropped\n"
    assert RunProgress(10**6, done=100).describe(1.0) == "100 of 1000000, 100.0/s, 2:46 h left"
    assert RunProgress(10**4, done=100).describe(1.0) == "100 of 10000, 100.0/s, 1:39 min left"


def test_quiet_is_silent() -> None:
    results = paced(Clock(), 4, 20.0)
    context = click.Context(cli)
    context.params["quiet"] = True
    with shown(results, RunProgress(4), context, to_stdout=False) as watched:
        assert watched is results


def test_the_bar_is_drawn_seldom_and_not_for_a_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    class Bar:
        task_ids = (0,)

        def update(self, _: int, *, description: str, **more: object) -> None:
            drawn.append(description)

        def stop(self) -> None:
            drawn.append("stopped")

    monkeypatch.setattr("ov_mobilenet.cli.run_progress._bar", lambda run: Bar())
    clock = Clock()
    list(with_bar(paced(clock, 15, 1 / 16), RunProgress(15), clock))
    assert drawn == []
    list(with_bar(paced(clock, 32, 1 / 16), RunProgress(32), clock))  # two seconds
    assert drawn == [
        "16 of 32, 16.0/s, 1 s left, 4 errors",
        "20 of 32, 16.0/s, 1 s left, 5 errors",
        "24 of 32, 16.0/s, 0 s left, 6 errors",
        "28 of 32, 16.0/s, 0 s left, 7 errors",
        "32 of 32, 16.0/s, 0 s left, 8 errors",
        "stopped",
    ]


def test_on_a_terminal_the_bar_is_on_stderr_and_the_data_on_stdout() -> None:
    program = (
        "import click, sys, ov_mobilenet.cli.run_progress as p\n"
        "from ov_mobilenet.runtime.results import Failure\n"
        "p.QUIET_S = p.BAR_S = 0.0\n"
        "class Context:\n"
        "    params = {}\n"
        "    def find_root(self): return self\n"
        "with p.shown((Failure(f'{n}', '') for n in range(3)), p.RunProgress(3), Context(), to_stdout=True) as found:\n"
        "    for r in found: print('data', r.source); click.echo('error: bad ' + r.source, err=True)\n"
    )
    master, slave = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=slave, text=True, cwd=ROOT, check=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(slave)
    seen = os.read(master, 65536).decode()
    os.close(master)
    assert done.stdout == "data 0\ndata 1\ndata 2\n"
    assert "2 of 3" in seen
    assert "2 errors" in seen
    assert "error: bad 1" in seen
    assert "data" not in seen
