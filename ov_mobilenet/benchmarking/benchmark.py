"""`benchmark`: throughput and latency of one model on one device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.argument_types import checked
from ov_mobilenet.benchmarking.bench import Bench
from ov_mobilenet.benchmarking.measurement import Measurement
from ov_mobilenet.benchmarking.options import BenchmarkOptions, Workload, split_benchmark_options
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.resolve import open_model
from ov_mobilenet.runtime.defaults import default_to_throughput
from ov_mobilenet.runtime.runnable import make_runnable

if TYPE_CHECKING:
    from typing_extensions import Unpack


@checked
def benchmark(
    model: str | Path,
    *,
    settings: DeviceSettings | None = None,
    workload: Workload | None = None,
    **options: Unpack[BenchmarkOptions],
) -> Measurement:
    """Measure the throughput and the latency of a model.

    Mode `inference` measures the same as OpenVINO's `benchmark_app`: inputs are prepared once and results are not
    post-processed. Mode `end-to-end` runs `Classifier.stream` from image files to classes, as `classify` does.

    Args:
        model: a zoo name, the path of a `model.yml` or of an IR `.xml`, or `hf:OWNER/NAME`.
        settings: device settings, instead of their fields as keyword arguments. Without a hint and a number of streams,
            the throughput hint is used.
        workload: the workload to run, instead of its fields as keyword arguments.
        options: fields of `DeviceSettings` (`device`, `hint`, …), of `Workload` (`mode`, `time_s`, …) and of `Lookup`
            (`config_dirs`, `cache_dir`, `offline`, `ir_dir`), such as `device="CPU", time_s=3`.

    Raises:
        UsageError: an option is unknown, out of range, or given twice.
        UnknownModelError, DownloadError, ConversionError, IrError, DeviceError: as `load_classifier`.
        ImageError: none of the images can be read.
    """
    chosen, lookup, timed = split_benchmark_options(settings, workload, options)
    return Bench(make_runnable(open_model(model, lookup)), default_to_throughput(chosen), timed).measure()
