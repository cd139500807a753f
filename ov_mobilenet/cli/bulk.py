"""`bulk`: classify many images into Parquet parts, here or on a Ray cluster."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.bulk_options import BulkFlags, bulk_options
from ov_mobilenet.cli.bulk_output import BulkReporter, print_failed_shards, print_plan, print_result
from ov_mobilenet.cli.device import DeviceFlags, device_options
from ov_mobilenet.cli.exactness import exact_option, exact_settings
from ov_mobilenet.cli.progress import open_progress
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.images.load_image import DECODE_MODES, DecodeMode
from ov_mobilenet.resolve import Lookup


@click.command("bulk")
@click.argument("model")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT…")
@bulk_options
@click.option(
    "--dry-run", "--dry_run", is_flag=True,
    help="Print what would be done and what is done already; change and compile nothing.",
)  # fmt: skip
@options.format_option("table", "json")
@options.geometry_and_labels
@click.option(
    "--decode", type=click.Choice(DECODE_MODES), default="auto", show_default=True,
    help="How image files are decoded, see `classify --help`.",
)  # fmt: skip
@exact_option
@options.profile("Profile written by `tune`, instead of the device options.")
@click.option(
    "--output-kind", type=click.Choice(["classes", "multilabel"]),
    help="What the output of the model holds (default: as recorded or found).",
)  # fmt: skip
@device_options
@options.lookup
@click.pass_context
def bulk_command(
    context: click.Context,
    model: str,
    inputs: tuple[str, ...],
    bulk_flags: BulkFlags,
    dry_run: bool,
    output_format: Literal["table", "json"],
    geometry: str | None,
    labels: Path | None,
    decode: DecodeMode,
    exact: bool,
    profile: Path | None,
    output_kind: Literal["classes", "multilabel"] | None,
    device_options: DeviceFlags,
    lookup: Lookup,
) -> int:
    """Classify many images into Parquet parts, on this machine or on a Ray cluster.

    MODEL is a zoo name, a model.yml, hf:OWNER/NAME or an IR .xml.

    INPUT is an image; a folder, searched recursively; a wildcard; @LIST.txt with one path per line; a tar shard; or a
    Parquet file with image files or their paths; local, s3:// or gs://.

    OUT gets part-NNNNN.parquet, with the rows of `classify -o FILE.parquet`, _manifest.json, and _SUCCESS when all
    parts are there. The same command resumes a run that was interrupted: every image is in the parts exactly once. With
    another model, other options or other inputs it is refused.

    An image that cannot be read has a row with its error. The exit code is 1 if OUT has such a row, or if a part could
    not be written; all other parts are written.

    \b
    Examples:
      ov-mobilenet bulk mobilenet-v2-pytorch photos/ -o results/
      ov-mobilenet bulk mobilenet-v2-pytorch "shards/*.tar" -o results/ --max-errors 100
      ov-mobilenet bulk mobilenet-v2-pytorch @list.txt -o results/ --images-per-part 500 --dry-run
      ov-mobilenet bulk mobilenet-v2-pytorch s3://photos/2026/ -o s3://results/2026/ --ray auto --cpus-per-worker 4
    """
    device = device_options.settings()
    if exact:
        decode, device = exact_settings(context, decode, device, profile)
    ray = bulk_flags.ray_settings()
    settings = bulk_flags.settings(
        geometry=geometry, labels=options.read_label_file(labels), decode=decode, output_kind=output_kind
    )
    from ov_mobilenet.bulk_classification.bulk import bulk, plan_bulk

    given: dict[str, Any] = {
        "settings": settings, "profile": profile, "overwrite": bulk_flags.overwrite, **lookup.as_options(),
        **({} if profile is not None and device == DeviceSettings() else asdict(device)),
    }  # fmt: skip
    if dry_run:
        plan = plan_bulk(model, inputs, bulk_flags.output, **given)
        shown = f"of the profile {profile}" if profile is not None else device.device
        print_plan(plan, bulk_flags.output, shown, ray, output_format)
        return 0
    reporter = BulkReporter(context.with_resource(open_progress(context)))
    try:
        result = bulk(
            model, inputs, bulk_flags.output, ray=ray, on_progress=reporter.on_progress,
            on_failure=reporter.on_failure, **given,
        )  # fmt: skip
    except BaseException as error:  # Ctrl-C and SIGTERM too
        reporter.progress.close()
        reporter.print_end(error)
        raise
    reporter.progress.close()
    print_failed_shards(result)
    print_result(result, bulk_flags.output, output_format)
    return 1 if result.manifest.errors or result.failed_shards else 0
