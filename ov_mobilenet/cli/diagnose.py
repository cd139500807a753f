"""`diagnose`: the normalisation that a network was trained with, from unlabelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.dataset_options import print_failure
from ov_mobilenet.cli.own_network import parse_number_option
from ov_mobilenet.cli.progress import stage_progress
from ov_mobilenet.cli.report_formats import check_report_file
from ov_mobilenet.cli.tables import print_facts, print_table
from ov_mobilenet.conversion.architectures import ARCHITECTURES
from ov_mobilenet.diagnosis import layer_summary, summary
from ov_mobilenet.diagnosis.diagnose import DEFAULT_IMAGES, diagnose
from ov_mobilenet.diagnosis.diagnosis import Diagnosis
from ov_mobilenet.inputs.image_subset import MIN_IMAGES
from ov_mobilenet.outputs.output_files import write_atomically
from ov_mobilenet.resolve import Lookup
from ov_mobilenet.zoo.model import HEAD_ACTIVATIONS
from ov_mobilenet.zoo.normalisation import Normalisation


@click.command("diagnose")
@click.argument("model")
@click.option(
    "--images", multiple=True, required=True, metavar="INPUT",
    help=f"Images like those of the training, without labels: {options.INPUT_KINDS}.",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(min=MIN_IMAGES), default=DEFAULT_IMAGES, show_default=True, metavar="N",
    help="Use at most N images, drawn at random.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
    help="Seed of the draw and of the resamples.",
)  # fmt: skip
@click.option(
    "--geometry", metavar="STEPS",
    help="Crop and resize, such as 'resize 256, crop 224' (default: the model's own; the whole image is resized for a "
    "source network).",
)  # fmt: skip
@click.option(
    "--mean-values", "--mean_values", metavar="A[,B,C]",
    help="A further candidate, called 'given' in the results: mean per channel in the order R, G, B.",
)  # fmt: skip
@click.option(
    "--scale-values", "--scale_values", metavar="A[,B,C]", help="Scale of this candidate, in the order R, G, B."
)
@click.option(
    "--architecture", type=click.Choice(ARCHITECTURES), help="Architecture of PyTorch weights (default: identified)."
)
@click.option(
    "--weights-key", metavar="KEY", help="Entry to use of a checkpoint that holds several sets of weights."
)  # fmt: skip
@click.option(
    "--head", type=click.Choice(HEAD_ACTIVATIONS),
    help="Activation between the linear layers of a classifier of your own, for PyTorch weights.",
)  # fmt: skip
@click.option("--output", metavar="NAME", help="Output tensor of a source network, if it has several.")
@options.format_option("table", "json")
@click.option(
    "--report", metavar="FILE.html", type=click.Path(path_type=Path, dir_okay=False),
    help="Write a report with a bar chart too.",
)  # fmt: skip
@options.lookup
@click.pass_context
def diagnose_command(
    context: click.Context,
    model: str,
    images: tuple[str, ...],
    limit: int,
    seed: int,
    geometry: str | None,
    mean_values: str | None,
    scale_values: str | None,
    architecture: str | None,
    weights_key: str | None,
    head: Any,
    output: str | None,
    output_format: str,
    report: Path | None,
    lookup: Lookup,
) -> int:
    """Find the normalisation and channel order that a network was trained with, from images without labels. For PyTorch
    weights, also find activation, padding and batch-norm epsilon.

    MODEL is a zoo name, a model.yml, hf:OWNER/NAME, an IR .xml of any tool, or a source network: .onnx, .pb, .tflite,
    .h5, .keras, .pth, .pt, .ckpt, .safetensors, or the folder of a SavedModel.

    Every candidate is applied to the images. In a network with batch norms, the right one gives the first batch norm
    the statistics that it recorded in training. Without batch norms, it is the one with which the answers are confident
    for each image and differ between images. 20 images often decide it, 100 nearly always.

    The exit code of an IR is 3 if another candidate is significantly better than what is baked.

    \b
    Examples:
      ov-mobilenet diagnose mine.onnx --images photos/
      ov-mobilenet diagnose public/mine/FP16/mine.xml --images photos/ --report mine.html
      ov-mobilenet diagnose mine.pth --images "val/*/*.jpg" --mean-values 120,115,100 --scale-values 60
    """
    if report is not None:
        from ov_mobilenet.diagnosis.html_report import page_templates

        check_report_file(report, (".html",))
        page_templates()
    with stage_progress(context) as on_progress:
        found = diagnose(
            model,
            images,
            limit=limit,
            seed=seed,
            geometry=geometry,
            given=_given(mean_values, scale_values),
            architecture=architecture,
            weights_key=weights_key,
            head=head,
            output=output,
            on_progress=on_progress,
            **lookup.as_options(),
        )
    for failure in found.failures:
        print_failure(failure)
    if report is not None:  # before the output: a pipe at stdout may be closed
        from ov_mobilenet.diagnosis.html_report import diagnosis_page

        write_atomically(report, diagnosis_page(found))
    if output_format == "json":
        options.print_json(found.to_dict())
    else:
        _print(found)
    return 3 if found.is_wrong else 1 if found.failures else 0


def _given(mean_values: str | None, scale_values: str | None) -> Normalisation | None:
    """The candidate of `--mean-values` and `--scale-values`. Raises: UsageError."""
    mean = parse_number_option("--mean-values", mean_values)
    scale = parse_number_option("--scale-values", scale_values)
    if mean is None and scale is None:
        return None
    return Normalisation(mean=mean or (), scale=scale or (), reverse_input_channels=True)


def _print(found: Diagnosis) -> None:
    words = summary.EVIDENCE[found.evidence]
    layers = {} if found.layers is None else {"layers": layer_summary.layers_in_words(found.layers)}
    print_facts(
        {
            "model": found.model,
            "best": summary.best_in_words(found),
            "verdict": summary.verdict_in_words(found),
            "baked": summary.baked_in_words(found),
            "evidence": f"{words.name}, {words.better}",
            "images": f"{found.images}; {found.geometry}",
            **layers,
        }
    )
    click.echo()
    rows = (
        (row.candidate.name, row.candidate.channel_order, summary.shown_score(row, found.evidence), f"{row.share:.1%}")
        for row in found.candidates
    )
    print_table(("normalisation", "order", words.title, "best in"), rows, numbers_from=2)
    click.echo(f"\n{summary.SHARE_EXPLANATION}")
    if found.layers is not None:
        click.echo()
        rows_of_layers = layer_summary.layer_rows(found.layers)
        print_table(layer_summary.LAYER_HEADS, rows_of_layers, numbers_from=layer_summary.NUMBERS_FROM)
        click.echo(f"\n{layer_summary.LAYERS_EXPLANATION}")
    for line in summary.advice(found):
        click.echo(line.text if line.command is None else f"{line.text}\n  {line.command}")
