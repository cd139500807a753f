"""`benchmark`: one network, one device, one set of settings, measured one way."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ov_mobilenet.benchmarking import layers
from ov_mobilenet.benchmarking.inputs import RANDOM, inputs_of
from ov_mobilenet.benchmarking.latency import histogram, spread, summary
from ov_mobilenet.benchmarking.loops import Limit, TimedRun
from ov_mobilenet.benchmarking.measurement import Asked, Layers, MeasuredNetwork, Measurement, Mode, Resources, StartUp
from ov_mobilenet.benchmarking.resources import Meter
from ov_mobilenet.benchmarking.workloads import EndToEnd, Inference, Subject
from ov_mobilenet.devices.compile import Compiled, compile_model
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import DeviceError, UsageError
from ov_mobilenet.images.load_image import Decode
from ov_mobilenet.ir.files import ir_digest
from ov_mobilenet.resolve import Lookup, open_model
from ov_mobilenet.runtime.defaults import MANY_IMAGES, settings_for, throughput_unless_asked
from ov_mobilenet.runtime.runnable import Runnable, make_runnable

if TYPE_CHECKING:
    import openvino as ov

MODES: tuple[Mode, ...] = ("inference", "end-to-end")


@dataclass(frozen=True)
class Workload:
    """How something is measured.

    Attributes:
        batch: images per request; None for the model's own, and end to end for what `classify` takes.
        time_s: for how long, above 0; None for `iterations` alone.
        iterations: how many requests, or end to end images; None for `time_s` alone.
        warmup_s: for how long it runs before it is timed.
        max_rate: images per second that come by themselves; None for as many as the device can do.
        input: a folder of images, or "random" for made up ones.
        decode: how image files are read.
        start_up: measure compilation and the first inference apart as well.
        per_layer: measure the layers apart as well.
        exec_graph: write the graph that really runs there, an `.xml`.

    Raises:
        UsageError: a number is out of range.
    """

    mode: Mode = "inference"
    batch: int | None = None
    time_s: float | None = 10.0
    iterations: int | None = None
    warmup_s: float = 0.5
    max_rate: float | None = None
    input: Path | str = RANDOM
    decode: Decode = "auto"
    start_up: bool = True
    per_layer: bool = False
    exec_graph: Path | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UsageError("unknown mode", expected=" or ".join(MODES), got=repr(self.mode))
        numbers = {"batch": self.batch, "time_s": self.time_s, "iterations": self.iterations, "max_rate": self.max_rate}
        for name, value in numbers.items():
            if value is not None and value <= 0:
                raise UsageError(f"bad {name}", expected="above 0", got=value)
        if self.time_s is None and self.iterations is None:
            raise UsageError("no end", expected="time_s or iterations")


def benchmark(
    model: str | Path,
    *,
    settings: DeviceSettings | None = None,
    workload: Workload | None = None,
    config_dirs: Iterable[Path] = (),
    cache_dir: Path | None = None,
    offline: bool = False,
    **kinds: Any,
) -> Measurement:
    """Measure how many images per second a model does, and how long each takes.

    Inference alone is what OpenVINO's `benchmark_app` measures: inputs prepared once, no post-processing. End to end is
    `Classifier.stream` from image files to classes, as `classify` runs it.

    Args:
        model: a zoo name, the path of a `model.yml`, or the path of an IR `.xml`.
        settings: all that can be asked of a device; without a hint and without streams, throughput is asked for.
        workload: all that can be said of the measurement.
        config_dirs, cache_dir, offline: as for `load_classifier`.
        kinds: fields of `DeviceSettings` and of `Workload`, instead of these two: `device="CPU", time_s=3`.

    Raises:
        UsageError: a setting is wrong, given twice or unknown.
        UnknownModelError, DownloadError, ConversionError, IrError, DeviceError: as `load_classifier`.
        ImageError: none of the images can be read.
    """
    chosen, how = _from_kinds(settings, workload, kinds)
    chosen = throughput_unless_asked(chosen)
    network = make_runnable(open_model(model, Lookup(tuple(config_dirs), cache_dir, offline)))
    return Bench(network, chosen, how).measure()


def _from_kinds(
    settings: DeviceSettings | None, workload: Workload | None, kinds: dict[str, Any]
) -> tuple[DeviceSettings, Workload]:
    found: list[Any] = []
    for given, kind in ((settings, DeviceSettings), (workload, Workload)):
        own = {name: kinds.pop(name) for name in list(kinds) if name in kind.__dataclass_fields__}
        if given is not None and own:
            raise UsageError("settings are given twice", expected=kind.__name__, got=", ".join(own))
        found.append(given if given is not None else kind(**own))
    if kinds:
        raise UsageError("no such setting", got=", ".join(kinds))
    return found[0], found[1]


class Bench:
    """A network on a device, compiled and ready to be measured as often as wanted."""

    def __init__(
        self,
        network: Runnable,
        settings: DeviceSettings,
        how: Workload,
        *,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Compile, and prepare what is fed.

        Raises:
            DeviceError: the device cannot run the network.
            UsageError: a setting that the device does not take, a folder without images.
            ImageError: none of the images can be read.
        """
        self.network, self.settings, self.how = network, settings, how
        self._clock = clock
        self._compiled: Compiled
        self._compile_ms = 0.0
        inputs = inputs_of(how.input)
        batch = how.batch
        if how.mode == "end-to-end" and batch is None and network.geometry is not None:
            _, batch = settings_for(settings, how.iterations or MANY_IMAGES)
        self.classifier = network.compile(self._compile, settings, batch_size=batch, decode=how.decode)
        first = self.classifier.compiled(batch).model.create_infer_request()
        begun = clock()
        if self.classifier.input_size is not None:
            first.infer()
        self._first_ms = (clock() - begun) * 1e3
        self.subject: Subject
        if how.mode == "inference":
            one = settings.asked().get("PERFORMANCE_HINT") == "LATENCY"
            self.subject = Inference(self.classifier, inputs, batch=batch, one=one, clock=clock)
        else:
            self.subject = EndToEnd(self.classifier, inputs, batch=batch, requests=settings.nireq, clock=clock)

    def _compile(self, model: ov.Model, settings: DeviceSettings) -> Compiled:
        begun = self._clock()
        # Where compilation is measured, it is without a cache.
        self._compiled = compile_model(model, replace(settings, model_cache="off") if self.how.start_up else settings)
        self._compile_ms = (self._clock() - begun) * 1e3
        self._formed = model
        return self._compiled

    def warm_up(self) -> None:
        """Run untimed."""
        if self.how.warmup_s > 0:
            limit = Limit(self.how.warmup_s, 4 * self.how.iterations if self.how.iterations is not None else None)
            self.subject.run(limit)

    def run(self, time_s: float | None = None) -> TimedRun:
        """Time it once; for so many seconds instead of its own end. Raises: DeviceError."""
        how = self.how
        limit = Limit(how.time_s, how.iterations) if time_s is None else Limit(time_s)
        return self.subject.run(limit, how.max_rate)

    def measure(self) -> Measurement:
        """Warm up, time it, and tell all of it. Raises: DeviceError, ImageError."""
        self.warm_up()
        meter = Meter(clock=self._clock)
        run = self.run()
        return self.told(run, meter.read(run.count))

    def told(self, run: TimedRun, resources: Resources) -> Measurement:
        """What was found in a run, with what is measured apart. Raises: DeviceError, where nothing was answered."""
        if not run.ends:
            raise DeviceError("nothing was answered within the time", fix="Give it more with --time")
        made, how = self._compiled, self.how
        stages = {name: summary(values) for name, values in run.stages_ms.items()} or None
        start_up = StartUp(self._compile_ms, self._first_ms, self._cached_compile_ms()) if how.start_up else None
        counted, graph = self._layers() if how.per_layer or how.exec_graph is not None else (None, None)
        name, version = _names(made.device)
        return Measurement(
            network=described(self.network),
            mode=how.mode,
            device=made.device,
            device_name=name,
            device_version=version,
            inference_precision=made.inference_precision,
            num_streams=made.num_streams,
            infer_requests=self.subject.requests,
            batch=self.subject.model.batch,
            properties=dict(made.properties),
            throughput_fps=run.fps,
            count=run.count,
            requests=len(run.ends) if how.mode == "inference" else -(-run.count // self.subject.model.batch),
            failed=run.failed,
            duration_s=run.duration_s,
            latency_ms=summary(run.latencies_ms),
            histogram=histogram(run.latencies_ms),
            spread=spread(run.ends, run.begun, run.images),
            stages_ms=stages,
            open_loop=run.open_loop,
            start_up_ms=start_up,
            resources=resources,
            layers=counted if how.per_layer else None,
            exec_graph=graph,
            asked=self._asked(),
        )

    def _cached_compile_ms(self) -> float | None:
        """Compile once to fill a cache of compiled models, and once from it; None where the device keeps none."""
        if self.settings.model_cache == "off":
            return None
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
            folder = self.settings.model_cache or Path(temporary)
            cached = replace(self.settings, model_cache=folder)
            compile_model(self._formed, cached)
            if not any(folder.iterdir()):
                return None
            begun = self._clock()
            compile_model(self._formed, cached)
            return (self._clock() - begun) * 1e3

    def _layers(self) -> tuple[Layers | None, str | None]:
        counting = replace(self.settings, properties=(*self.settings.properties, layers.COUNTERS), model_cache="off")
        compiled = compile_model(self._formed, counting).model
        counted = graph = None
        if self.how.per_layer:
            counted = layers.per_layer(compiled, self._request(compiled))
        if self.how.exec_graph is not None:
            graph = str(layers.write_exec_graph(compiled, self.how.exec_graph))
        return counted, graph

    def _request(self, compiled: Any) -> Any:
        """A request with an image in it."""
        import numpy as np
        import openvino as ov

        from ov_mobilenet.runtime.items import as_item

        image = inputs_of(self.how.input)[0]
        frame = self.classifier.prepare(as_item(image, "image 0")).frame
        request = compiled.create_infer_request()
        request.set_input_tensor(ov.Tensor(np.stack([frame] * self.subject.model.batch)))
        return request

    def _asked(self) -> Asked:
        settings, how = self.settings, self.how
        return Asked(
            device=settings.device,
            hint=settings.hint,
            inference_precision=settings.inference_precision,
            streams=settings.streams,
            threads=settings.threads,
            nireq=settings.nireq,
            pinning=settings.pinning,
            properties=dict(settings.properties),
            batch=how.batch,
            time_s=how.time_s,
            iterations=how.iterations,
            warmup_s=how.warmup_s,
            max_rate=how.max_rate,
            input=str(how.input),
            images=self.subject.images,
            decode=how.decode,
        )


def described(runnable: Runnable) -> MeasuredNetwork:
    """Which network it is; reads the whole IR."""
    from ov_mobilenet.ir.files import read_ir

    xml = runnable.xml
    shape = read_ir(xml).inputs[0].get_partial_shape()
    sizes = tuple(-1 if size.is_dynamic else size.get_length() for size in shape)
    precision = runnable.record.precision if runnable.record is not None else None
    return MeasuredNetwork(xml.stem, str(xml), ir_digest(xml), precision, sizes)


def _names(devices: str) -> tuple[str | None, str | None]:
    """The hardware's name and the plugin's version, of each device; None where a plugin fails."""
    import openvino as ov

    core = ov.Core()
    try:
        names = [str(core.get_property(name, "FULL_DEVICE_NAME")).strip() for name in devices.split(",")]
        versions = [str(core.get_versions(name)[name].build_number) for name in devices.split(",")]
    except (RuntimeError, KeyError):
        return None, None
    return ", ".join(names), ", ".join(dict.fromkeys(versions))
