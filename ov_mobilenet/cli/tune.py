"""`tune`: the best settings for a model on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from ov_mobilenet.benchmarking.inputs import RANDOM
from ov_mobilenet.benchmarking.measurement import Mode
from ov_mobilenet.cli import options
from ov_mobilenet.cli.progress import open_progress
from ov_mobilenet.errors import UsageError, printable
from ov_mobilenet.resolve import Lookup
from ov_mobilenet.tuning.space import Objective

if TYPE_CHECKING:
    from ov_mobilenet.tuning.measurement_log import Step
    from ov_mobilenet.tuning.target import PrecisionChoice
    from ov_mobilenet.tuning.tuner import Tuned, TuneOptions

PRECISIONS = ("own", "any", "int8", "f32", "bf16", "f16")
EXIT_NOTHING_FOUND = 3


@click.command("tune")
@click.argument("model")
@click.option(
    "-d",
    "--device",
    default="AUTO",
    show_default=True,
    metavar="DEVICE",
    help="Device to tune for; with AUTO, the device that AUTO selects.",
)
@click.option(
    "--objective", type=click.Choice(get_args(Objective)), default="throughput", show_default=True,
    help="latency: lowest p95 with one infer request; efficiency: images per joule, or per second of CPU time.",
)  # fmt: skip
@click.option(
    "--latency-budget-ms", type=click.FloatRange(min=0, min_open=True), metavar="MS",
    help="Upper limit of the p95 latency, in milliseconds.",
)  # fmt: skip
@click.option(
    "--precision", type=click.Choice(PRECISIONS), default="own", show_default=True,
    help="own: the device's default; any: all that the device supports, and the INT8 IR FP16-INT8/NAME.xml if it "
    "exists.",
)  # fmt: skip
@click.option(
    "--mode", type=click.Choice(get_args(Mode)), default="inference", show_default=True,
    help="inference: the network alone; end-to-end: from image files to classes, as in `classify`.",
)  # fmt: skip
@click.option(
    "-i", "--input", "input_", default=RANDOM, show_default=True, metavar="DIR|random",
    help="Folder of images to run on, or random for generated images.",
)  # fmt: skip
@click.option(
    "--time-limit", type=click.FloatRange(min=1), default=120.0, show_default=True, metavar="SECONDS",
    help="Time for the whole search.",
)  # fmt: skip
@click.option(
    "--max-drop", type=click.FloatRange(min=0, max=1), metavar="FRACTION",
    help="Reject precisions that lose more top-1 than this (0.01: one percentage point); requires --dataset.",
)  # fmt: skip
@click.option(
    "--max-accuracy-drop", type=click.FloatRange(min=0, max=1), metavar="FRACTION", hidden=True,
    help="The name of --max-drop in version 0.1.",
)  # fmt: skip
@click.option(
    "--dataset", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR",
    help="Labelled images for --max-drop, as `accuracy --dataset` takes them.",
)  # fmt: skip
@click.option(
    "--annotations", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="Class of each image of the dataset, as `accuracy --annotations` takes it.",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Use the first N images of the dataset.",
)  # fmt: skip
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="N",
    help="Use N images of the dataset drawn at random (default: 200, unless --limit is given).",
)  # fmt: skip
@click.option("--seed", type=int, metavar="N", help="Seed of --sample (default: 0).")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Profile to write (default: NAME.profile.yml in the current folder); an existing file is replaced.",
)  # fmt: skip
@options.format_option("table", "json", "csv", "markdown")
@options.lookup
@click.pass_context
def tune_command(
    context: click.Context,
    model: str,
    device: str,
    objective: Objective,
    latency_budget_ms: float | None,
    precision: PrecisionChoice,
    mode: Mode,
    input_: str,
    time_limit: float,
    max_drop: float | None,
    max_accuracy_drop: float | None,
    dataset: Path | None,
    annotations: Path | None,
    limit: int | None,
    sample: int | None,
    seed: int | None,
    output: Path | None,
    output_format: str,
    lookup: Lookup,
) -> int:
    """Find the best batch size, streams, infer requests, threads and precision, and write a deployment profile.

    Run the model with the profile: `classify MODEL … --profile FILE`. Other work on the machine distorts the
    measurements.

    \b
    Examples:
      ov-mobilenet tune mobilenet-v2-pytorch -d CPU --time-limit 60
      ov-mobilenet tune public/mine/FP16/mine.xml --latency-budget-ms 10 -o camera.yml
    """
    from ov_mobilenet.cli.tune_output import print_result
    from ov_mobilenet.tuning.tuner import tune

    if output is not None and not output.absolute().parent.is_dir():
        raise UsageError("no such folder", where="--output", got=output.parent)
    max_drop = max_accuracy_drop if max_drop is None else max_drop
    if (max_drop is None) != (dataset is None):
        raise UsageError("--max-drop and --dataset must be given together")
    if annotations is not None and dataset is None:
        raise UsageError("--annotations requires --dataset")
    if seed is not None and (dataset is None or (limit is not None and sample is None)):
        raise UsageError("--seed requires --sample", expected="--dataset DIR --sample N --seed S")
    further: TuneOptions = {}
    further.update(lookup.as_options())  # type: ignore[typeddict-item]
    if dataset is not None:
        further.update({"annotations": annotations, "limit": limit, "sample": sample, "seed": seed or 0})
    with _progress(context) as on_step:
        found = tune(
            model, device=device, objective=objective, latency_budget_ms=latency_budget_ms, precision=precision,
            mode=mode, input=input_, max_drop=max_drop, dataset=dataset, time_limit_s=time_limit, on_step=on_step,
            **further,
        )  # fmt: skip
    path = _save(context, found, output)
    print_result(found, path, output_format)
    if not options.quiet(context) or path is None:
        for note in found.notes:
            click.echo(printable(note), err=True)
    return EXIT_NOTHING_FOUND if path is None else 0


def _save(context: click.Context, found: Tuned, output: Path | None) -> Path | None:
    """Write the profile and report its path; None if there is no profile."""
    if found.profile is None:
        return None
    path = output or Path(f"{found.profile.model.name}.profile.yml")
    replaced = path.exists()
    found.save(path)
    if not options.quiet(context):
        click.echo(f"profile: {printable(str(path))}{' (replaced)' if replaced else ''}", err=True)
    return path


@contextmanager
def _progress(context: click.Context) -> Iterator[Callable[[Step], None]]:
    """Progress in seconds of the time limit, updated between measurements."""
    from ov_mobilenet.tuning.space import describe

    with open_progress(context) as progress:
        task = progress.task()
        best = 0.0

        def show(step: Step) -> None:
            nonlocal best
            best = max(best, step.sample.throughput_fps)
            text = (
                f"{step.stage}: {describe(step.candidate)}: {step.sample.throughput_fps:.0f} FPS, best {best:.0f} FPS"
            )
            task.update(step.elapsed_s, step.limit_s, lambda seconds: text)

        yield show
