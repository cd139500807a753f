"""A running server for the tests of this folder, and drawings to send to it.

A test that changes the state of the server, or needs other limits, starts one of its own:
`with sample_server(max_queue=1) as server`, with the fixture `serving_cache`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest
from serving.sample_server import SAMPLE, sample_server
from signs import held_out

from ov_mobilenet import Classifier, load_classifier
from ov_mobilenet.serving.server import Server

if TYPE_CHECKING:
    from serving.running_grpc import RunningGrpc


@pytest.fixture(scope="session")
def sign_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight drawings of signs, of different classes and sizes, as PNG and JPEG files."""
    folder = tmp_path_factory.mktemp("signs")
    files = []
    for number, (frame, _) in enumerate(held_out(5, 8)):
        files.append(folder / f"sign{number}{'.jpg' if number % 2 else '.png'}")
        cv2.imwrite(str(files[-1]), frame)
    return files


@pytest.fixture(scope="session")
def serving_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder for the servers of this folder, which live longer than a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "serving-cache"))
        yield


@pytest.fixture(scope="session")
def signs_classifier(serving_cache: None) -> Classifier:
    """The served network, for the expected answers, at f32."""
    return load_classifier(SAMPLE, device="CPU", inference_precision="f32")


@pytest.fixture(scope="module")
def server(serving_cache: None) -> Iterator[Server]:
    """A server of the model `signs` with the default limits, one for each test file."""
    with sample_server() as started:
        yield started


@pytest.fixture(scope="module")
def classifier(signs_classifier: Classifier) -> Classifier:
    """The network that a gRPC server of a test file serves."""
    return signs_classifier


@pytest.fixture(scope="module")
def plain_server(classifier: Classifier) -> Iterator[RunningGrpc]:
    """A gRPC server with the default limits, one for each test file."""
    from serving.running_grpc import running_grpc

    with running_grpc(classifier) as started:
        yield started
