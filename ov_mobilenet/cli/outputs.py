"""Options for the results: which classes, which format, which file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import click
from click.core import ParameterSource

from ov_mobilenet.cli import options
from ov_mobilenet.errors import UsageError
from ov_mobilenet.outputs.destination import OUTPUT_FORMATS, Destination, OutputFormat, open_destination
from ov_mobilenet.outputs.feature_destination import FeatureDestination, open_feature_destination
from ov_mobilenet.outputs.sink import Sink
from ov_mobilenet.runtime.class_choice import ALL, ClassChoice, choose_classes
from ov_mobilenet.runtime.results import DEFAULT_TOP_K, AnyResult, Classification
from ov_mobilenet.zoo.output_kind import OutputKind


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

    def open_for_features(self) -> FeatureDestination:
        """Open the output for vectors. Raises: UsageError, OutputError, MissingDependencyError."""
        given = {
            "--top-k": self.top_k, "--min-probability": self.min_probability,
            "--scores all": self.scores if self.scores == "all" else None,
        }  # fmt: skip
        if unusable := [name for name, value in given.items() if value is not None]:
            raise UsageError(f"features have no classes: {unusable[0]} cannot be used", expected=f"no {unusable[0]}")
        path = None if self.output == "-" else self.output
        chosen = self.output_format
        source = click.get_current_context().get_parameter_source("output_format")
        if chosen == "csv" and source == ParameterSource.DEFAULT_MAP:
            chosen = None  # the user's default, which features cannot be written in
        return open_feature_destination(path, output_format=chosen, resume=self.resume, overwrite=self.overwrite)

    def for_kind(self, kind: OutputKind) -> OutputOptions:
        """These options; for a multi-label network all classes at or above a threshold are the default."""
        if kind != "multilabel" or self.scores == "all":
            return self
        chosen = choose_classes(kind, self.top_k, self.min_probability)
        return replace(self, top_k=chosen.top_k, min_probability=chosen.min_probability)

    def settings(self, *, given_only: bool = False) -> dict[str, str]:
        """What these options change in the results, as text by name.

        Args:
            given_only: leave out options that are not given; their default depends on the network.
        """
        settings = self._choice.settings()
        if given_only and self.top_k is None and self.scores != "all":
            del settings["top-k"]
        if given_only and self.min_probability is None:
            del settings["minimum probability"]
        return settings

    def sink(
        self, destination: Destination | FeatureDestination, model_settings: Mapping[str, str] | None = None
    ) -> Sink:
        """Start writing to the output.

        Args:
            model_settings: see `LoadedModel.result_settings`; None if there are no further results.

        Raises:
            OutputError: it cannot be written, or its results were made with other settings.
        """
        if isinstance(destination, FeatureDestination):
            destination.check(model_settings or {})
            return destination.sink(model_settings)
        settings = {**(model_settings or {}), **self.settings(given_only=model_settings is None)}
        destination.check(settings)
        return destination.sink(min_probability=self.min_probability, settings=settings)

    def trimmed(self, results: list[AnyResult]) -> list[AnyResult]:
        """The results without the classes below `--min-probability`."""
        if self.min_probability is None:
            return results
        return [self._choice.trimmed(result) if isinstance(result, Classification) else result for result in results]

    @property
    def _choice(self) -> ClassChoice:
        return ClassChoice(self.classes, self.min_probability)


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
            "--min-probability", "--threshold", "min_probability", type=click.FloatRange(0, 1), metavar="P",
            help="Leave out classes below probability P (default for multi-label networks: 0.5).",
        ),
        click.option(
            "--format", "output_format",
            type=click.Choice([name for name in options.ALL_FORMATS if name in OUTPUT_FORMATS]),
            help="Format of the results (default: by the suffix of -o, otherwise table).",
        ),
        click.option(
            "-o", "--output", metavar="FILE",
            help="Write each result to FILE (.jsonl, .csv, .parquet, .json, .txt; features: also .npz) instead of "
            "stdout.",
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
