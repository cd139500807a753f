"""Options of the commands that measure accuracy: the dataset, and the subset of its images to use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from ov_mobilenet.accuracy.dataset import SubsetOptions
from ov_mobilenet.cli import options
from ov_mobilenet.errors import UsageError, printable
from ov_mobilenet.runtime.results import Failure


@dataclass(frozen=True)
class DatasetFlags:
    """The dataset options of one call of a command."""

    dataset: Path
    annotations: Path | None
    limit: int | None
    sample: int | None
    seed: int | None

    def subset(self) -> SubsetOptions:
        """The images to use, as keyword arguments of `measure_accuracy` and `compare`.

        Raises:
            UsageError: `--seed` is given without `--sample`.
        """
        if self.seed is not None and self.sample is None:
            raise UsageError("--seed requires --sample", expected="--sample N --seed S")
        return {"limit": self.limit, "sample": self.sample, "seed": self.seed or 0}


def dataset_options(function: options.F) -> options.F:
    """Add `--dataset`, `--annotations`, `--limit`, … to a command, as one `DatasetFlags` called `dataset_flags`."""
    function = options.collect_into(DatasetFlags, "dataset_flags")(function)
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def print_failure(failure: Failure) -> None:
    """Print why an image failed, on stderr."""
    click.echo(f"error: {printable(failure.source)}: {printable(failure.error)}", err=True)


_OPTIONS = (
    click.option(
        "--dataset", required=True, metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="Labelled images: one folder per class, named by synset, class number or class name; or the folder of the "
        "images that --annotations lists.",
    ),
    click.option(
        "--annotations", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="The class of each image: ImageNet's val.txt, or a CSV file (default: DIR/val.txt if it exists).",
    ),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Use the first N images."),
    click.option(
        "--sample", type=click.IntRange(min=1), metavar="N", help="Use N images drawn at random; excludes --limit."
    ),
    click.option("--seed", type=int, metavar="N", help="Seed of --sample (default: 0)."),
)  # fmt: skip
