"""Settings of one model on one real device: what can be set there, and what a setting gives."""

from __future__ import annotations

import math
import os
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
from ov_mobilenet.devices.device import compile_model
from ov_mobilenet.devices.device_names import family, parse_device
from ov_mobilenet.devices.device_rules import precisions
from ov_mobilenet.devices.device_settings import INFERENCE_PRECISIONS, DeviceSettings, Hint, InferencePrecision
from ov_mobilenet.errors import UsageError
from ov_mobilenet.ir.files import open_ir
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.defaults import settings_for
from ov_mobilenet.runtime.runnable import Runnable, make_runnable
from ov_mobilenet.runtime.stream import default_requests
from ov_mobilenet.tuning.space import Objective, Precision, Sample, Setting, Space

PrecisionChoice = Literal["own", "any", "int8", "f32", "bf16", "f16"]
PRECISION_CHOICES: tuple[PrecisionChoice, ...] = get_args(PrecisionChoice)

BATCHES = (1, 2, 4, 8, 16, 32)
# Infer requests for each stream. On the CPU a stream of images decodes so many before it infers them.
REQUESTS, TURNS = (1, 2, 4), (2, 4, 8, 16)
# Compiled models that are kept; a search comes back to few.
KEPT = 8
WARM_UP_S = 0.05


class Rig:
    """Compiles and measures settings.

    Attributes:
        xml: the IR that was given.
        device: that is tuned: what AUTO takes here, else as it was given.
    """

    def __init__(
        self,
        xml: Path,
        device: str,
        *,
        objective: Objective,
        mode: Mode,
        images: Sequence[Any],
        core: Any = None,
    ) -> None:
        """Compile the model as it runs when nobody asks for anything.

        Args:
            images: as `Classifier.classify` takes them.
            core: `ov.Core()`, or what stands for it in a test.

        Raises:
            IrError, DeviceError, UsageError: it cannot be run.
        """
        import openvino as ov

        self.xml = xml
        self.device = device
        self._core = core or ov.Core()
        self._objective, self._mode, self._images = objective, mode, images
        self._hint: Hint = "latency" if objective == "latency" else "throughput"
        self._networks: dict[Path, Runnable] = {}
        self._ready: OrderedDict[Setting, tuple[Inference | EndToEnd, Classifier]] = OrderedDict()
        first = self._load(xml, DeviceSettings(device=device, hint=self._hint), None)
        if parse_device(device).plugin == "AUTO" and "," not in first.device:
            self.device = first.device.strip("()")
        self._first = first
        self._streams = first.compiled(None).streams

    def space(self, choice: PrecisionChoice = "own") -> Space:
        """Where a search may go on this device.

        Args:
            choice: `own`: the device's own choice of inference precision; `any`: each it has, and INT8 where such an IR
                lies in `FP16-INT8` beside; else this one alone.

        Raises:
            UsageError: there is no INT8 IR beside this one.
        """
        own = self._first.compiled(None)
        kind = family(self.device) if parse_device(self.device).plugin is None else ""
        one_request = self._objective == "latency"
        batch = 1 if one_request and self._first.input_size is not None else own.batch
        if self._mode == "end-to-end" and not one_request:
            batch = settings_for(DeviceSettings(device=self.device), len(self._images))[1] or batch
        found = tuple(self._precisions(choice))
        fixed = one_request or kind in ("NPU", "") or self._first.input_size is None
        batches = {batch} if fixed else {*BATCHES, batch}
        requests: tuple[int | None, ...] = (1,) if one_request else self._requests(own.requests)
        cores = _cores() if kind == "CPU" else 1
        return Space(
            start=Setting(found[0], batch, requests=1 if one_request else None),
            precisions=found,
            batches=tuple(sorted(batches)),
            streams=(None,) if one_request else _around(_doubled(self._most_streams(kind)), own.streams),
            requests=requests,
            threads=_around(_doubled(cores), cores),
        )

    @property
    def own_precision(self) -> InferencePrecision | None:
        """What the device computes in when nobody asks; None where it does not say."""
        own = self._first.inference_precision
        return None if own is None else _as_precision(own)

    def reference(self) -> Precision:
        """What the accuracy of others is compared with: the IR that was given at f32, where the device has that."""
        if self.own_precision != "f32" and "f32" in self._told():
            return Precision(self.xml, "f32", "f32")
        return next(self._precisions("own"))

    def settings(self, setting: Setting) -> DeviceSettings:
        """A setting as the runtime takes it."""
        streams = setting.streams or self._streams
        requests = setting.requests
        return DeviceSettings(
            device=self.device,
            hint=self._hint if setting.streams is None else None,
            inference_precision=setting.precision.inference,
            streams=setting.streams,
            threads=setting.threads,
            nireq=1 if self._objective == "latency" else None if requests is None else requests * streams,
        )

    def measure(self, setting: Setting, seconds: float) -> Sample:
        """Run it for so many seconds, after a warm-up. Raises: DeviceError, UsageError: it cannot be run."""
        if setting not in self._ready:
            self._ready[setting] = self._subject(setting)
        self._ready.move_to_end(setting)
        subject, classifier = self._ready[setting]
        while len(self._ready) > KEPT:
            self._ready.popitem(last=False)
        subject.run(Limit(WARM_UP_S))
        meter, cpu = Meter(), process_time()
        run = subject.run(Limit(seconds))
        used = process_time() - cpu
        joules = meter.read(run.count).energy_per_image_j
        return Sample(
            throughput_fps=run.fps,
            p95_ms=nearest_rank(sorted(run.latencies_ms), 950),
            images_per_cpu_s=run.count / used if used > 0 else None,
            images_per_j=1 / joules if joules else None,
            inference_precision=classifier.inference_precision,
            streams=subject.model.streams,
            requests=subject.requests,
        )

    def _subject(self, setting: Setting) -> tuple[Inference | EndToEnd, Classifier]:
        classifier = self._load(setting.precision.xml, self.settings(setting), setting.batch)
        if self._mode == "end-to-end":
            return EndToEnd(classifier, self._images, batch=setting.batch, requests=None), classifier
        return Inference(classifier, self._images, batch=setting.batch), classifier

    def _load(self, xml: Path, settings: DeviceSettings, batch: int | None) -> Classifier:
        if xml not in self._networks:
            self._networks[xml] = make_runnable(open_ir(xml))
        return self._networks[xml].compile(partial(compile_model, core=self._core), settings, batch_size=batch)

    def _precisions(self, choice: PrecisionChoice) -> Iterator[Precision]:
        quantised = self.xml.parent.with_name("FP16-INT8") / self.xml.name
        is_quantised = quantised == self.xml
        own = self._first.inference_precision
        if choice in ("own", "any"):
            yield Precision(self.xml, None, "INT8" if is_quantised else own or "own")
        if choice in INFERENCE_PRECISIONS:
            yield Precision(self.xml, choice, choice)
        if choice == "any":
            for name in self._told():
                if name != own:
                    yield Precision(self.xml, _as_precision(name), name)
        if choice == "int8" and is_quantised:
            yield Precision(self.xml, None, "INT8")
        elif choice in ("any", "int8") and quantised.is_file() and not is_quantised:
            yield Precision(quantised, None, "INT8")
        elif choice == "int8":
            raise UsageError(
                "there is no INT8 IR beside this one", where=self.xml, expected=quantised,
                fix=f"Make it: ov-mobilenet quantize {self.xml} --calibration DIR",
            )  # fmt: skip

    def _told(self) -> tuple[str, ...]:
        """The inference precisions that the device says it has."""
        return precisions(self._core, self.device) if parse_device(self.device).plugin is None else ()

    def _requests(self, own: int) -> tuple[int | None, ...]:
        turn = default_requests(self._first, self._first.compiled(None)) if self._mode == "end-to-end" else None
        values, a_stream = (TURNS, turn / self._streams) if turn else (REQUESTS, own / self._streams)
        return _around(values, a_stream)

    def _most_streams(self, kind: str) -> int:
        """1 where they cannot be set."""
        if kind not in ("CPU", "GPU"):
            return 1
        try:
            most = int(self._core.get_property(self.device, "RANGE_FOR_STREAMS")[1])
        except RuntimeError:
            return 1
        return min(most, _cores()) if kind == "CPU" else most


def _around(values: Iterable[int], own: float) -> tuple[int | None, ...]:
    """The values in rising order, and None in the place of the device's own."""
    places: list[tuple[float, int | None]] = [(value, value) for value in values if value != own]
    return tuple(value for _, value in sorted([*places, (own, None)], key=lambda place: place[0]))


def _doubled(most: int) -> list[int]:
    """1, 2, 4, … and the most."""
    return sorted({1 << power for power in range(int(math.log2(most)) + 1)} | {most})


def _cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _as_precision(name: str) -> InferencePrecision:
    return next(one for one in INFERENCE_PRECISIONS if one == name)
