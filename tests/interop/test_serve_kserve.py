"""kserve's clients, unchanged, against `serve`: REST and gRPC."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from served_images import ServedImages, drawn_images
from served_process import KSERVE, answer_of, python_of, serving

from ov_mobilenet.cli.demo import SAMPLE

pytestmark = pytest.mark.serve

TRANSPORTS = ("rest", "grpc")
on_both = pytest.mark.parametrize("transport", TRANSPORTS)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ServedImages:
    return drawn_images(SAMPLE, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def answers(images: ServedImages, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    python_of(KSERVE)
    frame = {"datatype": "UINT8", "npy": images.array("frame", images.frames[0][None])}
    values = {"datatype": "FP32", "npy": images.array("values", images.small[:2].astype(np.float32))}
    files = {"datatype": "BYTES", "files": [str(file) for file in images.files], "binary": True}
    texts = {
        "datatype": "BYTES",
        "texts": [images.base64_of(file) for file in images.files],
        "binary": False,
        "grpc": False,
    }
    requests = {
        "frame": {**frame, "binary": True, "id": "number 7"},
        "json_frame": {**frame, "binary": False},
        "list_frame": {**frame, "binary": False, "as_list": True},  # gRPC: `contents` instead of raw bytes
        "values": {**values, "binary": True},
        "json_values": {**values, "binary": False},
        "list_values": {**values, "binary": False, "as_list": True},
        "files": files,
        "list_files": {**files, "as_list": True, "rest": False},
        "json_files": texts,
        "unknown_model": {**frame, "binary": True, "model": "no such model"},
        "wrong_input": {**frame, "binary": True, "input": "no such input"},
    }  # fmt: skip
    with serving({"signs": SAMPLE}, tmp_path_factory.mktemp("server")) as server:
        given = {"http": server.url, "grpc": server.grpc, "model": "signs", "requests": requests}
        answered: dict[str, Any] = answer_of(KSERVE, "serve_kserve.py", given=given)
    return answered


@on_both
def test_readiness(answers: dict[str, Any], transport: str) -> None:
    told = answers[transport]
    assert told["live"] is told["ready"] is told["model_ready"] is True
    assert told.get("unknown_ready", False) is False


@pytest.mark.parametrize(
    ("transport", "request_name"),
    [
        *itertools.product(
            TRANSPORTS, ("frame", "json_frame", "list_frame", "values", "json_values", "list_values", "files")
        ),
        ("rest", "json_files"),  # base64 text
        ("grpc", "list_files"),
    ],
)
def test_answers(answers: dict[str, Any], images: ServedImages, transport: str, request_name: str) -> None:
    outcome = answers[transport][request_name]
    assert "outputs" in outcome, outcome
    (output,) = outcome["outputs"].values()
    kind = request_name.partition("_")[2] or request_name
    if kind == "values":
        row = images.classifier.probabilities
        expected = b"".join(row(frame[None])[0].astype("<f4").tobytes() for frame in images.small[:2]).hex()
    else:
        expected = images.hex_of(*(images.files if kind == "files" else images.frames[:1]))
    assert (output["datatype"], output["hex"]) == ("FP32", expected)
    assert outcome["model_name"] == "signs"
    if request_name == "frame":
        assert outcome["id"] == "number 7"


@on_both
def test_refusals(answers: dict[str, Any], transport: str) -> None:
    found = {name: answers[transport][name].get("status") for name in ("unknown_model", "wrong_input")}
    expected = ("404", "400") if transport == "rest" else ("NOT_FOUND", "INVALID_ARGUMENT")
    assert tuple(found.values()) == expected
