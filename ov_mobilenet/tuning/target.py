"""One model on one device: the search space there, and the measurement of a candidate."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any, Literal, get_args

from ov_mobilenet.benchmarking.latency import nearest_rank
from ov_mobilenet.benchmarking.loops import Limit
from ov_mobilenet.benchmarking.measurement import Mode
from ov_mobilenet.benchmarking.resources import Meter
from ov_mobilenet.benchmarking.workloads import EndToEnd, Inference
from ov_mobilenet.devices.compile import compile_model
from ov_mobilenet.devices.names import family, parse_device
from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.devices.rules import precisions
from ov_mobilenet.devices.settings import INFERENCE_PRECISIONS, DeviceSettings, Hint, InferencePrecision
from ov_mobilenet.errors import UsageError
from ov_mobilenet.ir.files import open_ir
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.defaults import settings_for
from ov_mobilenet.runtime.runnable import Runnable, make_runnable
from ov_mobilenet.runtime.stream import default_requests
from ov_mobilenet.tuning.space import Objective, PrecisionOption, Sample, SearchSpace, TuningCandidate

PrecisionChoice = Literal["own", "any", "int8", "f32", "bf16", "f16"]
PRECISION_CHOICES: tuple[PrecisionChoice, ...] = get_args(PrecisionChoice)

BATCHES = (1, 2, 4, 8, 16, 32)
# Infer requests per stream; and, end to end on a CPU, images that a stream decodes before it infers them.
REQUESTS_PER_STREAM, IMAGES_PER_TURN = (1, 2, 4), (2, 4, 8, 16)
# Compiled models kept in memory; a search returns to few of its candidates.
MAX_COMPILED = 8
WARM_UP_S = 0.05


class TuningTarget:
    """A model on a device; compiles and measures candidates.

    Attributes:
        xml: the IR that was given.
        device: the device to tune for: the one that AUTO selects, otherwise the given one.
    """

    def __init__(
        self,
        xml: Path,
        device: str,
        *,
        objective: Objective,
        mode: Mode,
        inputs: Sequence[Any],
        core: Any = None,
    ) -> None:
        """Compile the model with the default settings.

        Args:
            inputs: images, as `Classifier.classify` takes them.
            core: `ov.Core()`, or a fake in tests.

        Raises:
            IrError, DeviceError, UsageError: the model cannot run on this device.
        """
        import openvino as ov

        self.xml = xml
        self.device = device
        self._core = core or ov.Core()
        self._objective, self._mode, self._inputs = objective, mode, inputs
        self._hint: Hint = "latency" if objective == "latency" else "throughput"
        self._networks: dict[Path, Runnable] = {}
        self._compiled: OrderedDict[TuningCandidate, tuple[Inference | EndToEnd, Classifier]] = OrderedDict()
        self._default = self._load(xml, DeviceSettings(device=device, hint=self._hint), None)
        if parse_device(device).plugin == "AUTO" and "," not in self._default.device:
            self.device = self._default.device.strip("()")
        self._default_streams = self._default.compiled(None).streams

    def search_space(self, choice: PrecisionChoice = "own") -> SearchSpace:
        """The search space of this model on this device.

        Args:
            choice: `own`: the device's default inference precision; `any`: every precision of the device, and the INT8
                IR in the folder `FP16-INT8` next to the given IR if there is one; otherwise this precision alone.

        Raises:
            UsageError: `choice` is `int8`, and there is no INT8 IR.
        """
        default = self._default.compiled(None)
        kind = family(self.device) if parse_device(self.device).plugin is None else ""
        one_request = self._objective == "latency"
        batch = 1 if one_request and self._default.input_size is not None else default.batch
        if self._mode == "end-to-end" and not one_request:
            batch = settings_for(DeviceSettings(device=self.device), len(self._inputs))[1] or batch
        options = tuple(self._precision_options(choice))
        fixed = one_request or kind in ("NPU", "") or self._default.input_size is None
        batches = {batch} if fixed else {*BATCHES, batch}
        requests: tuple[int | None, ...] = (1,) if one_request else self._request_counts(default.requests)
        cores = usable_cpus() if kind == "CPU" else 1
        return SearchSpace(
            default=TuningCandidate(options[0], batch, requests=1 if one_request else None),
            precisions=options,
            batches=tuple(sorted(batches)),
            streams=(None,) if one_request else _with_default(_powers_of_2(self._max_streams(kind)), default.streams),
            requests=requests,
            threads=_with_default(_powers_of_2(cores), cores),
        )

    @property
    def default_precision(self) -> InferencePrecision | None:
        """The device's default inference precision; None if the device does not report it."""
        name = self._default.inference_precision
        return None if name is None else _as_inference_precision(name)

    def reference(self) -> PrecisionOption:
        """The precision that the others are compared with: f32 if the device supports it, otherwise its default."""
        if self.default_precision != "f32" and "f32" in self._supported_precisions():
            return PrecisionOption(self.xml, "f32", "f32")
        return next(self._precision_options("own"))

    def settings(self, candidate: TuningCandidate) -> DeviceSettings:
        """The device settings of a candidate."""
        streams = candidate.streams or self._default_streams
        requests = candidate.requests
        return DeviceSettings(
            device=self.device,
            hint=self._hint if candidate.streams is None else None,
            inference_precision=candidate.precision.inference,
            streams=candidate.streams,
            threads=candidate.threads,
            nireq=1 if self._objective == "latency" else None if requests is None else requests * streams,
        )

    def measure(self, candidate: TuningCandidate, seconds: float) -> Sample:
        """Measure a candidate for this many seconds, after a warm-up.

        Raises:
            DeviceError, UsageError: it cannot run.
        """
        if candidate not in self._compiled:
            self._compiled[candidate] = self._workload(candidate)
        self._compiled.move_to_end(candidate)
        workload, classifier = self._compiled[candidate]
        while len(self._compiled) > MAX_COMPILED:
            self._compiled.popitem(last=False)
        workload.run(Limit(WARM_UP_S))
        meter, cpu_s = Meter(), process_time()
        run = workload.run(Limit(seconds))
        used_s = process_time() - cpu_s
        joules = meter.read(run.count).energy_per_image_j
        return Sample(
            throughput_fps=run.fps,
            p95_ms=nearest_rank(sorted(run.latencies_ms), 950),
            images_per_cpu_s=run.count / used_s if used_s > 0 else None,
            images_per_j=1 / joules if joules else None,
            inference_precision=classifier.inference_precision,
            streams=workload.model.streams,
            requests=workload.requests,
        )

    def _workload(self, candidate: TuningCandidate) -> tuple[Inference | EndToEnd, Classifier]:
        classifier = self._load(candidate.precision.xml, self.settings(candidate), candidate.batch)
        if self._mode == "end-to-end":
            return EndToEnd(classifier, self._inputs, batch=candidate.batch, requests=None), classifier
        return Inference(classifier, self._inputs, batch=candidate.batch), classifier

    def _load(self, xml: Path, settings: DeviceSettings, batch: int | None) -> Classifier:
        if xml not in self._networks:
            self._networks[xml] = make_runnable(open_ir(xml))
        return self._networks[xml].compile(partial(compile_model, core=self._core), settings, batch_size=batch)

    def _precision_options(self, choice: PrecisionChoice) -> Iterator[PrecisionOption]:
        quantised = self.xml.parent.with_name("FP16-INT8") / self.xml.name
        is_quantised = quantised == self.xml
        default = self._default.inference_precision
        if choice in ("own", "any"):
            yield PrecisionOption(self.xml, None, "INT8" if is_quantised else default or "own")
        if choice in INFERENCE_PRECISIONS:
            yield PrecisionOption(self.xml, choice, choice)
        if choice == "any":
            for name in self._supported_precisions():
                if name != default:
                    yield PrecisionOption(self.xml, _as_inference_precision(name), name)
        if choice == "int8" and is_quantised:
            yield PrecisionOption(self.xml, None, "INT8")
        elif choice in ("any", "int8") and quantised.is_file() and not is_quantised:
            yield PrecisionOption(quantised, None, "INT8")
        elif choice == "int8":
            raise UsageError(
                "INT8 IR not found", where=self.xml, expected=quantised,
                fix=f"Create it: ov-mobilenet quantize {self.xml} --calibration DIR",
            )  # fmt: skip

    def _supported_precisions(self) -> tuple[str, ...]:
        """The inference precisions that the device reports; none for AUTO, MULTI, HETERO and BATCH."""
        return precisions(self._core, self.device) if parse_device(self.device).plugin is None else ()

    def _request_counts(self, default: int) -> tuple[int | None, ...]:
        """Infer requests per stream; end to end on a CPU, images per turn."""
        turn = None
        if self._mode == "end-to-end":
            turn = default_requests(self._default, self._default.compiled(None))
        if turn:
            return _with_default(IMAGES_PER_TURN, turn / self._default_streams)
        return _with_default(REQUESTS_PER_STREAM, default / self._default_streams)

    def _max_streams(self, kind: str) -> int:
        """The largest number of streams to try; 1 if the device has no such setting."""
        if kind not in ("CPU", "GPU"):
            return 1
        try:
            largest = int(self._core.get_property(self.device, "RANGE_FOR_STREAMS")[1])
        except RuntimeError:
            return 1
        return min(largest, usable_cpus()) if kind == "CPU" else largest


def _with_default(values: Iterable[int], default: float) -> tuple[int | None, ...]:
    """The values in ascending order, with None at the place of the default."""
    pairs: list[tuple[float, int | None]] = [(value, value) for value in values if value != default]
    return tuple(value for _, value in sorted([*pairs, (default, None)], key=lambda pair: pair[0]))


def _powers_of_2(largest: int) -> list[int]:
    """1, 2, 4, … up to the largest value, which is included."""
    return sorted({1 << power for power in range(int(math.log2(largest)) + 1)} | {largest})


def _as_inference_precision(name: str) -> InferencePrecision:
    return next(one for one in INFERENCE_PRECISIONS if one == name)
