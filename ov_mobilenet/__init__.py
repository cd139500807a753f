"""From a published or fine-tuned MobileNet to an OpenVINO model that takes raw camera pixels.

    import ov_mobilenet as ovm

    classifier = ovm.load_classifier("mobilenet-v2-pytorch")
    print(classifier.classify("cat.jpg").best)

A name is imported from its module when it is first used, so `import ov_mobilenet` is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ov_mobilenet._version import __version__

if TYPE_CHECKING:
    from ov_mobilenet.accuracy.compare import compare
    from ov_mobilenet.accuracy.comparison import ComparedModel, ModelComparison
    from ov_mobilenet.accuracy.measure import measure_accuracy
    from ov_mobilenet.accuracy.report import AccuracyReport
    from ov_mobilenet.accuracy.verification import verify
    from ov_mobilenet.accuracy.verification_result import Verification
    from ov_mobilenet.benchmarking.benchmark import benchmark
    from ov_mobilenet.benchmarking.measurement import Measurement
    from ov_mobilenet.benchmarking.options import Workload
    from ov_mobilenet.bulk_classification.bulk import bulk, plan_bulk
    from ov_mobilenet.bulk_classification.bulk_progress import BulkProgress, BulkResult
    from ov_mobilenet.bulk_classification.failed_shards import FailedShard
    from ov_mobilenet.bulk_classification.manifest import BulkInputs, Manifest
    from ov_mobilenet.bulk_classification.parts import PartFacts
    from ov_mobilenet.bulk_classification.ray_settings import RaySettings
    from ov_mobilenet.bulk_classification.settings import BulkSettings
    from ov_mobilenet.conversion.converter import IrModel
    from ov_mobilenet.conversion.described_network import DescribedNetwork
    from ov_mobilenet.conversion.input_choice import Guess
    from ov_mobilenet.conversion.mo_program import ModelOptimizer
    from ov_mobilenet.convert_model import convert
    from ov_mobilenet.describe_network import describe
    from ov_mobilenet.devices.settings import DeviceSettings
    from ov_mobilenet.diagnosis.candidates import Candidate
    from ov_mobilenet.diagnosis.diagnose import diagnose
    from ov_mobilenet.diagnosis.diagnosis import Diagnosis
    from ov_mobilenet.diagnosis.ranking import RankedCandidate
    from ov_mobilenet.downloads.attempts import Retry
    from ov_mobilenet.downloads.fetch import SourceFiles, download
    from ov_mobilenet.downloads.transport import Transport
    from ov_mobilenet.errors import (
        AccuracyError,
        AlreadyNormalisedError,
        ArchiveError,
        ConfigError,
        ConversionError,
        DatasetError,
        DeadlineError,
        DeviceError,
        DownloadError,
        HashMismatchError,
        ImageError,
        IrError,
        MissingDependencyError,
        OfflineError,
        OutputError,
        OvMobilenetError,
        QueueFullError,
        ServerError,
        UnknownModelError,
        UsageError,
        VerificationError,
    )
    from ov_mobilenet.exporting.kserve import export_kserve
    from ov_mobilenet.exporting.kserve_export import ExportedService, KserveExport
    from ov_mobilenet.exporting.kserve_settings import KserveSettings
    from ov_mobilenet.exporting.ovms import ExportedModel, OvmsExport, export_ovms
    from ov_mobilenet.hub.known_repositories import KnownRepository, list_repositories
    from ov_mobilenet.inputs.open_inputs import Inputs, open_inputs
    from ov_mobilenet.ir.form import Form
    from ov_mobilenet.ir.record import IrRecord
    from ov_mobilenet.load import load_classifier, load_feature_extractor
    from ov_mobilenet.quantization.quantizer import Quantized, QuantizeSettings, quantize
    from ov_mobilenet.quantization.validation import Int8Accuracy
    from ov_mobilenet.resolve import find_config
    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.runtime.feature_extractor import FeatureExtractor
    from ov_mobilenet.runtime.infer_queue import InferQueue
    from ov_mobilenet.runtime.items import Item, Prepared
    from ov_mobilenet.runtime.profile import Profile, load_profile
    from ov_mobilenet.runtime.results import Classification, Failure, Features, Prediction, Timings
    from ov_mobilenet.serving.server import Server
    from ov_mobilenet.serving.settings import ServerSettings
    from ov_mobilenet.tuning.measurement_log import Step
    from ov_mobilenet.tuning.tuner import Tuned, tune
    from ov_mobilenet.zoo.accuracy_check import DatasetConfig
    from ov_mobilenet.zoo.config import load_config
    from ov_mobilenet.zoo.geometry import Geometry
    from ov_mobilenet.zoo.model import ModelConfig
    from ov_mobilenet.zoo.normalisation import Normalisation
    from ov_mobilenet.zoo.registry import list_models

_HOMES = {
    "AccuracyError": "errors",
    "AccuracyReport": "accuracy.report",
    "AlreadyNormalisedError": "errors",
    "ArchiveError": "errors",
    "BulkInputs": "bulk_classification.manifest",
    "BulkProgress": "bulk_classification.bulk_progress",
    "BulkResult": "bulk_classification.bulk_progress",
    "BulkSettings": "bulk_classification.settings",
    "Candidate": "diagnosis.candidates",
    "Classification": "runtime.results",
    "Classifier": "runtime.classifier",
    "ComparedModel": "accuracy.comparison",
    "ConfigError": "errors",
    "ConversionError": "errors",
    "DatasetConfig": "zoo.accuracy_check",
    "DatasetError": "errors",
    "DeadlineError": "errors",
    "DescribedNetwork": "conversion.described_network",
    "DeviceError": "errors",
    "DeviceSettings": "devices.settings",
    "Diagnosis": "diagnosis.diagnosis",
    "DownloadError": "errors",
    "ExportedModel": "exporting.ovms",
    "ExportedService": "exporting.kserve_export",
    "FailedShard": "bulk_classification.failed_shards",
    "Failure": "runtime.results",
    "FeatureExtractor": "runtime.feature_extractor",
    "Features": "runtime.results",
    "Form": "ir.form",
    "Geometry": "zoo.geometry",
    "Guess": "conversion.input_choice",
    "HashMismatchError": "errors",
    "ImageError": "errors",
    "InferQueue": "runtime.infer_queue",
    "Inputs": "inputs.open_inputs",
    "Int8Accuracy": "quantization.validation",
    "IrError": "errors",
    "IrModel": "conversion.converter",
    "IrRecord": "ir.record",
    "Item": "runtime.items",
    "KnownRepository": "hub.known_repositories",
    "KserveExport": "exporting.kserve_export",
    "KserveSettings": "exporting.kserve_settings",
    "Manifest": "bulk_classification.manifest",
    "Measurement": "benchmarking.measurement",
    "MissingDependencyError": "errors",
    "ModelComparison": "accuracy.comparison",
    "ModelConfig": "zoo.model",
    "ModelOptimizer": "conversion.mo_program",
    "Normalisation": "zoo.normalisation",
    "OfflineError": "errors",
    "OutputError": "errors",
    "OvMobilenetError": "errors",
    "OvmsExport": "exporting.ovms",
    "PartFacts": "bulk_classification.parts",
    "Prediction": "runtime.results",
    "Prepared": "runtime.items",
    "Profile": "runtime.profile",
    "QuantizeSettings": "quantization.quantizer",
    "Quantized": "quantization.quantizer",
    "QueueFullError": "errors",
    "RankedCandidate": "diagnosis.ranking",
    "RaySettings": "bulk_classification.ray_settings",
    "Retry": "downloads.attempts",
    "Server": "serving.server",
    "ServerError": "errors",
    "ServerSettings": "serving.settings",
    "SourceFiles": "downloads.fetch",
    "Step": "tuning.measurement_log",
    "Timings": "runtime.results",
    "Transport": "downloads.transport",
    "Tuned": "tuning.tuner",
    "UnknownModelError": "errors",
    "UsageError": "errors",
    "Verification": "accuracy.verification_result",
    "VerificationError": "errors",
    "Workload": "benchmarking.options",
    "benchmark": "benchmarking.benchmark",
    "bulk": "bulk_classification.bulk",
    "compare": "accuracy.compare",
    "convert": "convert_model",
    "describe": "describe_network",
    "diagnose": "diagnosis.diagnose",
    "download": "downloads.fetch",
    "export_kserve": "exporting.kserve",
    "export_ovms": "exporting.ovms",
    "find_config": "resolve",
    "list_models": "zoo.registry",
    "list_repositories": "hub.known_repositories",
    "load_classifier": "load",
    "load_config": "zoo.config",
    "load_feature_extractor": "load",
    "load_profile": "runtime.profile",
    "measure_accuracy": "accuracy.measure",
    "open_inputs": "inputs.open_inputs",
    "plan_bulk": "bulk_classification.bulk",
    "quantize": "quantization.quantizer",
    "tune": "tuning.tuner",
    "verify": "accuracy.verification",
}

__all__ = [
    "AccuracyError",
    "AccuracyReport",
    "AlreadyNormalisedError",
    "ArchiveError",
    "BulkInputs",
    "BulkProgress",
    "BulkResult",
    "BulkSettings",
    "Candidate",
    "Classification",
    "Classifier",
    "ComparedModel",
    "ConfigError",
    "ConversionError",
    "DatasetConfig",
    "DatasetError",
    "DeadlineError",
    "DescribedNetwork",
    "DeviceError",
    "DeviceSettings",
    "Diagnosis",
    "DownloadError",
    "ExportedModel",
    "ExportedService",
    "FailedShard",
    "Failure",
    "FeatureExtractor",
    "Features",
    "Form",
    "Geometry",
    "Guess",
    "HashMismatchError",
    "ImageError",
    "InferQueue",
    "Inputs",
    "Int8Accuracy",
    "IrError",
    "IrModel",
    "IrRecord",
    "Item",
    "KnownRepository",
    "KserveExport",
    "KserveSettings",
    "Manifest",
    "Measurement",
    "MissingDependencyError",
    "ModelComparison",
    "ModelConfig",
    "ModelOptimizer",
    "Normalisation",
    "OfflineError",
    "OutputError",
    "OvMobilenetError",
    "OvmsExport",
    "PartFacts",
    "Prediction",
    "Prepared",
    "Profile",
    "QuantizeSettings",
    "Quantized",
    "QueueFullError",
    "RankedCandidate",
    "RaySettings",
    "Retry",
    "Server",
    "ServerError",
    "ServerSettings",
    "SourceFiles",
    "Step",
    "Timings",
    "Transport",
    "Tuned",
    "UnknownModelError",
    "UsageError",
    "Verification",
    "VerificationError",
    "Workload",
    "__version__",
    "benchmark",
    "bulk",
    "compare",
    "convert",
    "describe",
    "diagnose",
    "download",
    "export_kserve",
    "export_ovms",
    "find_config",
    "list_models",
    "list_repositories",
    "load_classifier",
    "load_config",
    "load_feature_extractor",
    "load_profile",
    "measure_accuracy",
    "open_inputs",
    "plan_bulk",
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
