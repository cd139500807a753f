"""`diagnose`: the normalisation that a network was trained with, from unlabelled images."""

from __future__ import annotations

from pathlib import Path

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.progress import count_progress
from ov_mobilenet.cli.tables import print_facts, print_table
from ov_mobilenet.diagnosis.candidates import Candidate
from ov_mobilenet.diagnosis.diagnose import DEFAULT_IMAGES, diagnose
from ov_mobilenet.diagnosis.diagnosis import Diagnosis
from ov_mobilenet.diagnosis.ranking import RankedCandidate
from ov_mobilenet.inputs.image_subset import MIN_IMAGES
from ov_mobilenet.resolve import Lookup

_EVIDENCE = {
    "batch_norm": "batch-norm statistics: divergence of the images from the training, smaller is better",
    "mutual_information": "mutual information between image and class, larger is better",
}
_VERDICTS = {"sure": "sure", "likely": "likely, not sure", "undecided": "undecided"}


@click.command("diagnose")
@click.argument("model")
@click.option(
    "--images", required=True, metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with images like those of the training, searched recursively; no labels are needed.",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(min=MIN_IMAGES), default=DEFAULT_IMAGES, show_default=True, metavar="N",
    help="Use N images, drawn at random.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of the draw.")
@options.format_option("table", "json")
@click.option(
    "--geometry", metavar="STEPS", help="Crop and resize instead of the model's own, such as 'resize 256, crop 224'."
)
@options.lookup
@click.pass_context
def diagnose_command(
    context: click.Context,
    model: str,
    images: Path,
    limit: int,
    seed: int,
    output_format: str,
    geometry: str | None,
    lookup: Lookup,
) -> int:
    """Tell which normalisation and channel order a network was trained with.

    MODEL is a zoo name, a model.yml, an IR .xml, or a source network. Each candidate is applied to the images. For a
    network with batch-norm statistics, the right one is the one under which the images look to the first batch norm as
    the training images did; for other networks, the one under which the answers are most confident and most varied.

    For an IR, the command checks what is baked: exit code 3 if another candidate is better beyond doubt.

    \b
    Examples:
      ov-mobilenet diagnose mine.onnx --images photos/
      ov-mobilenet diagnose public/mine/FP16/mine.xml --images photos/ --format json
    """
    with count_progress(context) as on_progress:
        result = diagnose(
            model, images, limit=limit, seed=seed, geometry=geometry, on_progress=on_progress, **lookup.as_options()
        )
    for failure in result.failures:
        click.echo(f"{failure.source}: {failure.error}", err=True)
    if output_format == "json":
        options.print_json(result.to_dict())
    else:
        _print(result)
    return 3 if result.is_wrong else 1 if result.failures else 0


def _print(result: Diagnosis) -> None:
    others = ", ".join(_name(one) for one in result.same_as_best)
    best = _name(result.best) + (f" (the same for this network: {others})" if others else "")
    print_facts(
        {
            "model": result.model,
            "best": best,
            "verdict": _VERDICTS[result.verdict],
            "evidence": f"{_EVIDENCE[result.evidence]}; {result.images} images",
            "baked": _name(result.baked) if result.baked is not None else None,
        }
    )
    click.echo()
    print_table(("normalisation", "order", "score", "best in"), map(_cells, result.candidates), numbers_from=2)
    click.echo()
    click.echo("\n".join(_advice(result)))


def _name(candidate: Candidate) -> str:
    return f"{candidate.name} {candidate.channel_order}"


def _cells(row: RankedCandidate) -> tuple[str, ...]:
    return row.candidate.name, row.candidate.channel_order, f"{row.score:.3f}", f"{row.share:.1%}"


def _advice(result: Diagnosis) -> list[str]:
    lines = []
    if result.is_ir and result.baked is None:
        lines.append("What the graph does with its input is not known: raw BGR pixels 0..255 count as baked.")
    if result.verdict != "sure":
        needed = f"; about {result.images_needed} would be enough" if result.images_needed is not None else ""
        lines.append(f"More images are needed to be sure{needed}.")
    if result.is_wrong:
        lines.append(f"What is baked is wrong. Convert the source network again:\n  {result.command}")
    elif result.is_ir:
        lines.append("No candidate is significantly better than what is baked.")
    elif result.verdict != "undecided":
        lines.append(f"Convert it with: {_flags(result.best)}")
    return lines


def _flags(candidate: Candidate) -> str:
    """The options of `convert --source` for a candidate."""
    flags = []
    for option, values in (("mean", candidate.mean), ("scale", candidate.scale)):
        if values:
            flags.append(f"--{option}-values {','.join(f'{value:g}' for value in values)}")
    flags.append("--reverse-input-channels" if candidate.channel_order == "RGB" else "--no-reverse-input-channels")
    return " ".join(flags)
