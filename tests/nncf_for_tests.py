"""NNCF, for the tests that need it."""

from __future__ import annotations

from typing import Any

import openvino as ov
import pytest

from ov_mobilenet.quantization.nncf_backend import OLDEST_OPENVINO


def require_nncf() -> Any:
    """Return the module nncf; skip the test (at a module's top: its tests) without it or the OpenVINO that it needs."""
    release = ov.get_version().split(".")[0]
    if release.isdigit() and int(release) < OLDEST_OPENVINO:
        pytest.skip(f"NNCF needs OpenVINO {OLDEST_OPENVINO}", allow_module_level=True)
    return pytest.importorskip("nncf")
