"""`benchmark`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import cast

import click

from ov_mobilenet.benchmarking.baseline import MAX_REGRESSION, PAIRS
from ov_mobilenet.benchmarking.benchmark import Workload
from ov_mobilenet.benchmarking.comparison import compare_with_command, compare_with_earlier, find_earlier
from ov_mobilenet.benchmarking.conditions import conditions, current_load
from ov_mobilenet.benchmarking.inputs import RANDOM
from ov_mobilenet.benchmarking.measurement import (
    BaselineComparison,
    Failed,
    Measurement,
    Mode,
    Report,
    as_json,
    read_report,
)
from ov_mobilenet.benchmarking.sweep import Sweep, SweepResult, measurements
from ov_mobilenet.benchmarking.tables import HEADS, as_csv, as_markdown, layer_rows, row, sentence, type_rows
from ov_mobilenet.cli import options
from ov_mobilenet.cli.device import MORE, DeviceFlags
from ov_mobilenet.devices.device_settings import HINTS, INFERENCE_PRECISIONS, DeviceSettings, Hint, InferencePrecision
from ov_mobilenet.errors import UsageError, printable
from ov_mobilenet.images.load_image import DECODES, Decode
from ov_mobilenet.outputs.output_files import write_atomically
from ov_mobilenet.resolve import Lookup, open_model

EXIT_FAILED, EXIT_REGRESSED = 1, 3
WIDTHS = (26, 6, 7, 10, 5, 8, 7, 7, 7, 7, 7, 7)
_MODES: dict[str, tuple[Mode, ...]] = {
    "inference": ("inference",), "end-to-end": ("end-to-end",), "both": ("inference", "end-to-end"),
}  # fmt: skip


@dataclass(frozen=True)
class Against:
    """What to compare with, and what is allowed."""

    baseline: Path | None
    baseline_command: str | None
    max_regression: float


def _words(known: tuple[str, ...] | None = None) -> Callable[..., tuple[str, ...]]:
    """A callback that splits at commas, but not those within `MULTI:CPU,GPU`."""

    def split(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
        found = tuple(word for text in given for word in ([text] if ":" in text else text.split(",")) if word)
        for word in found:
            if known is not None and word not in known:
                raise click.BadParameter(f"{word!r} is not one of {', '.join(known)}", context, parameter)
        return found

    return split


def _numbers(kind: type[int] | type[float], least: float) -> Callable[..., tuple[float, ...]]:
    def split(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[float, ...]:
        words = [word for text in given for word in text.split(",")]
        try:
            found = tuple(kind(word) for word in words)
        except ValueError as error:
            raise click.BadParameter(f"{', '.join(words)!r} is no list of numbers", context, parameter) from error
        if any(not least <= value < float("inf") for value in found):
            raise click.BadParameter(f"expected at least {least:g}", context, parameter)
        return found

    return split


def _more(function: options.F) -> options.F:
    for option in reversed(MORE):
        function = option(function)
    return function


@click.command("benchmark")
@click.argument("models", nargs=-1, required=True, metavar="MODEL…")
@click.option(
    "-d",
    "--device",
    "devices",
    multiple=True,
    callback=_words(),
    metavar="DEV,…",
    help="Devices, each measured (default: AUTO).",
)
@click.option(
    "--hint",
    "hints",
    multiple=True,
    callback=_words((*HINTS, "none")),
    metavar="HINT,…",
    help=f"{', '.join(HINTS)} or none (default: throughput, unless --streams is given).",
)
@click.option(
    "--inference-precision",
    "--precision",
    "precisions",
    multiple=True,
    callback=_words(INFERENCE_PRECISIONS),
    metavar="PRECISION,…",
    help=f"{', '.join(INFERENCE_PRECISIONS)} (default: the device's own choice).",
)
@click.option(
    "--batch",
    "batches",
    multiple=True,
    callback=_numbers(int, 1),
    metavar="N,…",
    help="Images per request (default: the model's own; end to end as in classify).",
)
@_more
@click.option("--mode", type=click.Choice(list(_MODES)), default="inference", show_default=True,
              help="The network alone, or from image files to classes.")  # fmt: skip
@click.option("--time", "time_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="How long each is timed (default: 10, without --iterations).")  # fmt: skip
@click.option("--iterations", type=click.IntRange(min=1), metavar="N", help="How many requests; end to end images.")
@click.option("--warmup", type=click.FloatRange(min=0), default=0.5, show_default=True, metavar="SECONDS",
              help="How long each runs before.")  # fmt: skip
@click.option(
    "--max-rate",
    "rates",
    multiple=True,
    callback=_numbers(float, 0),
    metavar="FPS,…",
    help="Images come at this rate, and latency counts from when they came; 0: as fast as they are taken.",
)
@click.option("--profile", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="What `tune` found, instead of device, hint, precision, batch and the like.")  # fmt: skip
@click.option("--input", "source", default=RANDOM, show_default=True, metavar="DIR|random",
              help="Folder of images, or made up ones.")  # fmt: skip
@click.option("--decode", type=click.Choice(DECODES), default="auto", show_default=True, help="As in classify.")
@click.option("--per-layer", is_flag=True, help="Where the time goes: layers and types of layers, and their precision.")
@click.option("--exec-graph", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Write the graphs that really run there.")  # fmt: skip
@click.option("--baseline", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Compare with an earlier run's JSON.")  # fmt: skip
@click.option("--baseline-command", metavar="COMMAND",
              help=f"Compare, in {PAIRS} turns, with a command that prints such JSON.")  # fmt: skip
@click.option("--max-regression", type=click.FloatRange(min=0, max=1), default=MAX_REGRESSION, show_default=True,
              metavar="FRACTION", help="Exit 3 where throughput fell by more.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["table", "json", "csv", "markdown"]), default="table",
              show_default=True)  # fmt: skip
@click.option("--report", "reports", multiple=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write a report as well: .json, .csv, .md, .html; repeatable.")  # fmt: skip
@options.config_dirs
@options.cache_dir
@click.pass_context
def benchmark_command(
    context: click.Context,
    models: tuple[str, ...],
    devices: tuple[str, ...],
    hints: tuple[str, ...],
    precisions: tuple[str, ...],
    batches: tuple[int, ...],
    streams: int | None,
    threads: int | None,
    nireq: int | None,
    pin: bool | None,
    model_cache: str | None,
    properties: tuple[tuple[str, str], ...],
    fallback: str | None,
    mode: str,
    time_s: float | None,
    iterations: int | None,
    warmup: float,
    rates: tuple[float, ...],
    profile: Path | None,
    source: str,
    decode: Decode,
    per_layer: bool,
    exec_graph: Path | None,
    baseline: Path | None,
    baseline_command: str | None,
    max_regression: float,
    form: str,
    reports: tuple[Path, ...],
    config_dirs: tuple[Path, ...],
    cache_dir: Path | None,
    offline: bool,
) -> int:
    """Measure how many images per second models do, and how long each takes; all combinations of what is listed.

    Inference alone is what OpenVINO's benchmark_app measures: inputs prepared once, no post-processing. End to end is
    classify: read, decode, crop and resize, inference, most probable classes.

    \b
    Examples:
      ov-mobilenet benchmark mobilenet-v2-pytorch -d CPU --mode both --input images/
      ov-mobilenet benchmark mobilenet-v2-pytorch -d CPU --precision f32,bf16 --batch 1,4 --report sweep.csv
      ov-mobilenet benchmark mobilenet-v2-pytorch -d CPU --max-rate 0,200,400
      ov-mobilenet benchmark mobilenet-v2-pytorch -d CPU --baseline before.json --max-regression 0.05
    """
    settings = DeviceFlags(
        device="AUTO", hint=None, inference_precision=None, streams=streams, threads=threads, nireq=nireq, pin=pin,
        model_cache=model_cache, properties=properties, fallback=fallback,
    ).settings()  # fmt: skip
    given = {"PERFORMANCE_HINT", "NUM_STREAMS"} & settings.asked().keys()
    sweep = Sweep(
        models,
        devices or ("AUTO",),
        tuple(None if hint == "none" else cast(Hint, hint) for hint in hints) or (None if given else "throughput",),
        cast("tuple[InferencePrecision, ...]", precisions) or (None,),  # its callback checks
        batches or (None,),
        rates or (0.0,),
        _MODES[mode],
    )
    if profile is not None:
        if (devices, hints, precisions, batches) != ((), (), (), ()) or settings != DeviceSettings() or len(models) > 1:
            raise UsageError(
                "settings are given twice", expected="one model with --profile, or device, hint and the like"
            )
        from ov_mobilenet.runtime.profile import apply_profile

        xml = open_model(models[0], Lookup(config_dirs, cache_dir, offline)).xml
        settings, batch = apply_profile(profile, xml)
        sweep = Sweep(
            (str(xml),), (settings.device,), (settings.hint,), (settings.inference_precision,), (batch,),
            rates or (0.0,), _MODES[mode],
        )  # fmt: skip
    how = Workload(
        time_s=time_s if time_s is not None or iterations is not None else 10.0, iterations=iterations,
        warmup_s=warmup, input=source, decode=decode, per_layer=per_layer,
    )  # fmt: skip
    against = Against(baseline, baseline_command, max_regression)
    if any(rates) and (baseline or baseline_command):
        raise UsageError("a rate that is given cannot regress", expected="--baseline without --max-rate")
    for file in reports:
        if file.suffix not in WRITERS:
            raise UsageError("unknown kind of report", expected=", ".join(WRITERS), got=file)
        if not file.parent.is_dir():
            raise UsageError("the report's folder is not there", where=file.parent)
        if file.suffix == ".html":  # said before the time is spent
            from ov_mobilenet.benchmarking.html.drawing import style

            with style():
                pass
    earlier = read_report(baseline) if baseline is not None else None
    load = current_load()
    if load.busy and not options.quiet(context):
        click.echo(
            f"warning: the machine is busy ({_busy(load.cpu_busy, load.average)}); expect lower figures", err=True
        )

    found: list[Measurement] = []
    failures: list[Failed] = []
    comparisons: list[BaselineComparison] = []
    quiet = options.quiet(context)
    if form == "table":
        click.echo(_line(HEADS))

    def about_to(what: str) -> None:
        if form != "table" and options.show_progress(context):
            click.echo(f"measuring {what}", err=True)

    for done in measurements(sweep, settings, how, lookup=Lookup(config_dirs, cache_dir, offline),
                             exec_graphs=exec_graph, about_to=about_to):  # fmt: skip
        if isinstance(done.found, Failed):
            failures.append(done.found)
            click.echo(f"error: {printable(done.found.model)} on {done.found.device}: {done.found.error}", err=True)
            continue
        found.append(done.found)
        if form == "table":
            click.echo(_line(row(done.found)))
            sys.stdout.flush()
        alone = len(models) * len(sweep.devices) * len(sweep.hints) * len(sweep.inference_precisions) == 1
        compared = _compared(len(found) - 1, done, against, earlier, alone=alone and len(sweep.batches) == 1)
        for comparison in compared:
            comparisons.append(comparison)
            if not quiet:
                click.echo(printable(sentence(comparison)), err=True)
        if earlier is not None and not compared:
            failures.append(Failed(done.found.network.name, done.found.device, done.found.mode, "not in the baseline"))
            click.echo(f"error: {printable(done.found.network.name)}: not in the baseline {baseline}", err=True)
    report = Report(
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        command=" ".join(("ov-mobilenet", *sys.argv[1:])),
        machine=conditions(load),
        measurements=tuple(found),
        comparisons=tuple(comparisons),
        failures=tuple(failures),
    )
    _put_out(report, form, reports)
    if any(one.regressed for one in comparisons):
        return EXIT_REGRESSED
    return EXIT_FAILED if failures else 0


def _compared(
    number: int, done: SweepResult, against: Against, earlier: Report | None, *, alone: bool
) -> list[BaselineComparison]:
    found = []
    assert isinstance(done.found, Measurement)
    assert done.bench is not None
    if earlier is not None:
        one = find_earlier(done.found, earlier, alone=alone)
        if one is not None:
            found.append(compare_with_earlier(number, done.bench, done.found, one, str(against.baseline),
                                              against.max_regression))  # fmt: skip
    if against.baseline_command is not None:
        found.append(
            compare_with_command(number, done.bench, against.baseline_command, max_regression=against.max_regression)
        )
    return found


def _json(report: Report) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(as_json(report)), indent=2).decode() + "\n"


def _html(report: Report) -> str:
    from ov_mobilenet.benchmarking.html_report import html_report

    return html_report(report)


WRITERS: dict[str, Callable[[Report], str]] = {
    ".json": _json,
    ".csv": as_csv,
    ".md": as_markdown,
    ".html": _html,
}
_FORMS = {"json": ".json", "csv": ".csv", "markdown": ".md"}


def _put_out(report: Report, form: str, files: tuple[Path, ...]) -> None:
    from ov_mobilenet.cli.tables import print_table

    for file in files:  # first: whoever reads stdout may have gone
        write_atomically(file, WRITERS[file.suffix](report))
    if form in _FORMS:
        sys.stdout.write(WRITERS[_FORMS[form]](report))
    else:
        for one in report.measurements:
            if one.layers is not None:
                click.echo()
                print_table((f"type of layer, {one.network.name}", "runs at", "layers", "ms", "share"),
                            type_rows(one.layers), numbers_from=2)  # fmt: skip
                click.echo()
                print_table(("layer", "type", "runs at", "by", "ms", "share"), layer_rows(one.layers), numbers_from=4)


def _line(cells: tuple[str, ...]) -> str:
    """Cells below each other, whatever comes later."""
    padded = [
        cell.ljust(width) if index < 4 else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(map(printable, cells), WIDTHS, strict=False))
    ]
    return "  ".join([*padded, *cells[len(WIDTHS) :]]).rstrip()


def _busy(cpu: float | None, average: float | None) -> str:
    return f"{cpu:.0%} of its cores' time" if cpu is not None else f"load {average:.1f}"
