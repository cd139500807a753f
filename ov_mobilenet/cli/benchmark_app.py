"""`benchmark-app`: a benchmark with the options and the summary of OpenVINO's `benchmark_app`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ov_mobilenet.benchmarking.bench import Bench
from ov_mobilenet.benchmarking.inputs import RANDOM
from ov_mobilenet.benchmarking.latency import nearest_rank
from ov_mobilenet.benchmarking.measurement import Measurement
from ov_mobilenet.benchmarking.options import Workload
from ov_mobilenet.benchmarking.resources import Meter
from ov_mobilenet.benchmarking.tables import LAYER_HEADS, layer_rows
from ov_mobilenet.devices.settings import (
    INFERENCE_PRECISIONS,
    DeviceSettings,
    Hint,
    InferencePrecision,
)
from ov_mobilenet.errors import UsageError
from ov_mobilenet.resolve import open_model
from ov_mobilenet.runtime.runnable import make_runnable

HINTS: dict[str, Hint | None] = {
    "throughput": "throughput", "tput": "throughput", "cumulative_throughput": "cumulative_throughput",
    "ctput": "cumulative_throughput", "latency": "latency", "none": None,
}  # fmt: skip
# Options of OpenVINO's benchmark_app that are not supported, with the replacement or the reason.
UNSUPPORTED = {
    "-shape": "use convert --input-shape", "-data_shape": "use convert --input-shape",
    "-layout": "use convert --layout", "-ip": "use convert --input-type", "-op": "the output is always f32",
    "-iop": "use convert --input-type",
    "-mean_values": "use convert --mean-values", "--mean_values": "use convert --mean-values",
    "-scale_values": "use convert --scale-values", "--scale_values": "use convert --scale-values",
    "-api": "use -nireq 1 for one request at a time", "-inference_only": "use benchmark --mode inference|end-to-end",
    "-lfile": "use -m with an IR; compiled models cannot be read", "-extensions": "MobileNets need no extensions",
    "-c": "use benchmark --property KEY=VALUE", "-load_config": "use benchmark --property KEY=VALUE",
    "-dump_config": "use benchmark --format json", "-report_type": "use -pc for the counters",
    "-pcsort": "use -pc, which sorts by time", "-pcseq": "there is only one input shape",
}  # fmt: skip


class _App(click.Command):
    """Reports an option that is not supported, with its replacement or the reason."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for argument in args:
            name = argument.partition("=")[0]
            if name in UNSUPPORTED:
                raise click.UsageError(f"{name} of benchmark_app is not supported: {UNSUPPORTED[name]}", ctx)
        return super().parse_args(ctx, args)


@click.command("benchmark-app", cls=_App)
@click.option("-m", "--path_to_model", "model", required=True, metavar="MODEL",
              help="Path of an IR or of a model.yml, or a zoo name.")  # fmt: skip
@click.option("-i", "--paths_to_input", "source", default=RANDOM, metavar="DIR",
              help="Folder of images (default: generated images).")  # fmt: skip
@click.option("-d", "--target_device", "device", default="CPU", show_default=True, metavar="DEVICE",
              help="Device to measure on.")  # fmt: skip
@click.option("-hint", "--perf_hint", "hint", type=click.Choice(list(HINTS)),
              help="Performance hint (default: throughput, unless -nstreams is given).")  # fmt: skip
@click.option("-niter", "--number_iterations", "iterations", type=click.IntRange(min=1), metavar="N",
              help="Number of requests.")  # fmt: skip
@click.option("-max_irate", "--maximum_inference_rate", "rate", type=click.FloatRange(min=0), default=0.0,
              metavar="FPS", help="Send images at this rate; latency counts from the arrival of an image.")  # fmt: skip
@click.option("-t", "--time", "time_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="Duration of the measurement (default: 60, unless -niter is given).")  # fmt: skip
@click.option("-b", "--batch_size", "batch", type=click.IntRange(min=1), metavar="N", help="Images per request.")
@click.option("-nireq", "--number_infer_requests", "nireq", type=click.IntRange(min=1), metavar="N",
              help="Number of infer requests.")  # fmt: skip
@click.option("-nstreams", "--number_streams", "streams", type=click.IntRange(min=1), metavar="N",
              help="Number of streams.")  # fmt: skip
@click.option("-nthreads", "--number_threads", "threads", type=click.IntRange(min=1), metavar="N",
              help="Number of CPU threads.")  # fmt: skip
@click.option("-infer_precision", "--infer_precision", "precision", type=click.Choice(INFERENCE_PRECISIONS),
              help="Inference precision (default: chosen by the device).")  # fmt: skip
@click.option("-pin", "--infer_threads_pinning", "pin", type=click.Choice(["YES", "NO"]),
              help="Bind CPU threads to cores (default: chosen by the device).")  # fmt: skip
@click.option("-cdir", "--cache_dir", "model_cache", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Folder of the model cache.")  # fmt: skip
@click.option("-no_warmup", "--no_warmup", "no_warmup", is_flag=True, help="Measure without a warm-up.")
@click.option("-latency_percentile", "--latency_percentile", "percentile", type=click.IntRange(1, 100), default=50,
              show_default=True, metavar="P", help="Percentile of the latency to report.")  # fmt: skip
@click.option("-report_folder", "--report_folder", "folder", type=click.Path(path_type=Path, file_okay=False),
              metavar="DIR", help="Write benchmark_report.csv to this folder.")  # fmt: skip
@click.option("-json_stats", "--json_stats", "as_json", is_flag=True,
              help="Write the report as JSON instead of CSV.")  # fmt: skip
@click.option("-pc", "--perf_counts", "per_layer", is_flag=True, help="Show the time of each layer.")
@click.option("-exec_graph_path", "--exec_graph_path", "graph", type=click.Path(path_type=Path, dir_okay=False),
              metavar="FILE", help="Write the device's execution graph to this .xml.")  # fmt: skip
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
    precision: InferencePrecision | None,
    pin: str | None,
    model_cache: Path | None,
    no_warmup: bool,
    percentile: int,
    folder: Path | None,
    as_json: bool,
    per_layer: bool,
    graph: Path | None,
) -> int:
    """Run `benchmark --mode inference` with the options and the summary of OpenVINO's benchmark_app.

    \b
    Example:
      ov-mobilenet benchmark-app -m mobilenet-v2-pytorch -d CPU -hint throughput -t 5
    """
    if as_json and folder is None:
        raise UsageError("-json_stats requires -report_folder", fix="Give the folder: -report_folder DIR")
    chosen_hint: Hint | None = HINTS[hint] if hint is not None else (None if streams is not None else "throughput")
    settings = DeviceSettings(
        device=device, hint=chosen_hint, inference_precision=precision, streams=streams, threads=threads, nireq=nireq,
        pinning=None if pin is None else pin == "YES", model_cache=model_cache,
    )  # fmt: skip
    workload = Workload(
        batch=batch, time_s=60.0 if time_s is None and iterations is None else time_s, iterations=iterations,
        warmup_s=0.0 if no_warmup else 0.5, max_rate=rate or None, input=source, start_up=False, per_layer=per_layer,
        exec_graph=graph,
    )  # fmt: skip
    bench = Bench(make_runnable(open_model(model)), settings, workload)
    bench.warm_up()
    meter = Meter()
    run = bench.run()
    measurement = bench.evaluate(run, meter.read(run.count))
    latency_ms = nearest_rank(sorted(run.latencies_ms), percentile * 10)
    for line in _summary(measurement, percentile, latency_ms):
        click.echo(f"[ INFO ] {line}")
    if measurement.layers is not None:
        from ov_mobilenet.cli.tables import print_table

        print_table(LAYER_HEADS, layer_rows(measurement.layers), numbers_from=4)
    if folder is not None:
        _write(folder, measurement, percentile, latency_ms, as_json=as_json)
    return 0


def _summary(measurement: Measurement, percentile: int, latency_ms: float) -> list[str]:
    """The last lines of benchmark_app's output, but latencies with three decimals."""
    name = "Median:     " if percentile == 50 else f"{percentile} percentile:"
    latency = measurement.latency_ms
    return [
        f"Execution Devices:{measurement.device.split(',')}",
        f"Count:            {measurement.requests} iterations",
        f"Duration:         {measurement.duration_s * 1e3:.2f} ms",
        "Latency:",
        f"   {name}   {latency_ms:.3f} ms",
        f"   Average:       {latency.mean:.3f} ms",
        f"   Min:           {latency.min:.3f} ms",
        f"   Max:           {latency.max:.3f} ms",
        f"Throughput:   {measurement.throughput_fps:.2f} FPS",
    ]


def _write(folder: Path, measurement: Measurement, percentile: int, latency_ms: float, *, as_json: bool) -> None:
    """Write the report under benchmark_app's file name, with its names for the results."""
    latency_name = "latency (ms)" if percentile == 50 else f"latency ({percentile} percentile) (ms)"
    results = {
        "total execution time (ms)": f"{measurement.duration_s * 1e3:.2f}",
        "total number of iterations": str(measurement.requests),
        latency_name: f"{latency_ms:.3f}",
        "avg latency": f"{measurement.latency_ms.mean:.3f}",
        "min latency": f"{measurement.latency_ms.min:.3f}",
        "max latency": f"{measurement.latency_ms.max:.3f}",
        "throughput": f"{measurement.throughput_fps:.2f}",
    }
    folder.mkdir(parents=True, exist_ok=True)
    if as_json:
        text = json.dumps({"execution_results": results}, indent=4) + "\n"
        (folder / "benchmark_report.json").write_text(text, "utf-8")
    else:
        lines = ["Execution results", *(f"{name};{value}" for name, value in results.items())]
        (folder / "benchmark_report.csv").write_text("\n".join(lines) + "\n", "utf-8")
