"""`classify`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.device import DeviceOptions, device_options
from ov_mobilenet.cli.inputs import expand_inputs
from ov_mobilenet.cli.sinks import SINKS
from ov_mobilenet.errors import UsageError, printable
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.device_settings import DeviceSettings
from ov_mobilenet.runtime.load import load_classifier
from ov_mobilenet.runtime.loading import DECODES, Decode
from ov_mobilenet.runtime.many import choices
from ov_mobilenet.runtime.results import DEFAULT_TOP_K, Failure, Result


@click.command("classify")
@click.argument("model")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT…")
@click.option(
    "-k", "--top-k", type=click.IntRange(min=1), default=DEFAULT_TOP_K, show_default=True, help="Classes a picture."
)
@click.option("--format", "form", type=click.Choice(sorted(SINKS)), default="table", show_default=True)
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
@options.config_dirs
@device_options
@options.cache_dir
@click.pass_context
def classify_command(
    context: click.Context,
    model: str,
    inputs: tuple[str, ...],
    top_k: int,
    form: str,
    geometry: str | None,
    labels: Path | None,
    decode: Decode,
    profile: Path | None,
    config_dirs: tuple[Path, ...],
    device_options: DeviceOptions,
    cache_dir: Path | None,
    offline: bool,
) -> int:
    """Classify pictures: files, folders (with all below them) and wildcards.

    A picture that cannot be read gets an error in its place; the others are done, and the exit code is 1.

    \b
    Examples:
      ov-mobilenet classify mobilenet-v2-pytorch cat.jpg
      ov-mobilenet classify public/mine/FP16/mine.xml pictures/ --format jsonl > results.jsonl
    """
    paths = expand_inputs(inputs)
    if not paths:
        raise UsageError("no pictures", expected="files, or folders with pictures", got=", ".join(inputs))
    names = None
    if labels is not None:
        from ov_mobilenet.zoo.labels import read_labels

        names = read_labels(labels)
    settings: DeviceSettings | None = device_options.settings()
    batch_size = None
    if profile is None:
        settings, batch_size = choices(device_options.settings(), len(paths))
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
    failed = 0
    sink = SINKS[form]()
    try:
        for result in _results(classifier, paths, top_k):
            sink.put(result)
            if isinstance(result, Failure):
                failed += 1
                click.echo(f"error: {printable(result.source)}: {printable(result.error)}", err=True)
    finally:
        sink.close()
    if failed and not options.quiet(context):
        click.echo(f"{failed} of {len(paths)} pictures could not be classified", err=True)
    return 1 if failed else 0


def _results(classifier: Classifier, paths: list[str], top_k: int) -> Iterator[Result]:
    """One picture as it comes; many through the pipeline."""
    if len(paths) == 1:
        return classifier.classify_each(paths, top_k=top_k)
    return classifier.stream(paths, top_k=top_k)
