from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ov_mobilenet as ovm

ROOT = Path(__file__).resolve().parents[1]


def test_the_public_names() -> None:
    # Users build on these names: a removed name, or one added by accident, must fail this test.
    assert sorted(ovm.__all__) == [
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


@pytest.mark.parametrize("name", ovm.__all__)
def test_every_public_name_can_be_imported_and_has_a_docstring(name: str) -> None:
    value = getattr(ovm, name)
    assert isinstance(value, str) or value.__doc__


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


def test_an_unknown_name_is_an_attribute_error() -> None:
    name = "nothing"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(ovm, name)
