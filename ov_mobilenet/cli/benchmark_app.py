"""`benchmark-app`: the options of OpenVINO's `benchmark_app`, so that scripts move over."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ov_mobilenet.benchmarking.benchmark import Bench, Workload
from ov_mobilenet.benchmarking.inputs import RANDOM
from ov_mobilenet.benchmarking.latency import nearest_rank
from ov_mobilenet.benchmarking.measurement import Measurement
from ov_mobilenet.benchmarking.resources import Meter
from ov_mobilenet.benchmarking.tables import layer_rows
from ov_mobilenet.devices.settings import DeviceSettings, Hint
from ov_mobilenet.errors import UsageError
from ov_mobilenet.resolve import open_model
from ov_mobilenet.runtime.runnable import make_runnable

HINTS: dict[str, Hint | None] = {
    "throughput": "throughput", "tput": "throughput", "cumulative_throughput": "cumulative_throughput",
    "ctput": "cumulative_throughput", "latency": "latency", "none": None,
}  # fmt: skip
# Of OpenVINO's options; what does the same here.
NOT_TAKEN = {
    "-shape": "convert --input-shape", "-data_shape": "convert --input-shape", "-layout": "convert --layout",
    "-ip": "convert --input-type", "-op": "nothing: the output is f32", "-iop": "convert --input-type",
    "-mean_values": "convert --mean-values", "--mean_values": "convert --mean-values",
    "-scale_values": "convert --scale-values", "--scale_values": "convert --scale-values",
    "-api": "-nireq 1 for one request at a time", "-inference_only": "benchmark --mode inference|end-to-end",
    "-lfile": "an IR: compiled models are not read", "-extensions": "nothing: MobileNets need none",
    "-c": "benchmark --property KEY=VALUE", "-load_config": "benchmark --property KEY=VALUE",
    "-dump_config": "benchmark --format json", "-report_type": "-pc for the counters", "-pcsort": "-pc, sorted by time",
    "-pcseq": "nothing: one input shape is measured",
}  # fmt: skip


class _App(click.Command):
    """Names what takes the place of an option that is not taken."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for argument in args:
            name = argument.partition("=")[0]
            if name in NOT_TAKEN:
                raise click.UsageError(f"benchmark_app's {name} is not taken here. Instead: {NOT_TAKEN[name]}", ctx)
        return super().parse_args(ctx, args)


@click.command("benchmark-app", cls=_App)
@click.option("-m", "--path_to_model", "model", required=True, metavar="MODEL", help="IR, model.yml or zoo name.")
@click.option("-i", "--paths_to_input", "source", default=RANDOM, metavar="DIR", help="Folder of images.")
@click.option("-d", "--target_device", "device", default="CPU", show_default=True)
@click.option("-hint", "--perf_hint", "hint", type=click.Choice(list(HINTS)), help="Default: throughput.")
@click.option("-niter", "--number_iterations", "iterations", type=click.IntRange(min=1))
@click.option("-max_irate", "--maximum_inference_rate", "rate", type=click.FloatRange(min=0), default=0.0,
              help="Here latencies count from when an image came.")  # fmt: skip
@click.option("-t", "--time", "time_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS")
@click.option("-b", "--batch_size", "batch", type=click.IntRange(min=1))
@click.option("-nireq", "--number_infer_requests", "nireq", type=click.IntRange(min=1))
@click.option("-nstreams", "--number_streams", "streams", type=click.IntRange(min=1))
@click.option("-nthreads", "--number_threads", "threads", type=click.IntRange(min=1))
@click.option("-infer_precision", "--infer_precision", "precision", type=click.Choice(["f32", "bf16", "f16"]))
@click.option("-pin", "--infer_threads_pinning", "pin", type=click.Choice(["YES", "NO"]))
@click.option("-cdir", "--cache_dir", "model_cache", type=click.Path(path_type=Path, file_okay=False))
@click.option("-no_warmup", "--no_warmup", "cold", is_flag=True)
@click.option("-latency_percentile", "--latency_percentile", "percentile", type=click.IntRange(1, 100), default=50)
@click.option("-report_folder", "--report_folder", "folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("-json_stats", "--json_stats", "as_json", is_flag=True, help="The report as JSON instead of CSV.")
@click.option("-pc", "--perf_counts", "per_layer", is_flag=True)
@click.option("-exec_graph_path", "--exec_graph_path", "graph", type=click.Path(path_type=Path, dir_okay=False))
def benchmark_app_command(
    model: str,
    source: str,
    device: str,
    hint: str | None,
    iterations: int | None,
    rate: float,
    time_s: float | None,
    batch: int | None,
    nireq: int | None,
    streams: int | None,
    threads: int | None,
    precision: str | None,
    pin: str | None,
    model_cache: Path | None,
    cold: bool,
    percentile: int,
    folder: Path | None,
    as_json: bool,
    per_layer: bool,
    graph: Path | None,
) -> int:
    """`benchmark --mode inference` with the options and the summary of OpenVINO's benchmark_app.

    \b
    Example:
      ov-mobilenet benchmark-app -m mobilenet-v2-pytorch -d CPU -hint throughput -t 5
    """
    if as_json and folder is None:
        raise UsageError("-json_stats needs a folder", expected="-report_folder DIR")
    chosen: Hint | None = HINTS[hint] if hint is not None else (None if streams is not None else "throughput")
    settings = DeviceSettings(
        device=device, hint=chosen, inference_precision=precision, streams=streams, threads=threads,  # type: ignore[arg-type]
        nireq=nireq, pinning=None if pin is None else pin == "YES", model_cache=model_cache,
    )  # fmt: skip
    how = Workload(
        batch=batch, time_s=time_s if time_s is not None or iterations is not None else 60.0, iterations=iterations,
        warmup_s=0.0 if cold else 0.5, max_rate=rate or None, input=source, start_up=False, per_layer=per_layer,
        exec_graph=graph,
    )  # fmt: skip
    bench = Bench(make_runnable(open_model(model)), settings, how)
    bench.warm_up()
    meter = Meter()
    run = bench.run()
    found = bench.told(run, meter.read(run.count))
    at = nearest_rank(sorted(run.latencies_ms), percentile * 10)
    for line in _summary(found, percentile, at):
        click.echo(f"[ INFO ] {line}")
    if found.layers is not None:
        from ov_mobilenet.cli.tables import print_table

        print_table(("layer", "type", "runs at", "by", "ms", "share"), layer_rows(found.layers), numbers_from=4)
    if folder is not None:
        _write(folder, found, percentile, at, as_json=as_json)
    return 0


def _summary(found: Measurement, percentile: int, at: float) -> list[str]:
    """As benchmark_app's last lines; microseconds are written as fractions of a millisecond."""
    name = "Median:     " if percentile == 50 else f"{percentile} percentile:"
    latency = found.latency_ms
    return [
        f"Execution Devices:{found.device.split(',')}",
        f"Count:            {found.requests} iterations",
        f"Duration:         {found.duration_s * 1e3:.2f} ms",
        "Latency:",
        f"   {name}   {at:.3f} ms",
        f"   Average:       {latency.mean:.3f} ms",
        f"   Min:           {latency.min:.3f} ms",
        f"   Max:           {latency.max:.3f} ms",
        f"Throughput:   {found.throughput_fps:.2f} FPS",
    ]


def _write(folder: Path, found: Measurement, percentile: int, at: float, *, as_json: bool) -> None:
    """Under benchmark_app's file name, and the results under its names."""
    word = "latency (ms)" if percentile == 50 else f"latency ({percentile} percentile) (ms)"
    results = {
        "total execution time (ms)": f"{found.duration_s * 1e3:.2f}",
        "total number of iterations": str(found.requests),
        word: f"{at:.3f}",
        "avg latency": f"{found.latency_ms.mean:.3f}",
        "min latency": f"{found.latency_ms.min:.3f}",
        "max latency": f"{found.latency_ms.max:.3f}",
        "throughput": f"{found.throughput_fps:.2f}",
    }
    folder.mkdir(parents=True, exist_ok=True)
    if as_json:
        text = json.dumps({"execution_results": results}, indent=4) + "\n"
        (folder / "benchmark_report.json").write_text(text, "utf-8")
    else:
        lines = ["Execution results", *(f"{name};{value}" for name, value in results.items())]
        (folder / "benchmark_report.csv").write_text("\n".join(lines) + "\n", "utf-8")
