"""`classify`: the most probable classes of images, videos and camera frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.device import DeviceFlags, device_options
from ov_mobilenet.cli.early_openvino import wait_for_libraries
from ov_mobilenet.cli.exactness import exact_option, exact_settings
from ov_mobilenet.cli.inputs import InputOptions, input_options
from ov_mobilenet.cli.outputs import OutputOptions, output_options
from ov_mobilenet.cli.progress import Count, open_progress
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import UsageError, printable
from ov_mobilenet.images.load_image import DECODE_MODES, DecodeMode
from ov_mobilenet.load import load_classifier, load_feature_extractor
from ov_mobilenet.resolve import Lookup
from ov_mobilenet.runtime.defaults import settings_for
from ov_mobilenet.runtime.results import AnyResult, Failure
from ov_mobilenet.runtime.stream import result_groups

if TYPE_CHECKING:
    from ov_mobilenet.inputs.open_inputs import Inputs
    from ov_mobilenet.outputs.destination import Destination
    from ov_mobilenet.outputs.feature_destination import FeatureDestination
    from ov_mobilenet.runtime.items import Item


@click.command("classify")
@click.argument("model")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT…")
@output_options
@options.geometry_and_labels
@click.option(
    "--decode", type=click.Choice(DECODE_MODES), default="auto", show_default=True,
    help="exact: the pixels that accuracy is measured with. auto: JPEGs of at least 4 times (OpenCV's resize: 11 "
    "times) the size that the resize gives are decoded at reduced size; other images differ by at most 2 grey levels. "
    "fast: smaller JPEGs and other large images are reduced too.",
)  # fmt: skip
@exact_option
@options.profile("Profile written by `tune`, instead of the device options.")
@click.option(
    "--output-kind", type=click.Choice(["classes", "multilabel", "features"]),
    help="What the output of the model holds (default: as recorded or found). features: write the vectors of a network "
    "without a classifier (.jsonl, .parquet, .npz).",
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
    exact: bool,
    input_options: InputOptions,
    profile: Path | None,
    output_kind: Literal["classes", "multilabel", "features"] | None,
    device_options: DeviceFlags,
    lookup: Lookup,
) -> int:
    """Classify images, videos, camera frames and streams.

    MODEL is a zoo name, a model.yml, hf:OWNER/NAME or an IR .xml. A name or a model.yml is converted once, to FP32,
    into the cache; --ir-dir runs your own IR instead.

    INPUT is an image; a folder, searched recursively; a wildcard; @LIST.txt with one path per line, relative to the
    working directory, where empty lines and lines starting with # are skipped; - for paths on stdin; a tar shard; a
    video; a camera (0, /dev/video0); or a stream (rtsp, http). A camera or stream must be the last INPUT: only its
    newest frame is classified, so that results do not lag behind; other frames are dropped and counted.

    For an image that cannot be read, an error takes the place of the result. The other images are classified, and the
    exit code is 1.

    \b
    Examples:
      ov-mobilenet classify mobilenet-v2-pytorch cat.jpg
      ov-mobilenet classify hf:timm/mobilenetv4_conv_small.e2400_r224_in1k cat.jpg
      ov-mobilenet classify mobilenet-v2-pytorch images/ --ir-dir models
      ov-mobilenet classify public/mine/FP16/mine.xml images/ --format jsonl > results.jsonl
      ov-mobilenet classify mobilenet-v2-pytorch images/ -o results.parquet --resume
      ov-mobilenet classify embeddings.xml images/ --output-kind features -o vectors.npz
      ov-mobilenet classify mobilenet-v2-pytorch rtsp://camera/1 --max-fps 5 --format jsonl
    """
    device = device_options.settings()
    if exact:
        decode, device = exact_settings(context, decode, device, profile)
    images = input_options.open(inputs)
    class_names = options.read_label_file(labels)
    wants_features = output_kind == "features"
    destination: Destination | FeatureDestination
    destination = output_options.open_for_features() if wants_features else output_options.open()
    context.with_resource(destination)
    pending, total = _pending(images, destination)
    quiet = options.quiet(context)
    if total is not None and images.count is not None and total < images.count and not quiet:
        existing = images.count - total
        click.echo(f"{existing} of {images.count} images already have a result in {output_options.output}", err=True)
    if total == 0:
        output_options.sink(destination).close()
        return 0
    settings: DeviceSettings | None = device
    batch_size = None
    if profile is None:
        if device.model_cache is None:
            device = replace(device, model_cache="on")  # also for the CPU: the process may classify one image and end
        # Frames of a camera arrive one at a time.
        settings, batch_size = settings_for(device, 1 if images.live else total)
    elif settings == DeviceSettings():
        settings = None
    load: dict[str, Any] = {
        "settings": settings, "profile": profile, "decode": decode, "batch_size": batch_size, "geometry": geometry,
        **lookup.as_options(),
    }  # fmt: skip
    results: Iterator[AnyResult]
    wait_for_libraries()
    if output_kind == "features":
        if class_names is not None:
            raise UsageError("features have no classes: --labels cannot be used", expected="no --labels")
        extractor = load_feature_extractor(model, **load)
        made_with = {} if destination.is_stdout else extractor.result_settings()
        results = extractor.stream(pending, live=images.live)
    else:
        classifier = load_classifier(model, labels=class_names, output_kind=output_kind, **load)
        made_with = {} if destination.is_stdout else classifier.result_settings()
        output_options = output_options.for_kind(classifier.output_kind)
        results = classifier.stream(pending, top_k=output_options.classes, live=images.live)
    sink = output_options.sink(destination, made_with)
    count = Count(total, (lambda: images.dropped) if images.live else None)
    progress = context.with_resource(open_progress(context, results_on_stdout=destination.is_stdout))
    task = progress.task()
    end = sink.abandon
    try:
        for group in result_groups(results):
            failures = [result for result in group if isinstance(result, Failure)]
            count.done += len(group)
            count.failed += len(failures)
            task.update(count.done, total, count.describe)
            sink.put_all(output_options.trimmed(group))
            for failure in failures:
                click.echo(f"error: {printable(failure.source)}: {printable(failure.error)}", err=True)
        end = sink.close
    finally:
        progress.close()
        images.close()
        end()
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


def _pending(images: Inputs, destination: Destination | FeatureDestination) -> tuple[Iterable[Item], int | None]:
    """The images that have no result in the destination yet, and their number; None if unknown."""
    if not destination.existing:
        return images, images.count
    if images.count is None:
        return destination.remaining(images), None
    pending = list(destination.remaining(images))
    return pending, len(pending)
