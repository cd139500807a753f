"""The options of `bulk` that say how inputs are cut, what is written, and where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from ov_mobilenet.bulk_classification.ray_settings import RaySettings
from ov_mobilenet.bulk_classification.settings import IMAGES_PER_PART, BulkSettings
from ov_mobilenet.cli import options
from ov_mobilenet.errors import UsageError
from ov_mobilenet.runtime.results import DEFAULT_TOP_K


@dataclass(frozen=True)
class BulkFlags:
    """The values of the options below, by parameter name."""

    output: str
    images_per_part: int
    top_k: int | None
    min_probability: float | None
    max_errors: int | None
    image_column: str | None
    source_column: str | None
    ray: str | None
    workers: int | None
    cpus_per_worker: int | None
    overwrite: bool

    def settings(self, **model_options: Any) -> BulkSettings:
        """The settings of the parts.

        Args:
            model_options: `geometry`, `labels`, `decode` and `output_kind`.

        Raises:
            UsageError: a value is invalid.
        """
        return BulkSettings(
            images_per_part=self.images_per_part, top_k=self.top_k, min_probability=self.min_probability,
            max_errors=self.max_errors, image_column=self.image_column, source_column=self.source_column,
            **model_options,
        )  # fmt: skip

    def ray_settings(self) -> RaySettings | None:
        """The Ray cluster; None for this machine. Raises: UsageError, if an option needs `--ray`."""
        given: Mapping[str, int | None] = {"--workers": self.workers, "--cpus-per-worker": self.cpus_per_worker}
        if self.ray is None:
            if unusable := [name for name, value in given.items() if value is not None]:
                raise UsageError(f"{unusable[0]} needs --ray", fix="On this machine, all CPUs are used without it")
            return None
        return RaySettings(self.ray, self.workers, self.cpus_per_worker or 1)


def bulk_options(function: options.F) -> options.F:
    """Add the options; the command receives them as one argument `bulk_flags`."""
    function = options.collect_into(BulkFlags, "bulk_flags")(function)
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS = (
    click.option(
        "-o", "--output", required=True, metavar="OUT",
        help="Folder, or s3:// or gs:// URL, of the parts. A run that was interrupted is resumed.",
    ),
    click.option(
        "--images-per-part", type=click.IntRange(min=1), default=IMAGES_PER_PART, show_default=True, metavar="N",
        help="Greatest number of images of one part. A tar shard is always one part; a Parquet file is cut between row "
        "groups.",
    ),
    click.option(
        "-k", "--top-k", type=click.IntRange(min=1), metavar="N",
        help=f"Number of classes per image (default: {DEFAULT_TOP_K}).",
    ),
    click.option(
        "--min-probability", "--threshold", "min_probability", type=click.FloatRange(0, 1), metavar="P",
        help="Leave out classes below probability P (default for multi-label networks: 0.5).",
    ),
    click.option(
        "--max-errors", type=click.IntRange(min=0), metavar="N",
        help="End the run when more than N images of the whole output have failed (default: no limit).",
    ),
    click.option(
        "--image-column", metavar="NAME",
        help="Column of Parquet inputs with image files or their paths (default: found by its content).",
    ),
    click.option(
        "--source-column", metavar="NAME",
        help="Column of Parquet inputs with the names of the images (default: the path, or FILE/ROW).",
    ),
    click.option(
        "--ray", metavar="auto|local|ADDRESS",
        help="Run on a Ray cluster: the one that this machine is in, one that is started here for this run, or the one "
        "at ADDRESS (default: this machine, without Ray).",
    ),
    click.option(
        "--workers", type=click.IntRange(min=1), metavar="N",
        help="Number of worker processes on the cluster (default: as many as its CPUs allow).",
    ),
    click.option(
        "--cpus-per-worker", type=click.IntRange(min=1), metavar="N", help="CPUs of each worker process (default: 1)."
    ),
    click.option(
        "--overwrite", is_flag=True, help="Delete the parts and the manifest of another run in OUT first."
    ),
)  # fmt: skip
