"""How far a run is: a bar where stderr is a terminal, a line every ten seconds where it is not.

Nothing is shown of a run that is over within a second. Results that scroll over the same terminal are progress enough.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import click

from ov_mobilenet.cli import options
from ov_mobilenet.runtime.results import Failure, Result

if TYPE_CHECKING:
    from rich.progress import Progress

QUIET_S = 1.0
BAR_S = 0.25
LINE_S = 10.0

Watched = Generator[Result, None, None]


@dataclass
class RunProgress:
    """What has been done so far.

    Attributes:
        total: how many results there will be; None if nobody knows.
        dropped: asks the inputs how many frames of a live source were left out.
    """

    total: int | None
    dropped: Callable[[], int] | None = None
    done: int = 0
    failed: int = 0

    def describe(self, seconds: float) -> str:
        """One line after so many seconds, such as `120 of 400, 60.0/s, 5 s left, 1 error`."""
        rate = self.done / seconds
        parts = [f"{self.done}" if self.total is None else f"{self.done} of {self.total}", f"{rate:.1f}/s"]
        if self.total is not None and rate > 0:
            parts.append(f"{_duration((self.total - self.done) / rate)} left")
        if self.failed:
            parts.append(f"{self.failed} error{'s' if self.failed > 1 else ''}")
        if self.dropped is not None and (dropped := self.dropped()):
            parts.append(f"{dropped} dropped")
        return ", ".join(parts)


@contextmanager
def shown(
    results: Iterator[Result], run: RunProgress, context: click.Context, *, to_stdout: bool
) -> Iterator[Iterator[Result]]:
    """The results as they are, and progress on stderr unless `-q` was given; a bar is gone at the end.

    Args:
        to_stdout: whether the results are written to stdout.
    """
    if options.quiet(context) or (sys.stderr.isatty() and to_stdout and sys.stdout.isatty()):
        yield results
        return
    watched = with_bar(results, run) if sys.stderr.isatty() else with_lines(results, run)
    try:
        yield watched
    finally:
        watched.close()


def with_lines(results: Iterator[Result], run: RunProgress, clock: Callable[[], float] = monotonic) -> Watched:
    """A line on stderr with the first result that comes ten seconds or more after the last line."""
    begun = said = clock()
    for result in results:
        _count(run, result)
        now = clock()
        if now - said >= LINE_S:
            said = now
            click.echo(f"classify: {run.describe(now - begun)}", err=True)
        yield result


def with_bar(results: Iterator[Result], run: RunProgress, clock: Callable[[], float] = monotonic) -> Watched:
    """A bar on stderr, drawn at most four times a second, gone at the end."""
    begun = clock()
    due = begun + QUIET_S
    bar: Progress | None = None
    try:
        for result in results:
            _count(run, result)
            now = clock()
            if now >= due:
                due = now + BAR_S
                if bar is None:
                    bar = _bar(run)
                bar.update(bar.task_ids[0], completed=run.done, description=run.describe(now - begun), refresh=True)
            yield result
    finally:
        if bar is not None:
            bar.stop()


def _bar(run: RunProgress) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    bar = Progress(
        BarColumn(),
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,  # stdout is data, and not for this terminal
    )
    bar.add_task("", total=run.total)
    bar.start()
    return bar


def _count(run: RunProgress, result: Result) -> None:
    run.done += 1
    run.failed += isinstance(result, Failure)


def _duration(seconds: float) -> str:
    """`42 s`, `3:20 min` or `2:05 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h"
