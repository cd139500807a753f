"""Time per layer, from the performance counters of the device.

A GPU reports the last request, and a CPU the average of all requests so far. The median of many readings is used for
both, so that neither a slow first request nor a disturbance changes the result.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ov_mobilenet.benchmarking.measurement import Layers, LayerTime, LayerType

REQUESTS = 200
TOP = 20
COUNTERS = ("PERF_COUNT", "YES")


@dataclass(frozen=True)
class _Layer:
    name: str
    type: str
    implementation: str | None
    precision: str | None


def per_layer(compiled: Any, request: Any, *, requests: int = REQUESTS, top: int = TOP) -> Layers:
    """Run a request many times and take the median time of each layer.

    Args:
        compiled: a model compiled with `COUNTERS`.
        request: an infer request of it, with its inputs set.
        requests: how many times to run it.
        top: how many of the slowest layers to list.
    """
    precisions = running_precisions(compiled)
    seconds: dict[_Layer, list[float]] = defaultdict(list)
    for _ in range(requests):
        request.infer()
        for info in request.get_profiling_info():
            if info.status == info.Status.EXECUTED:
                name = str(info.node_name)
                kernel = str(info.exec_type) or None
                precision = precisions.get(name) or _kernel_precision(kernel)
                layer = _Layer(name, str(info.node_type), kernel, precision)
                seconds[layer].append(info.real_time.total_seconds())
    return summarise({layer: statistics.median(values) * 1e3 for layer, values in seconds.items()}, requests, top)


def summarise(times_ms: dict[_Layer, float], requests: int, top: int) -> Layers:
    """Layers and layer types, slowest first, then by name."""
    total = sum(times_ms.values())

    def share(value: float) -> float:
        return value / total if total else 0.0

    slowest = sorted(times_ms, key=lambda layer: (-times_ms[layer], layer.name))[:top]
    by_type: dict[tuple[str, str | None], list[float]] = defaultdict(list)
    for layer, value in times_ms.items():
        by_type[layer.type, layer.precision].append(value)
    types = [
        LayerType(kind, precision, len(times), sum(times), share(sum(times)))
        for (kind, precision), times in by_type.items()
    ]
    return Layers(
        requests,
        total,
        tuple(
            LayerTime(layer.name, layer.type, layer.implementation, layer.precision, value, share(value))
            for layer, value in ((layer, times_ms[layer]) for layer in slowest)
        ),
        tuple(sorted(types, key=lambda kind: (-kind.time_ms, kind.type, kind.precision or ""))),
    )


def running_precisions(compiled: Any) -> dict[str, str]:
    """The precision that each layer runs in, by its name; empty if the device has no execution graph."""
    try:
        operations: Iterable[Any] = compiled.get_runtime_model().get_ordered_ops()
    except (RuntimeError, AttributeError):
        return {}
    precisions = {}
    for operation in operations:
        info = operation.get_rt_info()
        if "runtimePrecision" in info:
            precisions[str(operation.get_friendly_name())] = str(info["runtimePrecision"].astype(str)).lower()
    return precisions


def write_exec_graph(compiled: Any, xml: Path) -> Path:
    """Write the execution graph as an IR without weights, which Netron can show. Raises RuntimeError, OSError."""
    import openvino as ov

    xml.parent.mkdir(parents=True, exist_ok=True)
    ov.serialize(compiled.get_runtime_model(), xml, xml.with_suffix(".bin"))
    return xml


def _kernel_precision(implementation: str | None) -> str | None:
    """The precision in a kernel's name, such as bf16 in `brgconv_avx512_bf16`; None if it ends in something else."""
    ending = (implementation or "").rpartition("_")[2].lower()
    return ending if ending in ("f32", "f16", "bf16", "i8", "u8", "i32") else None
