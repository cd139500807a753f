"""`classify`: the most probable classes of images, videos and camera frames."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.device import DeviceFlags, device_options
from ov_mobilenet.cli.inputs import InputOptions, input_options
from ov_mobilenet.cli.outputs import OutputOptions, output_options
from ov_mobilenet.cli.progress import Count, open_progress
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import printable
from ov_mobilenet.images.load_image import DECODE_MODES, DecodeMode
from ov_mobilenet.load import load_classifier
from ov_mobilenet.resolve import Lookup
from ov_mobilenet.runtime.defaults import settings_for
from ov_mobilenet.runtime.results import Failure

if TYPE_CHECKING:
    from ov_mobilenet.inputs.open_inputs import Inputs
    from ov_mobilenet.outputs.destination import Destination
    from ov_mobilenet.runtime.items import Item


@click.command("classify")
@click.argument("model")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT…")
@output_options
@options.geometry_and_labels
@click.option(
    "--decode", type=click.Choice(DECODE_MODES), default="auto", show_default=True,
    help="exact: the pixels that accuracy is measured with. auto: large JPEGs are decoded at reduced size; other "
    "images differ by at most 2 grey levels. fast: other large images are reduced too.",
)  # fmt: skip
@click.option(
    "--profile", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Profile written by `tune`, instead of the device options.",
)  # fmt: skip
@input_options
@device_options
@options.lookup
@click.pass_context
def classify_command(
    context: click.Context,
    model: str,
    inputs: tuple[str, ...],
    output_options: OutputOptions,
    geometry: str | None,
    labels: Path | None,
    decode: DecodeMode,
    input_options: InputOptions,
    profile: Path | None,
    device_options: DeviceFlags,
    lookup: Lookup,
) -> int:
    """Classify images, videos, camera frames and streams.

    MODEL is a zoo name, a model.yml or an IR .xml. A name or a model.yml is converted once, to FP32, into the cache;
    --ir-dir runs your own IR instead.

    INPUT is an image; a folder, searched recursively; a wildcard; @LIST.txt with one path per line, relative to the
    working directory, where empty lines and lines starting with # are skipped; - for paths on stdin; a tar shard; a
    video; a camera (0, /dev/video0); or a stream (rtsp, http). A camera or stream must be the last INPUT: only its
    newest frame is classified, so that results do not lag behind; other frames are dropped and counted.

    For an image that cannot be read, an error takes the place of the result. The other images are classified, and the
    exit code is 1.

    \b
    Examples:
      ov-mobilenet classify mobilenet-v2-pytorch cat.jpg
      ov-mobilenet classify mobilenet-v2-pytorch images/ --ir-dir models
      ov-mobilenet classify public/mine/FP16/mine.xml images/ --format jsonl > results.jsonl
      ov-mobilenet classify mobilenet-v2-pytorch images/ -o results.parquet --resume
      ov-mobilenet classify mobilenet-v2-pytorch rtsp://camera/1 --max-fps 5 --format jsonl
    """
    images = input_options.open(inputs)
    class_names = options.read_label_file(labels)
    destination = context.with_resource(output_options.open())
    pending, total = _pending(images, destination)
    quiet = options.quiet(context)
    if total is not None and images.count is not None and total < images.count and not quiet:
        existing = images.count - total
        click.echo(f"{existing} of {images.count} images already have a result in {output_options.output}", err=True)
    if total == 0:
        output_options.sink(destination).close()
        return 0
    settings: DeviceSettings | None = device_options.settings()
    batch_size = None
    if profile is None:
        # Frames of a camera arrive one at a time.
        settings, batch_size = settings_for(device_options.settings(), 1 if images.live else total)
    elif settings == DeviceSettings():
        settings = None
    classifier = load_classifier(
        model,
        settings=settings,
        profile=profile,
        decode=decode,
        batch_size=batch_size,
        geometry=geometry,
        labels=class_names,
        **lookup.as_options(),
    )
    sink = output_options.sink(destination, classifier.result_settings())
    results = output_options.trimmed(classifier.stream(pending, top_k=output_options.classes, live=images.live))
    count = Count(total, (lambda: images.dropped) if images.live else None)
    progress = context.with_resource(open_progress(context, results_on_stdout=destination.is_stdout))
    task = progress.task()
    try:
        for result in results:
            count.done += 1
            count.failed += isinstance(result, Failure)
            task.update(count.done, total, count.describe)
            sink.put(result)
            if isinstance(result, Failure):
                click.echo(f"error: {printable(result.source)}: {printable(result.error)}", err=True)
    finally:
        progress.close()
        images.close()
        sink.close()
        if not quiet:
            _print_summary(count, images)
    return 1 if count.failed else 0


def _print_summary(count: Count, images: Inputs) -> None:
    """Print on stderr how many images failed; for a camera or stream also the frames classified and dropped."""
    if not images.live:
        if count.failed:
            click.echo(f"{count.failed} of {count.done} images could not be classified", err=True)
        return
    parts = [f"{count.done - count.failed} classified"]
    if count.failed:
        parts.append(f"{count.failed} failed")
    parts.append(f"{images.dropped} frames dropped")
    if images.reconnections:
        parts.append(f"{images.reconnections} reconnections")
    click.echo(", ".join(parts), err=True)


def _pending(images: Inputs, destination: Destination) -> tuple[Iterable[Item], int | None]:
    """The images that have no result in the destination yet, and their number; None if unknown."""
    if not destination.existing:
        return images, images.count
    if images.count is None:
        return destination.remaining(images), None
    pending = list(destination.remaining(images))
    return pending, len(pending)
