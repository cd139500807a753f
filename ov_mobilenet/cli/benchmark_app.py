"""`benchmark-app`: a benchmark with the options and the summary of OpenVINO's `benchmark_app`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ov_mobilenet.benchmarking.bench import Bench
from ov_mobilenet.benchmarking.latency import nearest_rank
from ov_mobilenet.benchmarking.measurement import Layers, Measurement
from ov_mobilenet.benchmarking.resources import Meter
from ov_mobilenet.benchmarking.tables import LAYER_HEADS, layer_rows
from ov_mobilenet.cli.benchmark_app_config import write_config
from ov_mobilenet.cli.benchmark_app_options import CLASSIC, AppOptions, app_options
from ov_mobilenet.cli.classic_options import ClassicCommand
from ov_mobilenet.resolve import open_model
from ov_mobilenet.runtime.runnable import make_runnable


@click.command("benchmark-app", cls=ClassicCommand, program="benchmark_app", classic=CLASSIC)
@app_options
def benchmark_app_command(app: AppOptions) -> int:
    """Run `benchmark --mode inference` with the options and the summary of OpenVINO's benchmark_app.

    \b
    Example:
      ov-mobilenet benchmark-app -m mobilenet-v2-pytorch -d CPU -hint throughput -t 5
    """
    settings = app.settings()
    runnable = make_runnable(open_model(app.model))
    app = app.with_shape_of(runnable.input_shape)
    if app.dump_config is not None:
        write_config(app.dump_config, settings)
    bench = Bench(runnable, settings, app.workload())
    if app.iterations == 0:
        click.echo(f"[ INFO ] Compiled for {app.device}; nothing is measured with -niter 0")
        return 0
    bench.warm_up()
    meter = Meter()
    run = bench.run()
    measurement = bench.evaluate(run, meter.read(run.count))
    latency_ms = nearest_rank(sorted(run.latencies_ms), app.percentile * 10)
    for line in _summary(measurement, app.percentile, latency_ms):
        click.echo(f"[ INFO ] {line}")
    folder, layers = app.report_folder, measurement.layers
    if layers is not None and app.per_layer:
        from ov_mobilenet.cli.tables import print_table

        print_table(LAYER_HEADS, layer_rows(layers), numbers_from=4)
    if folder is not None:
        _write(folder, measurement, app.percentile, latency_ms, as_json=app.as_json)
        if layers is not None and app.report_type == "average_counters":
            _write_layers(folder, layers)
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


def _write_layers(folder: Path, layers: Layers) -> None:
    """Write the slowest layers under benchmark_app's file name, with its names for the columns."""
    lines = ["layerName;execStatus;layerType;execType;realTime (ms)"]
    lines += [
        f"{layer.name};EXECUTED;{layer.type};{layer.implementation or ''};{layer.time_ms:.3f}" for layer in layers.top
    ]
    lines.append(f"Total;;;;{layers.total_ms:.3f}")
    (folder / "benchmark_average_counters_report.csv").write_text("\n".join(lines) + "\n", "utf-8")
