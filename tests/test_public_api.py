from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ov_mobilenet as ovm

ROOT = Path(__file__).resolve().parents[1]


def test_the_public_names() -> None:
    # Others build on these: taking one away, or adding one by accident, must be seen.
    assert sorted(ovm.__all__) == [
        "AccuracyReport",
        "Classification",
        "Classifier",
        "ComparedModel",
        "DeviceSettings",
        "Failure",
        "Form",
        "InferQueue",
        "Inputs",
        "Int8Accuracy",
        "IrModel",
        "Item",
        "Measurement",
        "ModelComparison",
        "ModelConfig",
        "Normalisation",
        "OvMobilenetError",
        "Prediction",
        "Profile",
        "QuantizeSettings",
        "Quantized",
        "SourceFiles",
        "Timings",
        "Verification",
        "Workload",
        "__version__",
        "benchmark",
        "compare",
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
def test_every_public_name_can_be_had_and_explains_itself(name: str) -> None:
    value = getattr(ovm, name)
    assert isinstance(value, str) or value.__doc__


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = {"numpy", "openvino", "cv2", "msgspec", "yaml", "click"}
    script = f"import sys, ov_mobilenet; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_functions_stay_functions_after_their_rooms_were_imported() -> None:
    import ov_mobilenet.conversion.converter
    import ov_mobilenet.downloads.fetch  # noqa: F401

    assert callable(ovm.convert)
    assert callable(ovm.download)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ovm.nothing  # noqa: B018
