"""The options of `benchmark-app`: OpenVINO's own spellings, and the settings and workload made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from ov_mobilenet.benchmarking.inputs import RANDOM
from ov_mobilenet.benchmarking.options import Workload
from ov_mobilenet.cli import options
from ov_mobilenet.cli.benchmark_app_config import ConfigFile, per_device, read_config
from ov_mobilenet.cli.classic_options import IgnoredOption, MappedOption, RefusedOption, boolean
from ov_mobilenet.devices.settings import INFERENCE_PRECISIONS, DeviceSettings, Hint
from ov_mobilenet.errors import UsageError

HINTS: dict[str, Hint | None] = {
    "throughput": "throughput", "tput": "throughput", "cumulative_throughput": "cumulative_throughput",
    "ctput": "cumulative_throughput", "latency": "latency", "none": None,
}  # fmt: skip


@dataclass(frozen=True)
class AppOptions:
    """The values of the options below, by parameter name."""

    model: str
    source: str
    device: str
    hint: str | None
    api: str | None
    iterations: int | None
    rate: float
    time_s: float | None
    batch: int | None
    shape: str | None
    layout: str | None
    nireq: int | None
    streams: str | None
    threads: int | None
    precision: str | None
    pin: str | None
    model_cache: Path | None
    no_warmup: bool
    percentile: int
    report_type: str | None
    folder: Path | None
    as_json: bool
    per_layer: bool
    graph: Path | None
    load_config: Path | None
    dump_config: Path | None

    @property
    def report_folder(self) -> Path | None:
        """Where the report is written: the current folder with `-report_type` alone; None for no report."""
        return self.folder or (Path() if self.report_type is not None else None)

    def settings(self) -> DeviceSettings:
        """The device settings; the command line has priority over the file of `-load_config`.

        Raises:
            UsageError: a value is invalid, or two options exclude each other.
        """
        if self.as_json and self.report_folder is None:
            raise UsageError("-json_stats requires -report_folder", fix="Give the folder: -report_folder DIR")
        config = read_config(self.load_config, self.device) if self.load_config is not None else ConfigFile()
        streams, stream_properties = per_device("-nstreams", self.streams, self.device, "NUM_STREAMS")
        precision, precision_properties = per_device(
            "-infer_precision", self.precision, self.device, "INFERENCE_PRECISION_HINT"
        )
        sync = self.api == "sync"
        default: Hint | None = None if streams or stream_properties else "latency" if sync else "throughput"
        given: dict[str, Any] = {
            "streams": _positive("-nstreams", streams), "threads": self.threads, "inference_precision": precision,
            "pinning": None if self.pin is None else self.pin == "YES", "model_cache": self.model_cache,
        }  # fmt: skip
        if self.hint is not None:
            config = replace(config, fields={**config.fields, "hint": HINTS[self.hint]})
        elif not config.sets_parallelism:
            config = replace(config, fields={**config.fields, "hint": default})
        fields = {**config.fields, **{name: value for name, value in given.items() if value is not None}}
        merged = _merge_devices({**config.properties}, stream_properties, precision_properties)
        return DeviceSettings(
            device=self.device, nireq=1 if sync else self.nireq, properties=tuple(merged.items()), **fields
        )

    def workload(self) -> Workload:
        """The workload; 60 s unless a time or a number of iterations is given, as in benchmark_app."""
        counters = self.per_layer or self.report_type == "average_counters"
        return Workload(
            batch=self.batch, time_s=60.0 if self.time_s is None and not self.iterations else self.time_s,
            iterations=self.iterations or None, warmup_s=0.0 if self.no_warmup else 0.5, max_rate=self.rate or None,
            input=self.source, start_up=False, per_layer=counters, exec_graph=self.graph,
        )  # fmt: skip

    def with_shape_of(self, input_shape: tuple[int, ...]) -> AppOptions:
        """These options with the batch of `-shape`.

        Args:
            input_shape: of the IR; -1 for a dynamic size.

        Raises:
            UsageError: `-shape` or `-layout` does not fit the model.
        """
        if self.layout is not None:
            channels = {"NCHW": 1, "NHWC": -1}.get(re.sub(r"^[^\[]*\[|[\[\], ]", "", self.layout).upper())
            if channels is None or input_shape[channels] not in (1, 3):
                raise UsageError(
                    "-layout does not fit the model; use convert --layout", expected=f"the layout of {input_shape}",
                    got=self.layout,
                )  # fmt: skip
        if self.shape is None:
            return self
        found = re.fullmatch(r"[^\[\]]*\[\s*(\d+)\s*((?:,\s*\d+\s*)+)\]", self.shape)
        image = tuple(int(size) for size in found[2].split(",")[1:]) if found else ()
        fits = len(image) == len(input_shape) - 1 and all(
            expected in (-1, size) for expected, size in zip(input_shape[1:], image, strict=True)
        )
        if not found or not fits or int(found[1]) < 1:
            shown = ",".join("?" if size < 0 else str(size) for size in input_shape[1:])
            raise UsageError(
                "-shape does not fit the model", expected=f"[N,{shown}] with any batch size N", got=self.shape,
                fix="For another image size, use convert --input-shape",
            )  # fmt: skip
        return replace(self, batch=self.batch or int(found[1]))


def _merge_devices(properties: dict[str, str], *added: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The properties, with those for single devices behind AUTO, MULTI or HETERO as `DEVICE_PROPERTIES`."""
    from ov_mobilenet.devices.properties import parse_device_properties

    merged = parse_device_properties(properties.pop("DEVICE_PROPERTIES", ""))
    for one in added:
        for device, pairs in one.items():
            merged[device] = {**merged.get(device, {}), **pairs}
    if merged:
        texts = (f"{name}:{{{','.join(f'{k}:{v}' for k, v in pairs.items())}}}" for name, pairs in merged.items())
        properties["DEVICE_PROPERTIES"] = f"{{{','.join(texts)}}}"
    return properties


def _positive(option: str, text: str | None) -> int | None:
    if text is not None and not (text.isdecimal() and int(text) > 0):
        raise UsageError(f"invalid {option}", expected="a number of at least 1, or DEVICE:NUMBER", got=text)
    return None if text is None else int(text)


def app_options(function: options.F) -> options.F:
    """Add the options; the command receives them as one `AppOptions` named `app`."""
    function = options.collect_into(AppOptions, "app")(function)
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def _flag(option: str) -> MappedOption:
    """A flag that OpenVINO's program also takes with a value, as in `-pc true`."""
    return MappedOption(lambda value: (option,) if boolean(option, value) else (), "boolean")


def _only(option: str, fix: str, *accepted: str, then: tuple[str, ...] = ()) -> MappedOption:
    """An option of which only some values, in any case of letters, describe what is measured here."""

    def check(value: str | None) -> tuple[str, ...]:
        if (value or "").lower() not in accepted:
            raise click.UsageError(f"{option} {value} of benchmark_app is not supported: {fix}")
        return then

    return MappedOption(check)


def _inference_only(value: str | None) -> tuple[str, ...]:
    if not boolean("-inference_only", value):
        raise click.UsageError(
            "-inference_only false of benchmark_app is not supported: use benchmark --mode end-to-end"
        )
    return ()


_U8 = "the input is always u8 frames, which the model converts; use -ip u8, or convert --input-type for the IR"
_F32 = "the output is always f32"
_MEANS = "use convert --mean-values and --scale-values, which are baked into the IR"
_SORTED = "layers are sorted by time; use -pcsort sort"
# Options of OpenVINO's benchmark_app that are not among `_OPTIONS`.
CLASSIC: dict[str, MappedOption | IgnoredOption | RefusedOption] = {
    **dict.fromkeys(("-ip", "--input_precision"), _only("-ip", _U8, "u8")),
    **dict.fromkeys(("-op", "--output_precision"), _only("-op", _F32, "f32", "fp32")),
    **dict.fromkeys(("-iop", "--input_output_precision"), RefusedOption("use -ip u8 and -op f32")),
    **dict.fromkeys(("-pcsort", "--perf_counts_sort"), _only("-pcsort", _SORTED, "sort", then=("-pc",))),
    **dict.fromkeys(("-pc", "--perf_counts"), _flag("-pc")),
    **dict.fromkeys(("-json_stats", "--json_stats"), _flag("-json_stats")),
    **dict.fromkeys(("-inference_only", "--inference_only"), MappedOption(_inference_only, "boolean")),
    **dict.fromkeys(
        ("-imean", "-iscale", "-mean_values", "--mean_values", "-scale_values", "--scale_values"), RefusedOption(_MEANS)
    ),
    **dict.fromkeys(("-pcseq", "--pcseq"), RefusedOption("there is only one input shape")),
    **dict.fromkeys(
        ("-lfile", "--load_from_file"), RefusedOption("use -m with an IR; compiled models cannot be read")
    ),
    **dict.fromkeys(("-extensions", "--extensions"), RefusedOption("MobileNets need no extensions")),
    **dict.fromkeys(
        ("-c", "--path_to_cldnn_config"), RefusedOption("use benchmark --property CONFIG_FILE=FILE")
    ),
}  # fmt: skip
_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_OPTIONS = (
    click.option("-m", "--path_to_model", "model", required=True, metavar="MODEL",
                 help="Path of an IR or of a model.yml, or a zoo name."),
    click.option("-i", "--paths_to_input", "source", default=RANDOM, metavar="DIR",
                 help="Folder of images (default: generated images)."),
    click.option("-d", "--target_device", "device", default="CPU", show_default=True, metavar="DEVICE",
                 help="Device to measure on."),
    click.option("-hint", "--perf_hint", "hint", type=click.Choice(list(HINTS)),
                 help="Performance hint (default: throughput, latency with -api sync, none with -nstreams)."),
    click.option("-api", "--api_type", "api", type=click.Choice(["sync", "async"]),
                 help="sync: one request at a time (default: async)."),
    click.option("-niter", "--number_iterations", "iterations", type=click.IntRange(min=0), metavar="N",
                 help="Number of requests; 0 to compile the model only."),
    click.option("-max_irate", "--maximum_inference_rate", "rate", type=click.FloatRange(min=0), default=0.0,
                 metavar="FPS", help="Send images at this rate; latency counts from the arrival of an image."),
    click.option("-t", "--time", "time_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
                 help="Duration of the measurement (default: 60, unless -niter is given)."),
    click.option("-b", "--batch_size", "batch", type=click.IntRange(min=1), metavar="N", help="Images per request."),
    click.option("-shape", "-data_shape", "shape", metavar="[N,C,H,W]",
                 help="Shape of the input, of which only the batch size may differ from the model's."),
    click.option("-layout", "layout", metavar="[NCHW]", help="Layout of the input; must be the model's."),
    click.option("-nireq", "--number_infer_requests", "nireq", type=click.IntRange(min=1), metavar="N",
                 help="Number of infer requests."),
    click.option("-nstreams", "--number_streams", "streams", metavar="N|DEVICE:N",
                 help="Number of streams, also as CPU:2 or CPU:2,GPU:3."),
    click.option("-nthreads", "--number_threads", "threads", type=click.IntRange(min=1), metavar="N",
                 help="Number of CPU threads."),
    click.option("-infer_precision", "--infer_precision", "precision", metavar="PRECISION|DEVICE:PRECISION",
                 help=f"Inference precision, {', '.join(INFERENCE_PRECISIONS)} (default: chosen by the device)."),
    click.option("-pin", "--infer_threads_pinning", "pin", type=click.Choice(["YES", "NO"]),
                 help="Bind CPU threads to cores (default: chosen by the device)."),
    click.option("-cdir", "--cache_dir", "model_cache", type=_FOLDER, metavar="DIR", help="Folder of the model cache."),
    click.option("-no_warmup", "--no_warmup", "no_warmup", is_flag=True, help="Measure without a warm-up."),
    click.option("-latency_percentile", "--latency_percentile", "percentile", type=click.IntRange(1, 100), default=50,
                 show_default=True, metavar="P", help="Percentile of the latency to report."),
    click.option("-report_type", "--report_type", "report_type",
                 type=click.Choice(["no_counters", "average_counters"]),
                 help="Write a report; with average_counters also the slowest layers."),
    click.option("-report_folder", "--report_folder", "folder", type=_FOLDER, metavar="DIR",
                 help="Write the report to this folder (default: the current one, with -report_type)."),
    click.option("-json_stats", "as_json", is_flag=True, help="Write the report as JSON instead of CSV."),
    click.option("-pc", "per_layer", is_flag=True, help="Show the time of the slowest layers."),
    click.option("-exec_graph_path", "--exec_graph_path", "graph", type=_FILE, metavar="FILE",
                 help="Write the device's execution graph to this .xml."),
    click.option("-load_config", "load_config", type=_FILE, metavar="FILE",
                 help="JSON file with properties by device, such as {\"CPU\": {\"NUM_STREAMS\": \"2\"}}."),
    click.option("-dump_config", "dump_config", type=_FILE, metavar="FILE",
                 help="Write the properties that were set to this JSON file."),
)  # fmt: skip
