"""Every parameter of every public function, method and class of inputs: wrong types and values are errors.

`PARAMETERS` says what each one takes; the test gives it everything else. A new parameter must be added there.
"""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from known_network import Known, converted
from small_networks import write_onnx

import ov_mobilenet as ovm
from ov_mobilenet.errors import OvMobilenetError

NAN, HUGE = float("nan"), 10**30
WRONG: dict[str, Any] = {
    "None": None, "True": True, "1.5": 1.5, "-3": -3, "0": 0, "nan": NAN, "huge": HUGE, "empty": "", "text": "x",
    "object": object(), "bytes": b"x", "list": [None], "dict": {1: 2},
}  # fmt: skip
COUNT = ("None", "True", "1.5", "-3", "0", "nan", "empty", "text", "object", "bytes", "list", "dict")
TYPES = ("True", "1.5", "-3", "nan", "huge", "object", "list", "dict")  # neither a path nor text
# The wrong values of each kind; a name with ? also takes None.
KINDS = {
    "count": COUNT,
    "limited count": (*COUNT, "huge"),
    "integer": ("None", "True", "1.5", "nan", "empty", "text", "object", "list"),
    "number": ("None", "True", "-3", "nan", "empty", "text", "object", "list"),
    "flag": ("None", "1.5", "-3", "0", "nan", "huge", "empty", "text", "object", "list"),
    "text": ("None", "0", *TYPES),
    "choice": ("None", "0", "empty", "text", *TYPES),
    "path or text": ("None", "0", *TYPES),
    "path": ("None", "0", "empty", "text", *TYPES),
    "texts": ("0", "empty", "text", *TYPES),
    "iterable": ("None", "True", "1.5", "0", "nan", "object", "empty", "text"),
    "inputs": ("None", "True", "1.5", "0", "nan", "object"),
    "function": ("None", "0", "text", *TYPES),
    "value": ("None", "0", "empty", "text", "bytes", *TYPES),  # of a class of ours
    "pairs": ("0", "empty", "text", *TYPES),
    "image": tuple(name for name in WRONG if name not in ("empty", "text")),  # a path; the file's error
    "address": ("None", "0", "empty", *TYPES),
    "free": (),  # any value: a key; what cannot be read is the result of the image
}
PARAMETERS = {
    "model": "path or text", "models": "iterable", "dataset": "path or text", "calibration": "inputs",
    "texts": "inputs", "max_accuracy_drop": "number?", "given": "value?",
    "config": "value", "folder": "path or text", "path": "path or text", "classifier": "value", "prepared": "value",
    "inputs": "iterable", "images": "iterable", "image": "free", "frames": "free", "key": "free", "stdin": "free",
    "transport": "free", "attempt": "free", "retry_after_s": "free", "source": "free", "arguments": "texts",
    "patterns": "free", "program": "text",
    "settings": "value?", "profile": "value?", "geometry": "value?", "labels": "texts?", "normalisation": "value?",
    "layout": "text?", "batch_size": "limited count?", "decode": "choice", "exif_orientation": "flag",
    "device": "choice", "hint": "choice?", "inference_precision": "choice?", "streams": "limited count?",
    "threads": "limited count?", "nireq": "limited count?", "pinning": "flag?", "model_cache": "path?",
    "properties": "pairs", "fallback": "choice?", "config_dirs": "iterable", "cache_dir": "path or text?",
    "offline": "flag", "ir_dir": "path or text?", "top_k": "count", "requests": "limited count?",
    "workers": "limited count?", "live": "flag?",
    "max_wait_ms": "number", "ordered": "flag", "capacity": "count?", "timeout_s": "number", "clock": "function",
    "cancel": "flag", "every": "count", "max_fps": "number?", "limit": "count?", "loop": "flag", "recursive": "flag",
    "annotations": "path or text?", "predictions": "path?", "resume": "flag", "overwrite": "flag",
    "reference": "path or text?", "on_progress": "function", "on_failure": "function", "on_event": "function",
    "on_step": "function", "sample": "count?", "seed": "integer", "time_s": "number?", "precisions": "texts?",
    "form": "value", "optimizer": "value?", "cache_root": "path?", "mirror": "text?", "retry": "value",
    "allow_unverified": "flag", "target": "path?", "output_dir": "path?", "ir": "path or text?",
    "objective": "choice", "latency_budget_ms": "number?", "precision": "choice", "mode": "choice",
    "input": "path or text", "max_drop": "number?", "time_limit_s": "number", "workload": "value?",
    "batch": "count?", "input_type": "choice?", "input_shape": "texts?", "bake_geometry": "flag",
    "color_format": "choice", "deploy_for": "choice?", "purpose": "choice?", "subset_size": "count",
    "preset": "choice", "fast_bias_correction": "flag?", "ignored_scope": "texts", "attempts": "count",
    "sleep": "function", "jitter": "function", "iterations": "count?", "warmup_s": "number", "max_rate": "number?",
    "start_up": "flag", "per_layer": "flag", "exec_graph": "path?", "mean": "texts", "scale": "texts",
    "reverse_input_channels": "flag", "output_kind": "choice?", "name": "text", "assume": "choice?", "shape": "texts?",
    "output": "text?", "architecture": "choice?", "width": "number?", "classes": "count?", "weights_key": "text?",
    "head": "choice?", "activation": "choice?", "padding": "choice?", "batch_norm_epsilon": "number?",
    "diagnose_images": "inputs?", "size": "choice", "isolate": "flag?", "server_settings": "value?", "host": "choice",
    "port": "integer", "grpc_port": "integer?", "token": "choice?", "insecure_no_auth": "flag", "tls_cert": "path?",
    "tls_key": "path?", "allowed_hosts": "texts", "max_queue": "limited count", "decode_workers": "limited count?",
    "max_body_bytes": "limited count", "max_buffered_bytes": "limited count", "max_pixels": "limited count",
    "max_images": "limited count", "max_connections": "limited count", "header_timeout_s": "number",
    "body_timeout_s": "number", "idle_timeout_s": "number", "drain_timeout_s": "number", "allow_model_control": "flag",
    "reload": "flag", "log_format": "choice", "devices": "free", "storage_uri": "choice", "kserve_settings": "value?",
    "runtime": "choice", "protocol": "choice", "namespace": "address?", "service_account": "address?",
    "gpu_resource": "choice", "cpu_request": "choice", "cpu_limit": "choice", "memory_request": "choice",
    "memory_limit": "choice", "token_secret": "address",
    "images_per_part": "count", "min_probability": "number?", "max_errors": "integer?", "image_column": "text?",
    "source_column": "text?", "address": "choice", "cpus_per_worker": "count", "ray": "value?",
}  # fmt: skip
# Where a parameter of the same name means something else.
SPECIAL = {
    "export_ovms.models": "inputs", "export_ovms.output": "path or text", "export_ovms.batch": "limited count?",
    "export_ovms.device": "choice?", "export_ovms.profile": "path or text?",
    "export_kserve.models": "inputs", "export_kserve.output": "path or text",
    "export_kserve.batch": "limited count?",
    "Server.models": "inputs", "Server.profile": "path or text?", "ServerSettings.host": "address",
    "load_classifier.profile": "path or text?", "load_feature_extractor.profile": "path or text?",
    "compare.geometry": "value?", "compare.time_s": "number", "quantize.settings": "value", "Form.geometry": "value?",
    "Workload.batch": "count?", "Form.batch": "free", "verify.images": "iterable?", "download.folder": "path",
    "describe.size": "choice?", "describe.offline": "flag?",
    "describe.source": "path or text", "describe.preset": "choice?", "describe.mean": "texts?",
    "describe.scale": "texts?", "describe.reverse_input_channels": "flag?", "describe.layout": "choice?",
    "describe.labels": "path or text?", "diagnose.images": "inputs", "diagnose.limit": "count",
    "diagnose.on_progress": "function?", "Classifier.classify.image": "image", "Classifier.prepare.image": "image",
    "Classifier.classify_async.image": "image", "Classifier.classify_async.timeout_s": "number?",
    "FeatureExtractor.extract.image": "image", "Classifier.probabilities.frames": "image",
    "FeatureExtractor.vectors.frames": "image",
    "quantize.dataset": "path?", "tune.dataset": "path or text?", "tune.mode": "choice", "Workload.mode": "choice",
    "bulk.inputs": "inputs", "plan_bulk.inputs": "inputs", "bulk.output": "path or text",
    "plan_bulk.output": "path or text", "bulk.profile": "path or text?", "plan_bulk.profile": "path or text?",
    "bulk.on_progress": "function?", "bulk.on_failure": "function?", "BulkSettings.top_k": "count?",
    "BulkSettings.geometry": "text?", "RaySettings.workers": "count?",
}  # fmt: skip
# Only returned, or created by other functions.
RESULTS = {
    "BulkInputs", "BulkProgress", "BulkResult", "FailedShard", "Manifest", "PartFacts",
    "AccuracyReport", "Candidate", "Classification", "ComparedModel", "DatasetConfig", "DescribedNetwork", "Diagnosis",
    "ExportedModel", "ExportedService", "KserveExport",
    "Failure", "FeatureExtractor", "Features", "Geometry", "Guess", "Inputs", "Int8Accuracy", "IrModel", "IrRecord",
    "Item", "KnownRepository", "Measurement", "ModelComparison", "ModelConfig", "OvmsExport", "Prediction", "Prepared",
    "Profile", "Quantized", "RankedCandidate", "SourceFiles", "Step", "Timings", "Transport", "Tuned", "Verification",
    "Classifier",
}  # fmt: skip
METHODS = {
    "Classifier": ("classify", "classify_async", "classify_batch", "prepare", "probabilities", "stream"),
    "DescribedNetwork": ("save",),
    "FeatureExtractor": ("extract", "stream", "vectors"),
    "InferQueue": ("submit", "submit_prepared", "close"),
}
# The words for a parameter in messages, if they are not its name.
WORDS = {"fallback": "device name", "labels": "labels", "image": "frame", "frames": "not a frame"}
# Checked by the function itself only when the work begins, which takes long; the type is checked before.
VALUES_LATER = {
    "Form",
    "ModelOptimizer",
    "QuantizeSettings",
    "Workload",
    "Retry",
    "benchmark",
    "tune",
    "quantize",
    "compare",
    "verify",
}


def options_of(function: Callable[..., Any]) -> set[str]:
    """The keyword arguments of `**options: Unpack[…]`."""
    annotation = str(function.__annotations__.get("options", ""))
    if "Unpack[" not in annotation:
        return set()
    name = annotation.partition("[")[2].rstrip("]'")
    return set(inspect.unwrap(function).__globals__[name].__annotations__)


def parameters() -> Iterator[tuple[str, str]]:
    """Each public callable, such as `Classifier.stream`, with each of its parameters."""
    for name in ovm.__all__:
        value = getattr(ovm, name)
        if inspect.isfunction(value):
            targets: dict[str, Any] = {name: value}
        elif not inspect.isclass(value) or issubclass(value, Exception) or typing.is_typeddict(value):
            continue
        else:
            targets = {} if name in RESULTS else {name: value}
            targets |= {f"{name}.{method}": getattr(value, method) for method in METHODS.get(name, ())}
        for target, function in targets.items():
            names = [p.name for p in inspect.signature(function).parameters.values() if p.kind != p.VAR_KEYWORD]
            for parameter in {*names, *options_of(function)} - {"self", "options"}:
                yield target, parameter


CASES = sorted(parameters())


@pytest.fixture(scope="module")
def calls(
    known: Known, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Each callable with arguments for which it works, or would if it were given more time."""
    classifier = ovm.load_classifier(known.xml, device="CPU")
    queue = ovm.InferQueue(classifier)
    folder = tmp_path_factory.mktemp("out")
    images = known.files[0].parent
    features = converted(write_onnx(folder / "features", end="pooled"), folder / "features-out")
    extractor = ovm.load_feature_extractor(features, device="CPU")
    source = known.yml.with_name("small.onnx")
    network = ovm.describe(source, name="mine", assume="none")
    return {
        "Classifier.classify": (classifier.classify, {"image": known.frames[0]}),
        "Classifier.classify_async": (
            lambda **o: asyncio.run(classifier.classify_async(**o)),
            {"image": known.frames[0]},
        ),
        "Classifier.classify_batch": (classifier.classify_batch, {"images": list(known.frames)}),
        "Classifier.probabilities": (classifier.probabilities, {"frames": known.frames}),
        "Classifier.stream": (lambda **o: list(classifier.stream(**o)), {"inputs": list(known.frames)}),
        "Classifier.prepare": (classifier.prepare, {}),
        "DescribedNetwork.save": (network.save, {}),
        "FeatureExtractor.extract": (extractor.extract, {}),
        "FeatureExtractor.stream": (lambda **o: list(extractor.stream(**o)), {"inputs": list(known.frames)}),
        "FeatureExtractor.vectors": (extractor.vectors, {}),
        "InferQueue": (ovm.InferQueue, {"classifier": classifier}),
        "InferQueue.submit": (queue.submit, {"image": known.frames[0]}),
        "InferQueue.submit_prepared": (queue.submit_prepared, {}),
        "InferQueue.close": (queue.close, {}),
        "Server": (ovm.Server, {"models": {"known": known.xml}}),
        "load_classifier": (ovm.load_classifier, {"model": known.xml}),
        "load_feature_extractor": (ovm.load_feature_extractor, {"model": features}),
        "measure_accuracy": (ovm.measure_accuracy, {"model": known.xml, "dataset": images}),
        "compare": (ovm.compare, {"models": [str(known.xml), str(known.yml)], "dataset": images}),
        "benchmark": (ovm.benchmark, {"model": known.xml}),
        "describe": (ovm.describe, {"source": source, "name": "mine", "assume": "none"}),
        "diagnose": (ovm.diagnose, {"model": source, "images": images, "limit": 10}),
        "export_ovms": (ovm.export_ovms, {"models": [known.xml], "output": folder / "exported", "overwrite": True}),
        "export_kserve": (
            ovm.export_kserve,
            {"models": [known.xml], "output": folder / "kserve", "storage_uri": "s3://x", "overwrite": True},
        ),
        "find_config": (ovm.find_config, {"model": known.yml}),
        "convert": (ovm.convert, {"model": known.yml, "folder": folder}),
        "quantize": (ovm.quantize, {"model": known.xml, "calibration": images}),
        "tune": (ovm.tune, {"model": known.xml}),
        "verify": (ovm.verify, {"model": known.yml}),
        "download": (ovm.download, {"config": ovm.load_config(known.yml), "folder": folder}),
        "bulk": (ovm.bulk, {"model": known.xml, "inputs": images, "output": folder / "bulk"}),
        "plan_bulk": (ovm.plan_bulk, {"model": known.xml, "inputs": images, "output": folder / "bulk"}),
        "open_inputs": (ovm.open_inputs, {"texts": [str(images)]}),
    }


@pytest.mark.parametrize("target", sorted({target for target, _ in CASES}))
def test_wrong_arguments_are_errors_that_name_the_parameter(
    target: str, calls: dict[str, tuple[Callable[..., Any], dict[str, Any]]]
) -> None:
    call, arguments = calls.get(target, (getattr(ovm, target.partition(".")[0]), {}))
    problems = []
    for name in (parameter for each, parameter in CASES if each == target):
        kind = SPECIAL.get(f"{target}.{name}") or PARAMETERS[name]
        wrong = [value for value in KINDS[kind.rstrip("?")] if not (kind.endswith("?") and value == "None")]
        for value in wrong:
            if target in VALUES_LATER and not is_wrong_type(kind, value):
                continue
            try:
                call(**{**arguments, name: WRONG[value]})
                problems.append(f"{name}={value}: accepted")
            except OvMobilenetError as error:
                words = (name, name.replace("_", " "), WORDS.get(name, name))
                if not any(each in str(error) for each in words):
                    problems.append(f"{name}={value}: {type(error).__name__}: {error}")
            except TypeError as error:
                problems.append(f"{name}={value}: {error!r}")
    assert problems == []


def is_wrong_type(kind: str, value: str) -> bool:
    numbers = {"-3", "0", "huge", "1.5"}
    plain = kind.rstrip("?")
    if plain in ("count", "limited count"):
        return value not in {"-3", "0", "huge"}
    if plain in ("number", "integer"):
        return value not in numbers
    return not (plain in ("choice", "texts", "value", "path") and value in ("text", "empty", "list"))


def test_every_parameter_has_a_kind() -> None:
    assert len(CASES) > 150
    assert {name for _, name in CASES if name not in PARAMETERS} == set()
    assert set(map(str.rstrip, PARAMETERS.values(), "?" * len(PARAMETERS))) <= set(KINDS)
    unknown = {f"{target}.{name}" for target, name in CASES}
    assert {name for name in SPECIAL if name not in unknown} == set()


@pytest.mark.parametrize("size", [0, -32, 8193, HUGE])
def test_describe_refuses_shapes_that_no_network_has(size: int, known: Known) -> None:
    with pytest.raises(ovm.UsageError, match="invalid shape: expected four numbers from 1 to 8192"):
        ovm.describe(known.yml.with_name("small.onnx"), name="mine", assume="none", shape=(1, 3, size, 32))


def test_describe_takes_the_output_kinds_of_the_command(known: Known) -> None:
    source = known.yml.with_name("small.onnx")
    network = ovm.describe(source, name="mine", assume="none", output_kind="multilabel-logits")
    assert "multilabel-logits" in network.model_yml
    assert "output kind" not in {guess.name for guess in network.guesses}
    with pytest.raises(OvMobilenetError, match="output"):
        ovm.describe(source, name="mine", assume="none", output_kind="probabilities")  # the graph ends in a dense layer
