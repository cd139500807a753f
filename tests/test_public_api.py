"""The names that `import ov_mobilenet` offers: complete, documented and imported only when they are used."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from nncf_for_tests import require_nncf

import ov_mobilenet as ovm
from ov_mobilenet import errors

ROOT = Path(__file__).resolve().parents[1]


def test_the_public_names() -> None:
    # Users build on these names: a removed name, or one added by accident, must fail this test.
    assert sorted(ovm.__all__) == [
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


@pytest.mark.parametrize("name", ovm.__all__)
def test_every_public_name_can_be_imported_and_has_a_docstring(name: str) -> None:
    value = getattr(ovm, name)
    assert isinstance(value, str) or value.__doc__


def public_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The exported functions, and the methods and properties of the exported classes."""
    for name in ovm.__all__:
        value = getattr(ovm, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            for attribute, member in vars(value).items():
                found = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                if isinstance(found, FunctionType) and not attribute.startswith("_"):
                    yield f"{name}.{attribute}", found


@cache
def imported_names(module: str) -> dict[str, str]:
    """The names that a module imports from this package, also for type checking only: name to module."""
    path = inspect.getsourcefile(import_module(module))
    assert path is not None
    nodes = ast.walk(ast.parse(Path(path).read_text("utf-8")))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def annotated_classes(function: Callable[..., Any]) -> set[str]:
    """The classes of this package in the annotations of a function; not the TypedDicts that stand for keywords."""
    names: set[str] = set(re.findall(r"\b[A-Za-z]\w*", " ".join(map(str, function.__annotations__.values()))))
    homes = imported_names(function.__module__)
    classes = set()
    for name in names:
        home = homes.get(name, function.__module__)
        value = getattr(import_module(home), name, None) if home.startswith("ov_mobilenet") else None
        if inspect.isclass(value) and value.__module__.startswith("ov_mobilenet") and not typing.is_typeddict(value):
            classes.add(name)
    return classes


def raised_errors(function: Callable[..., Any]) -> set[str]:
    documentation = inspect.getdoc(function) or ""
    return set(re.findall(r"\b[A-Z]\w+Error\b", documentation.partition("Raises:")[2])) & set(vars(errors))


def test_every_error_is_exported() -> None:
    tree = [name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)]
    assert len(tree) > 15
    assert set(tree) <= set(ovm.__all__)


def test_every_class_that_a_public_function_names_is_exported() -> None:
    functions = dict(public_functions())
    assert {"load_classifier", "Classifier.stream", "Classifier.classify"} <= set(functions)
    named = {name: annotated_classes(function) | raised_errors(function) for name, function in functions.items()}
    assert {"Classifier", "DeviceSettings", "Geometry", "DeviceError"} <= named["load_classifier"]
    missing = {name: found - set(ovm.__all__) for name, found in named.items()}
    assert {name: found for name, found in missing.items() if found} == {}


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = {"numpy", "openvino", "cv2", "msgspec", "yaml", "click"}
    script = f"import sys, ov_mobilenet; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_public_functions_are_not_replaced_by_modules_of_similar_names() -> None:
    import ov_mobilenet.benchmarking.benchmark
    import ov_mobilenet.conversion.converter
    import ov_mobilenet.downloads.fetch  # noqa: F401

    assert callable(ovm.benchmark)
    assert callable(ovm.convert)
    assert callable(ovm.download)


@pytest.mark.parametrize(
    "function", ["Server", "benchmark", "bulk", "convert", "diagnose", "load_classifier", "quantize", "tune", "verify"]
)
def test_an_unknown_option_is_an_error(function: str, tmp_path: Path) -> None:
    if function == "quantize":
        require_nncf()
    call = getattr(ovm, function)
    arguments = {
        "bulk": [tmp_path, tmp_path / "out"],
        "convert": [tmp_path / "out"],
        "diagnose": [tmp_path],
        "quantize": [tmp_path],
    }.get(function, [])
    with pytest.raises(ovm.UsageError, match=r"unknown option.*got oflline"):
        call("mobilenet-v1-0.25-128-signs", *arguments, oflline=True)
    assert not list(tmp_path.iterdir())


def test_an_unknown_name_is_an_attribute_error() -> None:
    name = "nothing"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(ovm, name)
