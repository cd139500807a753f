from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings
from known_network import CLASSES, Known, converted
from small_networks import by_hand, frames, write_onnx

# OpenVINO's telemetry sends nothing where this is set; it would fork a process for each message.
os.environ.setdefault("CI", "true")

# The same examples at every run, so that a gate does not open or close by chance; HYPOTHESIS_PROFILE=default searches.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real weights and images beside the checkout."""
    if not (SHARED / "zoo").is_dir():
        pytest.skip("needs the real weights and images in ../shared")
    return SHARED


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "user-cache"))


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """A small network whose answers are computed by hand, converted."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("known")
    yml = write_onnx(folder / "small", classes=CLASSES, extra=f"ov_mobilenet: {{classes: {CLASSES}}}\n")
    shown = frames(12)
    files = []
    (folder / "images").mkdir()
    for number, frame in enumerate(shown):
        files.append(folder / "images" / f"{number:02}.png")
        cv2.imwrite(str(files[-1]), frame)
    answers = np.stack([by_hand(frame, classes=CLASSES) for frame in shown])
    assert len(set(answers.argmax(1).tolist())) > 2, "answers that do not differ would prove nothing"
    return Known(yml, converted(yml, folder / "out"), files, shown, answers)
