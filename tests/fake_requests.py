"""Simulated infer requests: how long they take and when they fail is set by `Behaviour`.

They hold real `ov.Tensor`s, and behave like OpenVINO's in what has caused errors: the next run overwrites the output
tensor, a running request cannot be started, and waiting for a cancelled request raises.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

DEVICE_LOST = "[GPU] CL_OUT_OF_RESOURCES: device lost"
CANCELLED = "Infer Request was canceled"
BUSY = "Infer Request is busy"


class FakeClock:
    """A clock that only advances when a request is waited for; call it in place of `perf_counter`."""

    def __init__(self) -> None:
        self._now = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """The simulated time in seconds."""
        return self._now

    def advance_to(self, moment: float) -> None:
        with self._lock:
            self._now = max(self._now, moment)


def marked(frames: NDArray[np.uint8], classes: int) -> NDArray[np.float32]:
    """Probabilities that tell the frames apart: the best class is the first byte of the frame modulo `classes`."""
    rows = np.full((len(frames), classes), 0.1 / max(1, classes - 1), np.float32)
    rows[np.arange(len(frames)), frames.reshape(len(frames), -1)[:, 0].astype(int) % classes] = 0.9
    return rows


@dataclass(frozen=True)
class Behaviour:
    """What the device does with the requests, which are numbered from 0 in the order of their start.

    Attributes:
        clock: the clock on which service times pass; without one a request ends when it is waited for.
        real_time: service times pass in real time, each request on its own stream.
        service_s: duration of a request in seconds, or a function from its number to seconds.
        streams: number of requests that are executed in parallel on `clock`.
        dies_after: the device is lost after this number of starts; None for never.
        dies_at_start: whether `start_async` raises on a lost device; otherwise waiting does.
        hangs: requests that never end, unless they are cancelled.
        nan: requests that return NaN.
        fails: requests that fail; the device stays usable.
        gate: requests end only while this is set.
        answer: (frames, classes) -> probabilities (len(frames), classes).
    """

    clock: FakeClock | None = None
    real_time: bool = False
    service_s: float | Callable[[int], float] = 0.0
    streams: int = 1
    dies_after: int | None = None
    dies_at_start: bool = False
    hangs: Container[int] = ()
    nan: Container[int] = ()
    fails: Container[int] = ()
    gate: threading.Event | None = None
    answer: Callable[[NDArray[np.uint8], int], NDArray[np.float32]] = marked


@dataclass
class Tally:
    """Counts over all requests of a compiled model."""

    created: int = 0
    started: int = 0
    running: int = 0
    max_running: int = 0
    cancelled: int = 0
    lost: bool = False
    free_at: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class FakeRequest:
    """One infer request. Like OpenVINO's, `cancel` may be called while another thread waits."""

    def __init__(self, behaviour: Behaviour, tally: Tally, inputs: list[Any], outputs: list[Any]) -> None:
        self._behaviour = behaviour
        self._tally = tally
        self._inputs = [_tensor(port) for port in inputs]
        self._outputs = [_tensor(port) for port in outputs]
        self._number = -1
        self._began = self._ends = self._ends_in_real_time = 0.0
        self._ended = threading.Event()
        self._ended.set()
        self._failure: str | None = None
        self._latency = 0.0

    @property
    def latency(self) -> float:
        """Duration of the last run in milliseconds."""
        return self._latency

    def set_input_tensor(self, *arguments: Any) -> None:
        """`(tensor)` or `(index, tensor)`."""
        index, tensor = arguments if len(arguments) == 2 else (0, arguments[0])
        self._check_idle()
        self._inputs[index] = tensor

    def get_input_tensor(self, index: int = 0) -> ov.Tensor:
        return self._inputs[index]

    def get_output_tensor(self, index: int = 0) -> ov.Tensor:
        return self._outputs[index]

    @property
    def output_tensors(self) -> list[ov.Tensor]:
        return list(self._outputs)

    def start_async(self, inputs: Any = None, userdata: Any = None, share_inputs: bool = False) -> None:
        self._check_idle()
        if inputs is not None:
            given = inputs if isinstance(inputs, list | tuple) else [inputs]
            self._inputs = [_as_tensor(value, shared=share_inputs) for value in given]
        behaviour, tally = self._behaviour, self._tally
        with tally.lock:
            number = tally.started
            tally.started += 1
            if behaviour.dies_after is not None and number >= behaviour.dies_after:
                tally.lost = True
            if tally.lost and behaviour.dies_at_start:
                raise RuntimeError(DEVICE_LOST)
            tally.running += 1
            tally.max_running = max(tally.max_running, tally.running)
            service = behaviour.service_s(number) if callable(behaviour.service_s) else behaviour.service_s
            self._began = behaviour.clock() if behaviour.clock is not None else 0.0
            self._ends_in_real_time = time.monotonic() + service
            tally.free_at = tally.free_at or [0.0] * behaviour.streams
            stream = tally.free_at.index(min(tally.free_at))
            self._ends = tally.free_at[stream] = max(self._began, tally.free_at[stream]) + service
        self._number, self._failure = number, None
        self._ended.clear()

    def wait_for(self, timeout: int) -> bool:
        """Whether the request ends within `timeout` milliseconds. Raises: RuntimeError, if the run failed."""
        if not self._ended.is_set():
            self._wait(timeout / 1e3)
        if not self._ended.is_set():
            return False
        self._raise()
        return True

    def wait(self) -> None:
        if not self._ended.is_set():
            self._wait(None)
        self._raise()

    def cancel(self) -> None:
        with self._tally.lock:
            if self._ended.is_set():
                return
            self._tally.cancelled += 1
        self._finish(CANCELLED)

    def infer(self, inputs: Any = None, share_inputs: bool = False, share_outputs: bool = False) -> None:
        self.start_async(inputs, share_inputs=share_inputs)
        self.wait()

    def _wait(self, timeout: float | None) -> None:
        """Let time pass: on the simulated clock, or in real time for a request that hangs and with `real_time`."""
        behaviour = self._behaviour
        if self._number in behaviour.hangs:
            if behaviour.clock is not None and timeout is not None:
                behaviour.clock.advance_to(behaviour.clock() + timeout)
            else:
                self._ended.wait(timeout)
            return
        if behaviour.gate is not None and not behaviour.gate.wait(timeout):
            return
        if behaviour.real_time:
            left = max(0.0, self._ends_in_real_time - time.monotonic())
            wait_s = left if timeout is None else min(left, timeout)
            if self._ended.wait(wait_s) or wait_s < left:  # cancelled, or not done yet
                return
        if behaviour.clock is not None:
            until = self._ends if timeout is None else min(self._ends, behaviour.clock() + timeout)
            behaviour.clock.advance_to(until)
            if behaviour.clock() < self._ends:
                return
        if self._tally.lost:
            self._finish(DEVICE_LOST)
        elif self._number in behaviour.fails:
            self._finish("[GPU] this request failed")
        else:
            self._answer()
            self._finish(None)

    def _answer(self) -> None:
        for index, port in enumerate(self._outputs):
            rows = self._behaviour.answer(np.asarray(self._inputs[0].data), port.shape[-1])
            if self._number in self._behaviour.nan:
                rows = np.full_like(rows, np.nan)
            if tuple(port.shape) != rows.shape:
                self._outputs[index] = ov.Tensor(np.ascontiguousarray(rows, np.float32))
            else:
                port.data[:] = rows

    def _finish(self, failure: str | None) -> None:
        with self._tally.lock:
            if self._ended.is_set():
                return
            self._tally.running -= 1
            self._failure = failure
            self._latency = (self._ends - self._began) * 1e3
            self._ended.set()

    def _raise(self) -> None:
        if self._failure is not None:
            raise RuntimeError(self._failure)

    def _check_idle(self) -> None:
        if not self._ended.is_set():
            raise RuntimeError(BUSY)


def _tensor(port: Any) -> ov.Tensor:
    shape = port.get_partial_shape()
    sizes = [1 if dimension.is_dynamic else dimension.get_length() for dimension in shape]
    return ov.Tensor(port.get_element_type(), ov.Shape(sizes))


def _as_tensor(value: Any, *, shared: bool) -> ov.Tensor:
    return value if isinstance(value, ov.Tensor) else ov.Tensor(np.ascontiguousarray(value), shared_memory=shared)
