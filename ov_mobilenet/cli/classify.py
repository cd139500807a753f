"""`classify`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.device import DeviceFlags, device_options
from ov_mobilenet.cli.inputs import InputOptions, input_options
from ov_mobilenet.cli.outputs import OutputOptions, output_options
from ov_mobilenet.cli.run_progress import RunProgress, shown
from ov_mobilenet.devices.device_settings import DeviceSettings
from ov_mobilenet.errors import printable
from ov_mobilenet.images.load_image import DECODES, Decode
from ov_mobilenet.load import load_classifier
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
@click.option("--geometry", metavar="STEPS", help="Crop and resize instead of the model's own, such as 'resize 224'.")
@click.option(
    "--labels",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Class names, one a line, instead of the model's own.",
)
@click.option(
    "--decode", type=click.Choice(DECODES), default="auto", show_default=True,
    help="auto: large JPEGs at a fraction of their size, the rest within 2 grey levels of exact.",
)  # fmt: skip
@click.option(
    "--profile", type=click.Path(path_type=Path, dir_okay=False),
    help="What `tune` found for this model, instead of the device options.",
)  # fmt: skip
@input_options
@options.config_dirs
@device_options
@options.cache_dir
@click.pass_context
def classify_command(
    context: click.Context,
    model: str,
    inputs: tuple[str, ...],
    output_options: OutputOptions,
    geometry: str | None,
    labels: Path | None,
    decode: Decode,
    input_options: InputOptions,
    profile: Path | None,
    config_dirs: tuple[Path, ...],
    device_options: DeviceFlags,
    cache_dir: Path | None,
    offline: bool,
) -> int:
    """Classify images, videos, cameras and streams.

    INPUT is an image; a folder, with all below it; a wildcard; @LIST.txt with a path a line, taken from the working
    directory, where empty lines and lines beginning with # are left out; - for paths on stdin; a tar shard; a video;
    a camera (0, /dev/video0); or a stream (rtsp, http). A camera or stream comes last: of its frames only the newest
    is classified, so that results do not lag behind, and the others are dropped and counted.

    An image that cannot be read gets an error in its place; the others are done, and the exit code is 1.

    \b
    Examples:
      ov-mobilenet classify mobilenet-v2-pytorch cat.jpg
      ov-mobilenet classify public/mine/FP16/mine.xml images/ --format jsonl > results.jsonl
      ov-mobilenet classify mobilenet-v2-pytorch images/ -o results.parquet --resume
      ov-mobilenet classify mobilenet-v2-pytorch rtsp://camera/1 --max-fps 5 --format jsonl
    """
    images = input_options.open(inputs)
    names = None
    if labels is not None:
        from ov_mobilenet.zoo.labels import read_labels

        names = read_labels(labels)
    destination = context.with_resource(output_options.open())
    left, count = _left(images, destination)
    if count is not None and images.count is not None and count < images.count and not options.quiet(context):
        click.echo(f"{images.count - count} of {images.count} images are in {output_options.output} already", err=True)
    if count == 0:
        output_options.sink(destination).close()
        return 0
    settings: DeviceSettings | None = device_options.settings()
    batch_size = None
    if profile is None:
        # Frames of a camera come one at a time.
        settings, batch_size = settings_for(device_options.settings(), 1 if images.live else count)
    elif settings == DeviceSettings():
        settings = None
    classifier = load_classifier(
        model,
        settings=settings,
        profile=profile,
        decode=decode,
        batch_size=batch_size,
        geometry=geometry,
        labels=names,
        config_dirs=config_dirs,
        cache_dir=cache_dir,
        offline=offline,
    )
    done = failed = 0
    found = classifier.stream(left, top_k=output_options.classes, live=images.live)
    sink = output_options.sink(destination)
    run = RunProgress(count, (lambda: images.dropped) if images.live else None)
    try:
        with shown(output_options.trimmed(found), run, context, to_stdout=destination.is_stdout) as results:
            for result in results:
                sink.put(result)
                done += 1
                if isinstance(result, Failure):
                    failed += 1
                    click.echo(f"error: {printable(result.source)}: {printable(result.error)}", err=True)
    finally:
        images.close()
        sink.close()
        if images.live and not options.quiet(context):
            lost = f", {images.reconnections} reconnections" if images.reconnections else ""
            click.echo(f"{done} classified, {images.dropped} frames dropped{lost}", err=True)
    if failed and not options.quiet(context):
        click.echo(f"{failed} of {done} images could not be classified", err=True)
    return 1 if failed else 0


def _left(images: Inputs, destination: Destination) -> tuple[Iterable[Item], int | None]:
    """The images that have no result yet, and how many; None if nobody knows."""
    if not destination.existing:
        return images, images.count
    if images.count is None:
        return destination.remaining(images), None
    left = list(destination.remaining(images))
    return left, len(left)
