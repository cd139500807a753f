"""`demo`: convert, verify and run the built-in sample model, offline."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from ov_mobilenet.accuracy.verification import draw_noise
from ov_mobilenet.accuracy.verification_limits import TOLERANCE
from ov_mobilenet.cli import options
from ov_mobilenet.cli.invocation import program_words, short_path
from ov_mobilenet.conversion.converter import convert_sources
from ov_mobilenet.downloads.cache import default_root
from ov_mobilenet.downloads.fetch import download
from ov_mobilenet.errors import OutputError, VerificationError
from ov_mobilenet.load import load_classifier
from ov_mobilenet.operating_system.replacing import replace_file
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.results import Classification
from ov_mobilenet.zoo.registry import find_config

SAMPLE = "mobilenet-v1-0.25-128-signs"
SCHEMA_VERSION = 1


@click.command("demo")
@click.option(
    "-d", "--device", default="AUTO", show_default=True, metavar="DEVICE", help="Device to classify on; see `devices`."
)
@click.option(
    "--samples",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also copy the twelve sample images to this folder, to try other commands on them.",
)
@options.format_option("table", "json")
@options.cache_root
def demo_command(device: str, samples: Path | None, output_format: str, cache_dir: Path | None) -> None:
    """Convert the built-in sample model, verify it and classify its sample images, without network access.

    Writes only to the cache, and with --samples to that folder.

    Example: ov-mobilenet demo -d CPU --samples images
    """
    config = find_config(SAMPLE)
    folder = (cache_dir or default_root()) / "demo"
    begun = perf_counter()
    sources = download(config, folder / "sources", offline=True)
    fetched = perf_counter()
    model = convert_sources(sources, folder, precisions=("FP32",))[0]
    converted = perf_counter()
    difference = _verify(load_classifier(model.xml, device="CPU", inference_precision="f32"), config.folder)
    verified = perf_counter()
    classifier = load_classifier(model.xml, device=device)
    compiled = perf_counter()
    images = sorted((config.folder / "samples").glob("*.jpg"))
    if samples is not None:
        _copy(images, samples)
    results = [classifier.classify(image, top_k=3) for image in images]
    done = perf_counter()
    facts: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "model": config.name,
        "xml": str(model.xml),
        "device": classifier.device,
        "inference_precision": classifier.inference_precision,
        "verification": {
            "oracle": "torch",
            "images": len(recorded_answers(config.folder)),
            "max_difference": difference,
        },
        "timings_s": {
            "check files": fetched - begun,
            "convert": converted - fetched,
            "verify": verified - converted,
            "compile": compiled - verified,
            "classify": done - compiled,
        },
        "results": results,
    }
    if output_format == "json":
        options.print_json(facts)
    else:
        _print(facts, results)


IMAGE_SIZE = 128  # height and width of the images on which torch was run


def recorded_answers(folder: Path) -> list[list[float]]:
    """The probabilities per image that torch gave for the images of `draw_noise` when the model was exported."""
    recorded: list[list[float]] = json.loads((folder / "answers.json").read_text("utf-8"))
    return recorded


def _verify(classifier: Classifier, folder: Path) -> float:
    """Return the largest difference of a probability from torch's. Raises: VerificationError, if it is too large."""
    import numpy as np

    frames = np.stack(list(draw_noise(IMAGE_SIZE, IMAGE_SIZE)))
    difference = float(np.abs(classifier.probabilities(frames) - np.array(recorded_answers(folder))).max())
    if difference > TOLERANCE["FP32"][0]:
        raise VerificationError(
            "the converted sample model differs from torch", expected=f"within {TOLERANCE['FP32'][0]:g}", got=difference
        )
    return difference


def _copy(images: list[Path], folder: Path) -> None:
    """Copy images into a folder; a file that is there already must be the same. Raises: OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for image in images:
            copy = folder / image.name
            if not copy.exists():
                partial = copy.with_name(f".{copy.name}.{os.getpid()}")
                try:
                    shutil.copyfile(image, partial)
                    replace_file(partial, copy)
                finally:
                    partial.unlink(missing_ok=True)
            elif copy.read_bytes() != image.read_bytes():
                raise OutputError(
                    "a file of this name is there already", where=copy, expected="the sample image, or no such file",
                    fix="Give --samples another folder",
                )  # fmt: skip
    except OSError as error:
        raise OutputError(
            f"the sample images cannot be copied ({error.strerror})", where=folder, fix="Give --samples another folder"
        ) from error


def _print(facts: dict[str, Any], results: list[Classification]) -> None:
    from ov_mobilenet.cli.tables import print_table

    check = facts["verification"]
    click.echo(f"model      {facts['model']}, built in")
    click.echo(f"converted  {facts['xml']}")
    click.echo(
        f"verified   against torch's recorded answers on {check['images']} images: largest difference "
        f"{check['max_difference']:.1e}"
    )
    click.echo(f"runs on    {facts['device']} at {facts['inference_precision'] or 'its own precision'}\n")
    rows = []
    for result in results:
        best, second = result.predictions[:2]
        rows.append(
            (
                Path(result.source).name,
                best.label,
                f"{best.probability:.1%}",
                f"{second.label} {second.probability:.1%}",
                f"{result.timings_ms.total:.1f}",
            )
        )
    print_table(("image", "class", "probability", "next", "ms"), rows, optional=("next",))
    times = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in facts["timings_s"].items())
    click.echo(f"\n{times}\n")
    samples = Path(results[0].source).parent
    click.echo("Next:")
    program = program_words()
    click.echo(f"  {program} classify {facts['model']} {short_path(samples)} --format jsonl")
    click.echo(f"  {program} list")
    click.echo(f"  {program} convert mobilenetv2-7        # a real network; downloads 14 MB")
