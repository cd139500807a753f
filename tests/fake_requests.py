"""Infer requests of a device that does not exist: how long they take and when they fail is told beforehand.

They hold real `ov.Tensor`s, and behave as OpenVINO's do where that has bitten: the output tensor is written again by
the next run, a request that runs cannot be started, one that was cancelled raises when it is waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import openvino as ov

DEVICE_LOST = "[GPU] CL_OUT_OF_RESOURCES: device lost"
CANCELLED = "Infer Request was canceled"
BUSY = "Infer Request is busy"


class FakeClock:
    """A clock that stands still until somebody waits; call it where `perf_counter` would be called."""

    def __init__(self) -> None:
        self._now = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Seconds."""
        return self._now

    def advance_to(self, moment: float) -> None:
        with self._lock:
            self._now = max(self._now, moment)


def marked(frames: np.ndarray, classes: int) -> np.ndarray:
    """Rows of probabilities that tell the frames apart: the class is the frame's first byte, modulo the classes."""
    rows = np.full((len(frames), classes), 0.1 / max(1, classes - 1), np.float32)
    rows[np.arange(len(frames)), frames.reshape(len(frames), -1)[:, 0].astype(int) % classes] = 0.9
    return rows


@dataclass(frozen=True)
class Behaviour:
    """What the device does with the requests, which are counted from 0 in the order they are started.

    Attributes:
        clock: with it, service times pass on it; without, a request is done as soon as it is waited for.
        service_s: seconds that one request takes, or a function from its number to seconds.
        streams: how many requests the device works on at a time.
        dies_after: the device is lost once this many were started; None for never.
        dies_at_start: whether a lost device shows in `start_async`, or else only when it is waited for.
        hangs: requests that never end, until they are cancelled.
        nan: requests that answer NaN.
        fails: requests that fail alone; the device lives on.
        answer: (frames, classes) -> (len(frames), classes).
    """

    clock: FakeClock | None = None
    service_s: float | Callable[[int], float] = 0.0
    streams: int = 1
    dies_after: int | None = None
    dies_at_start: bool = False
    hangs: Container[int] = ()
    nan: Container[int] = ()
    fails: Container[int] = ()
    answer: Callable[[np.ndarray, int], np.ndarray] = marked


@dataclass
class Tally:
    """What happened, over all requests of a compiled model."""

    created: int = 0
    started: int = 0
    running: int = 0
    max_running: int = 0
    cancelled: int = 0
    lost: bool = False
    free_at: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class FakeRequest:
    """One infer request. Thread-safe as OpenVINO's: `cancel` may come from anywhere while another thread waits."""

    def __init__(self, behaviour: Behaviour, tally: Tally, inputs: list[Any], outputs: list[Any]) -> None:
        self._behaviour = behaviour
        self._tally = tally
        self._inputs = [_tensor(port) for port in inputs]
        self._outputs = [_tensor(port) for port in outputs]
        self._number = -1
        self._began = self._ends = 0.0
        self._ended = threading.Event()
        self._ended.set()
        self._trouble: str | None = None
        self._latency = 0.0

    @property
    def latency(self) -> float:
        """Milliseconds of the last run."""
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
            tally.free_at = tally.free_at or [0.0] * behaviour.streams
            stream = tally.free_at.index(min(tally.free_at))
            self._ends = tally.free_at[stream] = max(self._began, tally.free_at[stream]) + service
        self._number, self._trouble = number, None
        self._ended.clear()

    def wait_for(self, timeout: int) -> bool:
        """Whether the request ended within so many milliseconds. Raises: RuntimeError, as the run did."""
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
        """Let time pass on the fake clock; on the real one only for a request that hangs."""
        behaviour = self._behaviour
        if self._number in behaviour.hangs:
            if behaviour.clock is not None and timeout is not None:
                behaviour.clock.advance_to(behaviour.clock() + timeout)
            else:
                self._ended.wait(timeout)
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

    def _finish(self, trouble: str | None) -> None:
        with self._tally.lock:
            if self._ended.is_set():
                return
            self._tally.running -= 1
            self._trouble = trouble
            self._latency = (self._ends - self._began) * 1e3
            self._ended.set()

    def _raise(self) -> None:
        if self._trouble is not None:
            raise RuntimeError(self._trouble)

    def _check_idle(self) -> None:
        if not self._ended.is_set():
            raise RuntimeError(BUSY)


def _tensor(port: Any) -> ov.Tensor:
    shape = port.get_partial_shape()
    sizes = [1 if dimension.is_dynamic else dimension.get_length() for dimension in shape]
    return ov.Tensor(port.get_element_type(), ov.Shape(sizes))


def _as_tensor(value: Any, *, shared: bool) -> ov.Tensor:
    return value if isinstance(value, ov.Tensor) else ov.Tensor(np.ascontiguousarray(value), shared_memory=shared)
