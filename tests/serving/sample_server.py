"""A server of the sample model over real sockets, at f32 on the CPU and on free ports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ov_mobilenet import Classifier
from ov_mobilenet.serving.server import Server
from ov_mobilenet.serving.settings import ServerSettings

SAMPLE = "mobilenet-v1-0.25-128-signs"
MODEL = "signs"


@contextmanager
def sample_server(model: str | Classifier = SAMPLE, **settings: Any) -> Iterator[Server]:
    """A server that runs, with these `ServerSettings`; with a classifier that is loaded already it starts at once."""
    chosen = ServerSettings(**{"port": 0, "grpc_port": 0} | settings)
    with Server({MODEL: model}, chosen, device="CPU", inference_precision="f32") as server:
        yield server
