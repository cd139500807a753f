"""The network under diagnosis: it takes pixels of any normalisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ov_mobilenet.devices.quota_settings import cpu_settings
from ov_mobilenet.diagnosis.candidates import Candidate
from ov_mobilenet.diagnosis.conversion_command import NetworkOrigin
from ov_mobilenet.diagnosis.evidence import Moments, StoredStatistics
from ov_mobilenet.zoo.geometry import Geometry
from ov_mobilenet.zoo.output_kind import OutputKind

if TYPE_CHECKING:
    import openvino as ov
    from numpy.typing import NDArray

    from ov_mobilenet.diagnosis.layer_diagnosis import LayerDiagnosis
    from ov_mobilenet.inputs.image_subset import OnProgress

    Values = NDArray[np.float32]
    """float32 (N, H, W, 3): normalised pixels in the channel order of the network."""

BATCH = 10  # V2 at f32 on 2 cores: 265 images/s; 246 with batch 1 (OpenVINO 2026.4, AMD EPYC)


@dataclass(frozen=True)
class FirstBatchNorm:
    """The first batch norm of a network.

    Attributes:
        moments: what flows into it, from normalised pixels.
    """

    stored: StoredStatistics
    moments: Callable[[Values], Moments]


@dataclass(frozen=True)
class NetworkUnderTest:
    """A network that takes normalised pixels.

    Attributes:
        path: of the IR or of the source network.
        geometry: crop and resize to the size of the input.
        output_kind: what the answers are.
        answers: float32 (N, values) of normalised pixels.
        is_ir: whether the network is an IR, which takes raw BGR pixels if no normalisation is known to be baked.
        baked: the normalisation in the graph of an IR; None if it is not known. The network is fed as if it were not
            there.
        batch_norm: None if the network has none, or none with recorded statistics.
        other_readings: the same network with other normalisations that may be baked, if the IR does not tell which.
        origin: where an IR comes from.
        layers: the settings of the layers from frames, normalisation and seed, see `diagnose_layers`; None unless the
            network is PyTorch weights.
    """

    path: Path
    geometry: Geometry
    output_kind: OutputKind
    answers: Callable[[Values], NDArray[np.float32]]
    is_ir: bool = False
    baked: Candidate | None = None
    batch_norm: FirstBatchNorm | None = None
    other_readings: tuple[NetworkUnderTest, ...] = ()
    origin: NetworkOrigin = field(default_factory=NetworkOrigin)
    layers: Callable[[NDArray[np.uint8], Candidate, int, OnProgress | None], LayerDiagnosis | None] | None = None


def compiled(network: ov.Model, layout: str) -> Callable[[Values], list[NDArray[np.float32]]]:
    """A function that runs a network on the CPU at f32, on (N, H, W, 3) values, and returns its outputs."""
    import openvino as ov

    shape = list(network.inputs[0].get_partial_shape())
    own = shape[layout.index("N")]
    batch = BATCH
    try:
        network.reshape([BATCH if letter == "N" else shape[i] for i, letter in enumerate(layout)])
    except RuntimeError:  # the graph fixes the batch
        batch = own.get_length() if own.is_static else 1
    request = ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32", **cpu_settings()})
    axes = ["NHWC".index(letter) for letter in layout]

    def run(values: Values) -> list[NDArray[np.float32]]:
        results = []
        for start in range(0, len(values), batch):
            part = values[start : start + batch]
            missing = batch - len(part)
            fed = np.concatenate([part, np.repeat(part[-1:], missing, 0)]) if missing else part
            outputs = request([np.ascontiguousarray(fed.transpose(axes))])
            results.append([np.array(outputs[port])[: len(part)] for port in request.outputs])
        return [np.concatenate(column) for column in zip(*results, strict=True)]

    return run
