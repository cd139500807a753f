"""Download events as bars on a terminal, or as the Open Model Zoo's JSON lines on stdout."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
import msgspec

from ov_mobilenet.cli import options
from ov_mobilenet.downloads import events
from ov_mobilenet.downloads.events import Event, OnEvent


@contextmanager
def download_progress(context: click.Context, progress_format: str = "text") -> Iterator[OnEvent]:
    """What to call with each event; one for all models of a command, from any thread."""
    if progress_format == "json":
        lock = threading.Lock()

        def print_event(event: Event) -> None:
            with lock:
                click.echo(msgspec.json.encode(event).decode())

        yield print_event
    elif options.show_progress(context):
        with _bars() as show:
            yield show
    else:
        yield events.ignore


@contextmanager
def count_progress(context: click.Context, what: str) -> Iterator[Callable[[int, int], None]]:
    """What to call with how many are done and how many there are, from one thread."""
    if not options.show_progress(context):
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextmanager
def _bars() -> Iterator[OnEvent]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks = {}
        sizes = {}

        def show(event: Event) -> None:
            if isinstance(event, events.FileDownloadBegin):
                sizes[event.model, event.model_file] = event.size
            elif isinstance(event, events.FileDownloadProgress):
                key = event.model, event.model_file
                if key not in tasks:  # a file that is there already has no bar
                    tasks[key] = bars.add_task("/".join(key), total=sizes[key])
                bars.update(tasks[key], completed=event.size)

        yield show
