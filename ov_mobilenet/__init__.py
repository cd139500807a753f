"""From a published or fine-tuned MobileNet to an OpenVINO model that takes raw camera pixels.

    import ov_mobilenet as ovm

    classifier = ovm.load_classifier("mobilenet-v2-pytorch")
    print(classifier.classify("cat.jpg").best)

Names are loaded when they are first used, so importing this package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ov_mobilenet._version import __version__

if TYPE_CHECKING:
    from ov_mobilenet.accuracy.measure import measure_accuracy
    from ov_mobilenet.accuracy.report import AccuracyReport
    from ov_mobilenet.accuracy.verification import verify
    from ov_mobilenet.benchmarking.benchmark import Workload, benchmark
    from ov_mobilenet.benchmarking.measurement import Measurement
    from ov_mobilenet.conversion.converter import IrModel, convert
    from ov_mobilenet.devices.device_settings import DeviceSettings
    from ov_mobilenet.downloads.fetch import SourceFiles, download
    from ov_mobilenet.errors import OvMobilenetError
    from ov_mobilenet.inputs.opening import Inputs, open_inputs
    from ov_mobilenet.ir.form import Form
    from ov_mobilenet.load import load_classifier
    from ov_mobilenet.quantization.quantizer import Quantized, QuantizeSettings, quantize
    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.runtime.infer_queue import InferQueue
    from ov_mobilenet.runtime.items import Item
    from ov_mobilenet.runtime.profile import Profile, load_profile
    from ov_mobilenet.runtime.results import Classification, Failure, Prediction, Timings
    from ov_mobilenet.tuning.tuner import tune
    from ov_mobilenet.zoo.config import load_config
    from ov_mobilenet.zoo.model import ModelConfig
    from ov_mobilenet.zoo.normalisation import Normalisation
    from ov_mobilenet.zoo.registry import find_config, list_models

_HOMES = {
    "AccuracyReport": "accuracy.report",
    "Classification": "runtime.results",
    "Classifier": "runtime.classifier",
    "DeviceSettings": "devices.device_settings",
    "Failure": "runtime.results",
    "Form": "ir.form",
    "InferQueue": "runtime.infer_queue",
    "Inputs": "inputs.opening",
    "IrModel": "conversion.converter",
    "Item": "runtime.items",
    "Measurement": "benchmarking.measurement",
    "ModelConfig": "zoo.model",
    "Normalisation": "zoo.normalisation",
    "OvMobilenetError": "errors",
    "Prediction": "runtime.results",
    "Profile": "runtime.profile",
    "QuantizeSettings": "quantization.quantizer",
    "Quantized": "quantization.quantizer",
    "SourceFiles": "downloads.fetch",
    "Timings": "runtime.results",
    "Workload": "benchmarking.benchmark",
    "benchmark": "benchmarking.benchmark",
    "convert": "conversion.converter",
    "download": "downloads.fetch",
    "find_config": "zoo.registry",
    "list_models": "zoo.registry",
    "load_classifier": "load",
    "load_config": "zoo.config",
    "load_profile": "runtime.profile",
    "measure_accuracy": "accuracy.measure",
    "open_inputs": "inputs.opening",
    "quantize": "quantization.quantizer",
    "tune": "tuning.tuner",
    "verify": "accuracy.verification",
}

__all__ = [
    "AccuracyReport",
    "Classification",
    "Classifier",
    "DeviceSettings",
    "Failure",
    "Form",
    "InferQueue",
    "Inputs",
    "IrModel",
    "Item",
    "Measurement",
    "ModelConfig",
    "Normalisation",
    "OvMobilenetError",
    "Prediction",
    "Profile",
    "QuantizeSettings",
    "Quantized",
    "SourceFiles",
    "Timings",
    "Workload",
    "__version__",
    "benchmark",
    "convert",
    "download",
    "find_config",
    "list_models",
    "load_classifier",
    "load_config",
    "load_profile",
    "measure_accuracy",
    "open_inputs",
    "quantize",
    "tune",
    "verify",
]


if not TYPE_CHECKING:  # otherwise a type checker would accept every name as Any

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
