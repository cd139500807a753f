"""`tune`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import click

from ov_mobilenet.benchmarking.inputs import RANDOM
from ov_mobilenet.benchmarking.measurement import Mode
from ov_mobilenet.cli import options
from ov_mobilenet.devices.device_settings import DeviceSettings, InferencePrecision
from ov_mobilenet.errors import UsageError, printable
from ov_mobilenet.tuning.space import Objective

if TYPE_CHECKING:
    from ov_mobilenet.runtime.profile import Measured
    from ov_mobilenet.tuning.ledger import Step
    from ov_mobilenet.tuning.rig import PrecisionChoice
    from ov_mobilenet.tuning.tuner import Tuned

SCHEMA_VERSION = 1
PRECISIONS = ("own", "any", "int8", "f32", "bf16", "f16")
SHOWN = 12


@click.command("tune")
@click.argument("model")
@click.option("-d", "--device", default="AUTO", show_default=True, help="What to tune on; AUTO: what it takes here.")
@click.option(
    "--objective", type=click.Choice(get_args(Objective)), default="throughput", show_default=True,
    help="latency: the least p95 of one request; efficiency: most images per joule, or a second of processor time.",
)  # fmt: skip
@click.option(
    "--latency-budget-ms", type=click.FloatRange(min=0, min_open=True), metavar="X", help="Keep p95 within this."
)
@click.option(
    "--precision", type=click.Choice(PRECISIONS), default="own", show_default=True,
    help="own: the device's choice; any: all it has, and INT8 where FP16-INT8/NAME.xml lies beside.",
)  # fmt: skip
@click.option(
    "--mode", type=click.Choice(get_args(Mode)), default="inference", show_default=True,
    help="inference: the network alone; end-to-end: from files to classes, as classify does.",
)  # fmt: skip
@click.option("-i", "--input", "images", default=RANDOM, show_default=True, help="A folder of images, or random.")
@click.option(
    "--time-limit", type=click.FloatRange(min=1), default=120.0, show_default=True, metavar="S", help="For all of it."
)
@click.option(
    "--max-accuracy-drop", type=click.FloatRange(min=0, max=1), metavar="D",
    help="Leave out precisions that lose more top-1 than this fraction (0.01: one point); needs --dataset.",
)  # fmt: skip
@click.option(
    "--dataset", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Labelled images for --max-accuracy-drop, as `accuracy --dataset` takes them.",
)  # fmt: skip
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    metavar="N",
    help="Measure accuracy on so many of them.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="The profile (default: NAME.profile.yml in the current folder); one that is there is replaced.",
)  # fmt: skip
@click.option("--format", "form", type=options.FORMATS, default="table", show_default=True)
@options.config_dirs
@options.cache_dir
@click.pass_context
def tune_command(
    context: click.Context,
    model: str,
    device: str,
    objective: Objective,
    latency_budget_ms: float | None,
    precision: PrecisionChoice,
    mode: Mode,
    images: str,
    time_limit: float,
    max_accuracy_drop: float | None,
    dataset: Path | None,
    limit: int,
    output: Path | None,
    form: str,
    config_dirs: tuple[Path, ...],
    cache_dir: Path | None,
    offline: bool,
) -> int:
    """Search for the best batch, streams, requests, threads and precision, and write them as a deployment profile.

    Use it with `classify MODEL … --profile FILE`. What others do on the machine is measured too: leave it alone.

    \b
    Examples:
      ov-mobilenet tune mobilenet-v2-pytorch -d CPU --time-limit 60
      ov-mobilenet tune public/mine/FP16/mine.xml --latency-budget-ms 10 -o camera.yml
    """
    from ov_mobilenet.tuning.tuner import tune

    if output is not None and not output.absolute().parent.is_dir():
        raise UsageError("no such folder", where="--output", got=output.parent)
    if (max_accuracy_drop is None) != (dataset is None):
        raise UsageError("--max-accuracy-drop and --dataset go together", expected="both, or none")

    def top1(xml: Path, precision: str | None) -> float:
        from ov_mobilenet.accuracy.measure import measure_accuracy

        settings = DeviceSettings(device=device, inference_precision=cast("InferencePrecision | None", precision))
        return measure_accuracy(xml, cast(Path, dataset), settings=settings, sample=limit).top1

    with _progress(context) as on_step:
        found = tune(
            model, device=device, objective=objective, latency_budget_ms=latency_budget_ms, precision=precision,
            mode=mode, images=images, time_limit_s=time_limit, max_accuracy_drop=max_accuracy_drop,
            accuracy=None if dataset is None else top1, config_dirs=config_dirs, cache_dir=cache_dir,
            offline=offline, on_step=on_step,
        )  # fmt: skip
    path = None
    if found.profile is not None:
        path = output or Path(f"{found.profile.model.name}.profile.yml")
        was_there = path.exists()
        found.save(path)
        if not options.quiet(context):
            click.echo(
                f"profile: {printable(str(path))}{', in place of the one before' if was_there else ''}", err=True
            )
    if form == "json":
        options.print_json(_document(found, path))
    else:
        _print(found)
    if not options.quiet(context) or found.profile is None:
        for sentence in found.sentences:
            click.echo(printable(sentence), err=True)
    return 0 if found.profile is not None else 3


@contextmanager
def _progress(context: click.Context) -> Iterator[Callable[[Step], None]]:
    """A bar of the time on stderr, drawn between measurements alone: a thread that draws would be measured too."""
    if not options.show_progress(context):
        yield lambda step: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from ov_mobilenet.tuning.space import describe

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[doing]}"))
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as bars:
        task = bars.add_task("tuning", total=None, doing="")
        best = 0.0

        def show(step: Step) -> None:
            nonlocal best
            best = max(best, step.sample.throughput_fps)
            doing = f"{step.stage}: {describe(step.setting)}: {step.sample.throughput_fps:.0f} FPS, most {best:.0f}"
            bars.update(task, total=step.limit_s, completed=step.elapsed_s, doing=doing, refresh=True)

        yield show


def _print(found: Tuned) -> None:
    from ov_mobilenet.cli.tables import print_table

    rows = [row for row in found.measurements if row.on_front or row.chosen]
    others = [row for row in found.measurements if row not in rows]
    shown = sorted(rows + others[: max(0, SHOWN - len(rows))], key=lambda row: -row.throughput_fps)
    heads = ("", "precision", "batch", "streams", "requests", "threads", "FPS", "p95 ms", "per CPU s", "per joule")
    print_table(heads, map(_row, shown), numbers_from=2)
    click.echo("\n* chosen, + on the Pareto front of throughput and p95")


def _row(row: Measured) -> tuple[str, ...]:
    def number(value: float | None, form: str = "") -> str:
        return "-" if value is None else format(value, form)

    return (
        ("*" if row.chosen else "") + ("+" if row.on_front else ""), row.precision, str(row.batch), number(row.streams),
        str(row.requests), number(row.threads), f"{row.throughput_fps:.0f}", f"{row.p95_ms:.2f}",
        number(row.images_per_cpu_s, ".0f"), number(row.images_per_j, ".1f"),
    )  # fmt: skip


def _document(found: Tuned, path: Path | None) -> dict[str, Any]:
    import msgspec

    profile = None if found.profile is None else msgspec.to_builtins(found.profile)
    return {
        "schema_version": SCHEMA_VERSION,
        "xml": str(found.xml),
        "device": found.device,
        "noise": found.noise,
        "profile_path": None if path is None else str(path),
        "profile": profile,
        "measurements": msgspec.to_builtins(found.measurements),
        "sentences": found.sentences,
    }
