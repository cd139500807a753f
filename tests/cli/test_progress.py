"""Progress on stderr: when it is shown, where, and what it says; under a clock that the test sets."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from ov_mobilenet.cli import progress as progress_module
from ov_mobilenet.cli.main import cli, main
from ov_mobilenet.cli.progress import (
    BarProgress,
    Count,
    LineProgress,
    Progress,
    ProgressTask,
    count_progress,
    download_progress,
    open_progress,
    stage_progress,
)
from ov_mobilenet.downloads import events

ROOT = Path(__file__).resolve().parents[2]


class Clock:
    """Returns the time that it is set to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def run_paced(progress: Progress, clock: Clock, count: Count, images: int, each_s: float) -> None:
    """Update with one image every `each_s` seconds; every fourth image fails."""
    task = progress.task()
    for number in range(images):
        clock.now += each_s
        count.done += 1
        count.failed += number % 4 == 3
        task.update(count.done, count.total, count.describe)


def test_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    run_paced(LineProgress("classify", clock), clock, Count(12), 12, 2.5)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "classify: 4 of 12 images, 0.4/s, 20 s left, 1 error",
        "classify: 8 of 12 images, 0.4/s, 10 s left, 2 errors",
        "classify: 12 of 12 images, 0.4/s, 0 s left, 3 errors",
    ]


def test_no_line_for_a_run_below_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    run_paced(LineProgress("classify", clock), clock, Count(9), 9, 1.0)
    assert capsys.readouterr().err == ""


def test_a_stream_of_unknown_length_with_dropped_frames(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    run_paced(LineProgress("classify", clock), clock, Count(dropped=lambda: 7), 3, 4.0)
    assert capsys.readouterr().err == "classify: 3 images, 0.2/s, 7 dropped\n"
    assert Count(10**6, done=100).describe(1.0) == "100 of 1000000 images, 100.0/s, 2:46 h left"
    assert Count(10**4, done=100).describe(1.0) == "100 of 10000 images, 100.0/s, 1:39 min left"


def test_quiet_shows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(LineProgress, "draw", lambda *arguments: drawn.append(arguments[-1]))

    @click.command()
    @click.pass_context
    def announce(context: click.Context) -> None:
        with open_progress(context) as progress:
            progress.task().announce("quantising")

    monkeypatch.setattr(cli, "get_command", lambda context, name: announce)
    assert main(["quantize"]) == 0
    assert drawn == ["quantising"]
    assert main(["-q", "quantize"]) == 0
    assert drawn == ["quantising"]


class DrawnBars:
    """Stands for rich's bars and keeps the texts that are drawn."""

    def __init__(self) -> None:
        self.drawn: list[str] = []

    @contextmanager
    def shown(self) -> Iterator[DrawnBars]:
        self.drawn.append("started")
        yield self
        self.drawn.append("stopped")

    def add_task(self, description: str, total: float | None) -> int:
        return 0

    def update(self, row: int, *, description: str, refresh: bool, **numbers: object) -> None:
        assert refresh, "without a thread that draws, each update must"
        self.drawn.append(description)


def test_the_bar_is_drawn_four_times_per_second_and_not_for_a_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = DrawnBars()
    monkeypatch.setattr(progress_module, "_rich_bars", bars.shown)
    clock = Clock()
    short = BarProgress(clock)
    run_paced(short, clock, Count(15), 15, 1 / 16)
    short.close()
    assert bars.drawn == []
    long = BarProgress(clock)
    run_paced(long, clock, Count(32), 32, 1 / 16)  # two seconds
    long.close()
    assert bars.drawn == [
        "started",
        "16 of 32 images, 16.0/s, 1 s left, 4 errors",
        "20 of 32 images, 16.0/s, 1 s left, 5 errors",
        "24 of 32 images, 16.0/s, 0 s left, 6 errors",
        "28 of 32 images, 16.0/s, 0 s left, 7 errors",
        "32 of 32 images, 16.0/s, 0 s left, 8 errors",
        "stopped",
    ]
    long.task().announce("a thread that is still downloading after Ctrl-C")
    assert bars.drawn[-1] == "stopped"


def test_bars_start_no_thread() -> None:
    before = threading.active_count()
    progress = BarProgress()
    progress.task().announce("measuring")
    assert threading.active_count() == before
    progress.close()


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of every update, however soon it comes."""
    texts: list[str] = []

    class Shown(Progress):
        first_s = interval_s = 0.0

        def draw(self, task: ProgressTask, done: float, total: float | None, text: str) -> None:
            texts.append(f"{done:g}/{total:g} {text.split(',')[0]}")

        def end(self, task: ProgressTask) -> None:
            texts.append("end")

    monkeypatch.setattr(progress_module, "LineProgress", lambda command: Shown())
    return texts


def test_images_are_counted(shown: list[str]) -> None:
    with count_progress(click.Context(cli)) as on_progress:
        on_progress(1, 2)
        on_progress(2, 2)
    assert shown == ["1/2 1 of 2 images", "2/2 2 of 2 images"]


def test_a_stage_that_begins_again_is_a_new_task(shown: list[str]) -> None:
    with stage_progress(click.Context(cli)) as on_progress:
        for stage, done in (("images", 2), ("statistics", 1), ("statistics", 2), ("statistics", 1), ("images", 1)):
            on_progress(stage, done, 2)
    assert shown == [
        "2/2 images: 2 of 2", "end", "1/2 statistics: 1 of 2", "2/2 statistics: 2 of 2", "end",
        "1/2 statistics: 1 of 2", "end", "1/2 images: 1 of 2",
    ]  # fmt: skip


def test_each_file_of_a_download_is_a_task(shown: list[str]) -> None:
    with download_progress(click.Context(cli)) as on_event:
        for name in ("a.pth", "b.pth"):
            on_event(events.FileDownloadBegin("net", name, 4_000_000))
        on_event(events.FileDownloadProgress("net", "a.pth", 1_000_000))
        on_event(events.FileDownloadProgress("net", "b.pth", 2_000_000))
        on_event(events.FileDownloadEnd("net", "a.pth", True))
    assert shown == [
        "1e+06/4e+06 net/a.pth: 1.0 MB of 4.0 MB",
        "2e+06/4e+06 net/b.pth: 2.0 MB of 4.0 MB",
        "end",
    ]


def test_on_a_terminal_the_bar_is_on_stderr_and_the_data_on_stdout() -> None:
    program = (
        "import click, ov_mobilenet.cli.progress as p\n"
        "from ov_mobilenet.cli.main import cli\n"
        "p.BarProgress.first_s = p.BarProgress.interval_s = 0.0\n"
        "with p.open_progress(click.Context(cli), results_on_stdout=True) as progress:\n"
        "    task, count = progress.task(), p.Count(3)\n"
        "    for n in range(3):\n"
        "        count.done += 1; count.failed += 1\n"
        "        task.update(count.done, 3, count.describe)\n"
        "        print('data', n); click.echo(f'error: bad {n}', err=True)\n"
    )
    pty = pytest.importorskip("pty", reason="Windows has no module pty")
    master, slave = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=slave, text=True, cwd=ROOT, check=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(slave)
    seen = os.read(master, 65536).decode()
    os.close(master)
    assert done.stdout == "data 0\ndata 1\ndata 2\n"
    assert "2 of 3 images" in seen
    assert "2 errors" in seen
    assert "\x1b[2Kerror: bad 1\r\n" in seen  # the line is erased before, so it holds nothing of the bar
    assert "data" not in seen
