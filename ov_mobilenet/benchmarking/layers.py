"""Where the time of a request goes, layer by layer, by the device's own counters.

A GPU tells of the last run, a CPU the average of all runs so far: the median of many readings is taken for both, in
which neither a first slow run nor a disturbance shows.
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
    """Run a request and sum up what each layer took.

    Args:
        compiled: a model compiled with `COUNTERS`.
        request: one of its requests, with its inputs.
        requests: how many runs there are.
        top: how many of the longest layers are given.
    """
    precisions = running_precisions(compiled)
    seconds: dict[_Layer, list[float]] = defaultdict(list)
    for _ in range(requests):
        request.infer()
        for info in request.get_profiling_info():
            if info.status == info.Status.EXECUTED:
                name = str(info.node_name)
                kind = str(info.exec_type) or None
                layer = _Layer(name, str(info.node_type), kind, precisions.get(name) or _precision_of(kind))
                seconds[layer].append(info.real_time.total_seconds())
    return summed({layer: statistics.median(values) * 1e3 for layer, values in seconds.items()}, requests, top)


def summed(times_ms: dict[_Layer, float], requests: int, top: int) -> Layers:
    """Layers and types of layers, the longest first; of equal ones by name."""
    total = sum(times_ms.values())

    def share(value: float) -> float:
        return value / total if total else 0.0

    longest = sorted(times_ms, key=lambda layer: (-times_ms[layer], layer.name))[:top]
    by_type: dict[tuple[str, str | None], list[float]] = defaultdict(list)
    for layer, value in times_ms.items():
        by_type[layer.type, layer.precision].append(value)
    types = [LayerType(kind, form, len(all_), sum(all_), share(sum(all_))) for (kind, form), all_ in by_type.items()]
    return Layers(
        requests,
        total,
        tuple(
            LayerTime(layer.name, layer.type, layer.implementation, layer.precision, value, share(value))
            for layer, value in ((layer, times_ms[layer]) for layer in longest)
        ),
        tuple(sorted(types, key=lambda one: (-one.time_ms, one.type, one.precision or ""))),
    )


def running_precisions(compiled: Any) -> dict[str, str]:
    """The precision of each layer that really runs, by its name; empty where the device has no graph to show."""
    try:
        operations: Iterable[Any] = compiled.get_runtime_model().get_ordered_ops()
    except (RuntimeError, AttributeError):
        return {}
    found = {}
    for operation in operations:
        info = operation.get_rt_info()
        if "runtimePrecision" in info:
            found[str(operation.get_friendly_name())] = str(info["runtimePrecision"].astype(str)).lower()
    return found


def write_exec_graph(compiled: Any, xml: Path) -> Path:
    """Write the graph that really runs, as an IR without weights that Netron shows. Raises: RuntimeError, OSError."""
    import openvino as ov

    xml.parent.mkdir(parents=True, exist_ok=True)
    ov.serialize(compiled.get_runtime_model(), xml, xml.with_suffix(".bin"))
    return xml


def _precision_of(implementation: str | None) -> str | None:
    """The end of `brgconv_avx512_bf16`, where the graph says nothing."""
    ending = (implementation or "").rpartition("_")[2].lower()
    return ending if ending in ("f32", "f16", "bf16", "i8", "u8", "i32") else None
