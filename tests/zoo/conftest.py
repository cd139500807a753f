"""The valid description of `descriptions.py` as fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest
from zoo.descriptions import ACCURACY_CHECK_YML, MODEL_YML, DescribeModel

from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.model import ModelConfig


@pytest.fixture
def model_yml() -> str:
    return MODEL_YML


@pytest.fixture
def accuracy_check_yml() -> str:
    return ACCURACY_CHECK_YML


@pytest.fixture
def describe_model(tmp_path: Path) -> DescribeModel:
    def write(
        model: str = MODEL_YML, accuracy_check: str | None = ACCURACY_CHECK_YML, *, name: str = "net"
    ) -> ModelConfig:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "model.yml").write_text(model, "utf-8")
        if accuracy_check is not None:
            (folder / "accuracy-check.yml").write_text(accuracy_check, "utf-8")
        return load_config(folder)

    return write
