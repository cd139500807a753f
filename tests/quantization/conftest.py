from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from signs import training

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE


@pytest.fixture(scope="session")
def xml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The FP32 IR of the built-in sample model."""
    folder = tmp_path_factory.mktemp("sample")
    sources = ovm.download(ovm.find_config(SAMPLE), folder / "sources", cache_root=folder / "cache", offline=True)
    return ovm.convert(sources, folder, precisions=("FP32",))[0].xml


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Sixty generated images of all classes."""
    folder = tmp_path_factory.mktemp("training")
    paths = []
    for index, (frame, _) in enumerate(training(5, 60)):
        paths.append(folder / f"{index:03}.png")
        cv2.imwrite(str(paths[-1]), frame)
    return paths
