"""Progress on stderr: a bar on a terminal, a line every ten seconds elsewhere, nothing with `-q`.

A bar appears after one second, is drawn at most four times per second and is removed at the end. No background thread
draws, so progress costs nothing between two updates; a command that measures time updates it only between measurements.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import click

from ov_mobilenet.cli import options
from ov_mobilenet.downloads import events

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

FIRST_BAR_S = 1.0
BAR_S = 0.25
LINE_S = 10.0

Clock = Callable[[], float]


class Progress:
    """The progress of one command. This base class shows nothing.

    Attributes:
        first_s: time from the start of a task to its first drawing, in seconds.
        interval_s: least time between two drawings of a task, in seconds.
    """

    first_s = interval_s = float("inf")

    def __init__(self, clock: Clock = monotonic) -> None:
        self.clock = clock

    def task(self) -> ProgressTask:
        """Start a task, which has its own bar or lines."""
        return ProgressTask(self)

    def draw(self, task: ProgressTask, done: float, total: float | None, text: str) -> None:
        """Draw a task now. May be called from any thread."""

    def end(self, task: ProgressTask) -> None:
        """Remove a task. May be called from any thread."""

    def close(self) -> None:
        """Remove everything."""


class ProgressTask:
    """One task of a command, updated from one thread."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._begun = progress.clock()
        self._due = self._begun + progress.first_s

    def update(self, done: float, total: float | None, describe: Callable[[float], str]) -> None:
        """Draw the task if its next drawing is due.

        Args:
            done: how much is done.
            total: the value of `done` at the end; None if unknown.
            describe: the text to draw, from the seconds since the task was started; called only to draw.
        """
        now = self._progress.clock()
        if now >= self._due:
            self._due = now + self._progress.interval_s
            self._progress.draw(self, done, total, describe(now - self._begun))

    def announce(self, text: str) -> None:
        """Draw a text at once, before a step that does not report progress."""
        self._progress.draw(self, 0, None, text)

    def end(self) -> None:
        """Remove the task."""
        self._progress.end(self)


class LineProgress(Progress):
    """Lines on stderr, for log files."""

    first_s = interval_s = LINE_S

    def __init__(self, command: str, clock: Clock = monotonic) -> None:
        super().__init__(clock)
        self._command = command

    def draw(self, task: ProgressTask, done: float, total: float | None, text: str) -> None:
        """Print a line."""
        click.echo(f"{self._command}: {text}", err=True)


class BarProgress(Progress):
    """Bars on a terminal, one per task."""

    first_s, interval_s = FIRST_BAR_S, BAR_S

    def __init__(self, clock: Clock = monotonic) -> None:
        super().__init__(clock)
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._bars: RichProgress | None = None
        self._closed = False
        self._rows: dict[ProgressTask, TaskID] = {}

    def draw(self, task: ProgressTask, done: float, total: float | None, text: str) -> None:
        """Draw the bar of the task, and the other bars again."""
        with self._lock:
            if self._closed:  # a thread that is still downloading after Ctrl-C
                return
            if self._bars is None:
                self._bars = self._open.enter_context(_rich_bars())
            if task not in self._rows:
                self._rows[task] = self._bars.add_task("", total=None)
            # rich takes a total of None for "unchanged".
            self._bars.update(self._rows[task], completed=done, total=total, description=text, refresh=True)

    def end(self, task: ProgressTask) -> None:
        """Remove the bar of the task."""
        with self._lock:
            if self._bars is not None and task in self._rows:
                self._bars.remove_task(self._rows.pop(task))
                self._bars.refresh()

    def close(self) -> None:
        """Remove all bars from the terminal."""
        with self._lock:
            self._closed = True
            self._bars = None
            self._open.close()


@contextmanager
def _rich_bars() -> Iterator[RichProgress]:
    """rich's bars; other output on the same terminal appears above them."""
    from rich.console import Console
    from rich.file_proxy import FileProxy
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress

    class TerminalProxy(FileProxy):
        encoding = "utf-8"  # click writes past a stream without an encoding, into the bars

    console = Console(stderr=True)
    text = TextColumn("{task.description}", markup=False)
    streams = sys.stdout, sys.stderr
    if sys.stdout.isatty():  # a file or a pipe keeps its data
        sys.stdout = TerminalProxy(console, sys.stdout)
    sys.stderr = TerminalProxy(console, sys.stderr)
    try:
        with RichProgress(
            BarColumn(), text, console=console, auto_refresh=False, transient=True, redirect_stdout=False
        ) as bars:
            yield bars
    finally:
        sys.stdout, sys.stderr = streams


@contextmanager
def open_progress(context: click.Context, *, results_on_stdout: bool = False) -> Iterator[Progress]:
    """The progress of a command, shown where stderr goes.

    Args:
        results_on_stdout: results are printed on stdout one by one. If they scroll over the same terminal, no progress
            is shown.
    """
    progress: Progress
    if options.quiet(context) or (results_on_stdout and sys.stderr.isatty() and sys.stdout.isatty()):
        progress = Progress()
    elif sys.stderr.isatty():
        progress = BarProgress()
    else:
        progress = LineProgress(context.info_name or "ov-mobilenet")
    try:
        yield progress
    finally:
        progress.close()


@dataclass
class Count:
    """How many images are done.

    Attributes:
        total: how many there are; None if unknown.
        dropped: returns how many frames of a live source were dropped so far.
    """

    total: int | None = None
    dropped: Callable[[], int] | None = None
    done: int = 0
    failed: int = 0

    def describe(self, seconds: float) -> str:
        """One line after a time in seconds, such as `120 of 400 images, 60.0/s, 5 s left, 1 error`."""
        rate = self.done / seconds if seconds > 0 else 0.0
        parts = [f"{self.done} images" if self.total is None else f"{self.done} of {self.total} images"]
        parts.append(f"{rate:.1f}/s")
        if self.total is not None and rate > 0:
            parts.append(f"{duration((self.total - self.done) / rate)} left")
        if self.failed:
            parts.append(f"{self.failed} error{'s' if self.failed > 1 else ''}")
        if self.dropped is not None and (dropped := self.dropped()):
            parts.append(f"{dropped} dropped")
        return ", ".join(parts)


@contextmanager
def count_progress(context: click.Context) -> Iterator[Callable[[int, int], None]]:
    """A function to call with the number of images done and the number of all images, from one thread."""
    with open_progress(context) as progress:
        task = progress.task()
        yield lambda done, total: task.update(done, total, Count(total, done=done).describe)


@contextmanager
def stage_progress(context: click.Context) -> Iterator[Callable[[str, int, int], None]]:
    """A function to call with the name of a stage, how many of its steps are done, and how many it has.

    Each stage has its own bar, also one that begins again, so the bar never moves backwards; called from one thread.
    """
    with open_progress(context) as progress:
        task: ProgressTask | None = None
        last = ("", 0)

        def update(stage: str, done: int, total: int) -> None:
            nonlocal task, last
            if task is None or stage != last[0] or done < last[1]:
                if task is not None:
                    task.end()
                task = progress.task()
            last = stage, done
            task.update(done, total, lambda seconds: _describe_stage(stage, done, total, seconds))

        yield update


def _describe_stage(stage: str, done: int, total: int, seconds: float) -> str:
    left = f", {duration((total - done) * seconds / done)} left" if 0 < done < total else ""
    return f"{stage}: {done} of {total}{left}"


@contextmanager
def download_progress(context: click.Context, progress_format: str = "text") -> Iterator[events.OnEvent]:
    """A function to call with each download event of a command, from any thread.

    Args:
        progress_format: `text`, or `json` for the events as the Open Model Zoo's JSON lines on stdout.
    """
    if progress_format == "json":
        import msgspec

        lock = threading.Lock()

        def print_event(event: events.Event) -> None:
            with lock:
                click.echo(msgspec.json.encode(event).decode())

        yield print_event
        return
    with open_progress(context) as progress:
        files: dict[tuple[str, str], tuple[ProgressTask, int]] = {}

        def update(event: events.Event) -> None:
            if isinstance(event, events.FileDownloadBegin):
                files[event.model, event.model_file] = progress.task(), event.size
            elif isinstance(event, events.FileDownloadProgress):
                task, size = files[event.model, event.model_file]
                name, done = f"{event.model}/{event.model_file}", event.size
                task.update(done, size, lambda seconds: _describe_download(name, done, size, seconds))
            elif isinstance(event, events.FileDownloadEnd):
                files[event.model, event.model_file][0].end()

        yield update


def _describe_download(name: str, done: int, size: int, seconds: float) -> str:
    rate = done / seconds
    left = f", {duration((size - done) / rate)} left" if rate > 0 else ""
    return f"{name}: {options.human_size(done)} of {options.human_size(size)}, {options.human_size(int(rate))}/s{left}"


def duration(seconds: float) -> str:
    """A time such as `42 s`, `3:20 min` or `2:05 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h"
