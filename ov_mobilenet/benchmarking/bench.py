"""A network compiled for a device, ready to be measured any number of times."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ov_mobilenet.benchmarking import layers
from ov_mobilenet.benchmarking.inputs import inputs_of
from ov_mobilenet.benchmarking.latency import histogram, spread, summary
from ov_mobilenet.benchmarking.loops import Limit, TimedRun
from ov_mobilenet.benchmarking.measurement import (
    Layers,
    MeasuredNetwork,
    Measurement,
    RequestedSettings,
    Resources,
    StartUp,
)
from ov_mobilenet.benchmarking.options import Workload
from ov_mobilenet.benchmarking.resources import Meter
from ov_mobilenet.benchmarking.workloads import EndToEnd, Inference, Runner
from ov_mobilenet.devices.compile import Compiled, compile_model
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import DeviceError
from ov_mobilenet.ir.files import ir_digest
from ov_mobilenet.ir.weight_precision import weight_precision
from ov_mobilenet.runtime.defaults import MANY_IMAGES, settings_for
from ov_mobilenet.runtime.runnable import Runnable

if TYPE_CHECKING:
    import openvino as ov


class Bench:
    """A compiled network and the inputs it is measured on.

    Attributes:
        runner: runs the workload; all measurements of this bench share it.
    """

    def __init__(
        self,
        network: Runnable,
        settings: DeviceSettings,
        workload: Workload,
        *,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Compile the network, run it once, and prepare the inputs.

        Raises:
            DeviceError: the device cannot run the network.
            UsageError: the device does not accept a setting, or the folder holds no images.
            ImageError: none of the images can be read.
        """
        self.network, self.settings, self.workload = network, settings, workload
        self._clock = clock
        self._compiled: Compiled
        self._compile_ms = 0.0
        inputs = inputs_of(workload.input)
        batch = workload.batch
        if workload.mode == "end-to-end" and batch is None and network.geometry is not None:
            _, batch = settings_for(settings, workload.iterations or MANY_IMAGES)
        self.classifier = network.compile(self._compile, settings, batch_size=batch, decode=workload.decode)
        first = self.classifier.compiled(batch).model.create_infer_request()
        begun = clock()
        if self.classifier.input_size is not None:
            first.infer()
        self._first_ms = (clock() - begun) * 1e3
        self.runner: Runner
        if workload.mode == "inference":
            low_latency = settings.requests_latency
            self.runner = Inference(self.classifier, inputs, batch=batch, fewest_requests=low_latency, clock=clock)
        else:
            self.runner = EndToEnd(self.classifier, inputs, batch=batch, requests=settings.nireq, clock=clock)

    def _compile(self, model: ov.Model, settings: DeviceSettings) -> Compiled:
        begun = self._clock()
        # A compile time that is reported must not come from a model cache.
        uncached = replace(settings, model_cache="off") if self.workload.start_up else settings
        self._compiled = compile_model(model, uncached)
        self._compile_ms = (self._clock() - begun) * 1e3
        self._model = model
        return self._compiled

    def warm_up(self) -> None:
        """Run untimed for the workload's warm-up time."""
        iterations = self.workload.iterations
        if self.workload.warmup_s > 0:
            self.runner.run(Limit(self.workload.warmup_s, 4 * iterations if iterations is not None else None))

    def run(self, time_s: float | None = None) -> TimedRun:
        """Run once, timed.

        Args:
            time_s: duration in seconds; None for the limits of the workload.

        Raises:
            DeviceError: the device failed.
        """
        limit = Limit(self.workload.time_s, self.workload.iterations) if time_s is None else Limit(time_s)
        return self.runner.run(limit, self.workload.max_rate)

    def measure(self) -> Measurement:
        """Warm up, run timed, and evaluate.

        Raises:
            DeviceError: the device failed, or completed no request within the time.
            ImageError: none of the images could be classified.
        """
        self.warm_up()
        meter = Meter(clock=self._clock)
        run = self.run()
        return self.evaluate(run, meter.read(run.count))

    def evaluate(self, run: TimedRun, resources: Resources) -> Measurement:
        """The measurement of a timed run; also measures start-up and layers if the workload requests them.

        Raises:
            DeviceError: no request was completed within the time.
        """
        if not run.ends:
            raise DeviceError("no request was completed within the time", fix="Increase --time")
        compiled, workload = self._compiled, self.workload
        start_up = None
        if workload.start_up:
            start_up = StartUp(self._compile_ms, self._first_ms, self._cached_compile_ms())
        layer_times, exec_graph = self._profile()
        device_name, device_version = _hardware(compiled.device)
        batch = self.runner.model.batch
        return Measurement(
            network=describe_network(self.network),
            mode=workload.mode,
            device=compiled.device,
            device_name=device_name,
            device_version=device_version,
            inference_precision=compiled.inference_precision,
            num_streams=compiled.num_streams,
            infer_requests=self.runner.requests,
            batch=batch,
            properties=dict(compiled.properties),
            throughput_fps=run.fps,
            count=run.count,
            requests=len(run.ends) if workload.mode == "inference" else -(-run.count // batch),
            failed=run.failed,
            duration_s=run.duration_s,
            latency_ms=summary(run.latencies_ms),
            histogram=histogram(run.latencies_ms),
            spread=spread(run.ends, run.begun, run.images),
            stages_ms={name: summary(values) for name, values in run.stages_ms.items()} or None,
            open_loop=run.open_loop,
            start_up_ms=start_up,
            resources=resources,
            layers=layer_times,
            exec_graph=exec_graph,
            asked=_requested(self.settings, workload, self.runner.images),
        )

    def _cached_compile_ms(self) -> float | None:
        """Compile twice with a model cache, and time the second; None if the device does not cache compiled models."""
        if self.settings.model_cache == "off":
            return None
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
            given = self.settings.model_cache
            folder = given if isinstance(given, Path) else Path(temporary)
            cached = replace(self.settings, model_cache=folder)
            compile_model(self._model, cached)
            if not any(folder.iterdir()):
                return None
            begun = self._clock()
            compile_model(self._model, cached)
            return (self._clock() - begun) * 1e3

    def _profile(self) -> tuple[Layers | None, str | None]:
        """The time per layer and the path of the execution graph, if the workload requests them."""
        per_layer, exec_graph = self.workload.per_layer, self.workload.exec_graph
        if not per_layer and exec_graph is None:
            return None, None
        properties = (*self.settings.properties, layers.COUNTERS)
        compiled = compile_model(
            self._model, replace(self.settings, properties=properties, model_cache="off")
        ).model  # fmt: skip
        return (
            layers.per_layer(compiled, self._request(compiled)) if per_layer else None,
            str(layers.write_exec_graph(compiled, exec_graph)) if exec_graph is not None else None,
        )

    def _request(self, compiled: Any) -> Any:
        """A request whose input is filled with an image."""
        import numpy as np
        import openvino as ov

        from ov_mobilenet.runtime.items import as_item

        image = inputs_of(self.workload.input)[0]
        frame = self.classifier.prepare(as_item(image, "image 0")).frame
        request = compiled.create_infer_request()
        request.set_input_tensor(ov.Tensor(np.stack([frame] * self.runner.model.batch)))
        return request


def describe_network(runnable: Runnable) -> MeasuredNetwork:
    """Name, path, digest, weight precision and input shape of a network; reads its files for the digest."""
    xml = runnable.xml
    recorded = runnable.record
    precision = weight_precision(runnable.network) if recorded is None else recorded.precision
    return MeasuredNetwork(xml.stem, str(xml), ir_digest(xml), precision, runnable.input_shape)


def _requested(settings: DeviceSettings, workload: Workload, images: int) -> RequestedSettings:
    return RequestedSettings(
        device=settings.device,
        hint=settings.hint,
        inference_precision=settings.inference_precision,
        streams=settings.streams,
        threads=settings.threads,
        nireq=settings.nireq,
        pinning=settings.pinning,
        properties=dict(settings.properties),
        batch=workload.batch,
        time_s=workload.time_s,
        iterations=workload.iterations,
        warmup_s=workload.warmup_s,
        max_rate=workload.max_rate,
        input=str(workload.input),
        images=images,
        decode=workload.decode,
    )


def _hardware(devices: str) -> tuple[str | None, str | None]:
    """Hardware names and plugin versions of comma-separated devices; None where a plugin fails to report them."""
    import openvino as ov

    core = ov.Core()
    try:
        names = [str(core.get_property(name, "FULL_DEVICE_NAME")).strip() for name in devices.split(",")]
        versions = [str(core.get_versions(name)[name].build_number) for name in devices.split(",")]
    except (RuntimeError, KeyError):
        return None, None
    return ", ".join(names), ", ".join(dict.fromkeys(versions))
