"""Options that say where results go, and how much of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import click

from ov_mobilenet.cli import options
from ov_mobilenet.errors import UsageError
from ov_mobilenet.outputs.destination import OUTPUT_FORMATS, Destination, OutputFormat, open_destination
from ov_mobilenet.outputs.sink import Sink
from ov_mobilenet.runtime.results import DEFAULT_TOP_K, Classification, Result

ALL = sys.maxsize


@dataclass(frozen=True)
class OutputOptions:
    """What was given of the output options."""

    top_k: int | None
    form: OutputFormat | None
    output: str | None
    resume: bool
    overwrite: bool
    min_probability: float | None
    scores: Literal["topk", "all"]

    @property
    def classes(self) -> int:
        """How many classes a result has at most. Raises: UsageError."""
        if self.scores == "all":
            if self.top_k is not None:
                raise UsageError("--scores all gives every class, --top-k some of them", fix="Give one of them")
            return ALL
        return self.top_k or DEFAULT_TOP_K

    def open(self) -> Destination:
        """Where the results go; nothing is changed there yet. Raises: UsageError, OutputError."""
        path = None if self.output == "-" else self.output
        return open_destination(
            path, output_format=self.form, resume=self.resume, overwrite=self.overwrite, top_k=self.classes
        )

    def sink(self, destination: Destination) -> Sink:
        """What to put the results into. Raises: OutputError."""
        return destination.sink(min_probability=self.min_probability)

    def trimmed(self, results: Iterator[Result]) -> Iterator[Result]:
        """The results without the classes that are not probable enough."""
        least = self.min_probability
        if least is None:
            return results
        return (r.at_least(least) if isinstance(r, Classification) else r for r in results)


def output_options(function: options.F) -> options.F:
    """`-k`, `--scores`, `--min-probability`, `--format`, `-o`, `--resume`, `--overwrite` as one `OutputOptions`."""
    decorators = (
        click.option(
            "-k", "--top-k", type=click.IntRange(min=1), show_default=str(DEFAULT_TOP_K), help="Classes an image."
        ),
        click.option(
            "--scores", type=click.Choice(["topk", "all"]), default="topk", show_default=True,
            help="The most probable classes, or every class, best first.",
        ),
        click.option(
            "--min-probability", type=click.FloatRange(0, 1), metavar="P", help="Leave out classes below P (0..1)."
        ),
        click.option(
            "--format", "form", type=click.Choice(OUTPUT_FORMATS), show_default="by the suffix of -o, else table",
        ),
        click.option(
            "-o", "--output", metavar="FILE",
            help="Write to FILE (.jsonl, .csv, .parquet, .json, .txt) instead of stdout, result by result.",
        ),
        click.option(
            "--resume", is_flag=True,
            help="Keep what FILE holds and do the rest. An image with an error there is done, too.",
        ),
        click.option("--overwrite", is_flag=True, help="Begin anew in a FILE that has content."),
    )  # fmt: skip
    function = options.gathered(OutputOptions, "output_options")(function)
    for decorator in reversed(decorators):
        function = decorator(function)
    return function
