"""Options for the results: which classes, which format, which file."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
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
    """The values of the output options."""

    top_k: int | None
    output_format: OutputFormat | None
    output: str | None
    resume: bool
    overwrite: bool
    min_probability: float | None
    scores: Literal["topk", "all"]

    @property
    def classes(self) -> int:
        """The greatest number of classes per result. Raises: UsageError."""
        if self.scores == "all":
            if self.top_k is not None:
                raise UsageError("--scores all and --top-k exclude each other", expected="one of them")
            return ALL
        return self.top_k or DEFAULT_TOP_K

    def open(self) -> Destination:
        """Open the output without changing it yet. Raises: UsageError, OutputError."""
        path = None if self.output == "-" else self.output
        return open_destination(
            path, output_format=self.output_format, resume=self.resume, overwrite=self.overwrite, top_k=self.classes
        )

    def settings(self) -> dict[str, str]:
        """What these options change in the results, as text by name."""
        least = self.min_probability
        return {
            "top-k": "all" if self.scores == "all" else str(self.classes),
            "minimum probability": "none" if least is None else repr(least),
        }

    def sink(self, destination: Destination, model_settings: Mapping[str, str] | None = None) -> Sink:
        """Start writing to the output.

        Args:
            model_settings: see `LoadedModel.result_settings`; None if there are no further results.

        Raises:
            OutputError: it cannot be written, or its results were made with other settings.
        """
        settings = {**(model_settings or {}), **self.settings()}
        destination.check(settings)
        return destination.sink(min_probability=self.min_probability, settings=settings)

    def trimmed(self, results: Iterator[Result]) -> Iterator[Result]:
        """The results without the classes below `--min-probability`."""
        least = self.min_probability
        if least is None:
            return results
        return (r.at_least(least) if isinstance(r, Classification) else r for r in results)


def output_options(function: options.F) -> options.F:
    """`-k`, `--scores`, `--min-probability`, `--format`, `-o`, `--resume`, `--overwrite` as one `OutputOptions`."""
    decorators = (
        click.option(
            "-k", "--top-k", type=click.IntRange(min=1), metavar="N",
            help=f"Number of classes per image (default: {DEFAULT_TOP_K}).",
        ),
        click.option(
            "--scores", type=click.Choice(["topk", "all"]), default="topk", show_default=True,
            help="Output the most probable classes, or all classes; the most probable first.",
        ),
        click.option(
            "--min-probability", type=click.FloatRange(0, 1), metavar="P", help="Leave out classes below probability P."
        ),
        click.option(
            "--format", "output_format",
            type=click.Choice([name for name in options.ALL_FORMATS if name in OUTPUT_FORMATS]),
            help="Format of the results (default: by the suffix of -o, otherwise table).",
        ),
        click.option(
            "-o", "--output", metavar="FILE",
            help="Write each result to FILE (.jsonl, .csv, .parquet, .json, .txt) instead of stdout.",
        ),
        click.option(
            "--resume", is_flag=True,
            help="Keep the results in FILE and append those of the other images. Errors count as results. Model and "
            "settings must be the same.",
        ),
        click.option("--overwrite", is_flag=True, help="Replace the content of FILE."),
    )  # fmt: skip
    function = options.collect_into(OutputOptions, "output_options")(function)
    for decorator in reversed(decorators):
        function = decorator(function)
    return function
