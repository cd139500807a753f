from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings
from known_network import CLASSES, Known, converted
from slow_files import SLOW_FILES
from small_networks import by_hand, frames, write_onnx
from worker_watch import watch

# With this variable OpenVINO sends no telemetry. Otherwise it would fork a process for each message.
os.environ.setdefault("CI", "true")
# huggingface_hub reads this when it is imported: no telemetry, and no request for its list of programs.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
# With one worker per core, more threads in each would wait for each other: torch took ten times as long.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A shell starts background jobs with SIGINT ignored, and the programs that tests interrupt would inherit that. It is
# changed here and not in a `preexec_fn`: that one runs in a fork of a process with threads, which may block for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, so that results are reproducible; HYPOTHESIS_PROFILE=default draws new examples.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

TESTS = Path(__file__).resolve().parent
SHARED = TESTS.parents[1] / "shared"
_TEST_NUMBERS = itertools.count()
_HUB_VARIABLES = (
    "HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE",
    "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    watch(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests in `SLOW_FILES` as slow."""
    slow = {TESTS / name for name in SLOW_FILES}
    for item in items:
        if item.path in slow:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real weights and images beside the checkout."""
    if not (SHARED / "zoo").is_dir():
        pytest.skip("needs the real weights and images in ../shared")
    return SHARED


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redirect the user's cache and configuration folders, so that no test reads or changes them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "user-cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "user-config"))


@pytest.fixture(autouse=True)
def own_hub_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache of huggingface_hub for each test, and neither the user's token nor endpoint."""
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.getbasetemp() / "user-hub" / str(next(_TEST_NUMBERS))))
    for name in _HUB_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """A small converted network whose outputs are computed by hand."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("known")
    yml = write_onnx(folder / "small", classes=CLASSES, extra=f"ov_mobilenet: {{classes: {CLASSES}}}\n")
    images = frames(12)
    files = []
    (folder / "images").mkdir()
    for number, frame in enumerate(images):
        files.append(folder / "images" / f"{number:02}.png")
        cv2.imwrite(str(files[-1]), frame)
    answers = np.stack([by_hand(frame, classes=CLASSES) for frame in images])
    assert len(set(answers.argmax(1).tolist())) > 2, (
        "the images must have different classes, or a test could pass by chance"
    )
    return Known(yml, converted(yml, folder / "out"), files, images, answers)
