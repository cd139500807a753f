"""A new IR takes the place of the old one while clients send requests; a broken one does not."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from ov_mobilenet import Server, ServerSettings, convert, find_config
from ov_mobilenet.serving import upkeep

SAMPLE = "mobilenet-v1-0.25-128-signs"
SIGN = find_config(SAMPLE).folder / "samples" / "stop_red_01.jpg"


@pytest.fixture(scope="module")
def irs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An IR of the sample model, and one whose classes are in reverse order: the answers tell which of them ran."""
    folder = tmp_path_factory.mktemp("irs")
    (model,) = convert(SAMPLE, folder / "first", precisions=["FP32"], offline=True)
    network = ov.Core().read_model(model.xml)
    scores = network.outputs[0].get_node().input_value(0)
    ops = ov.opset13
    order = ops.constant(np.arange(15, -1, -1, dtype=np.int64))
    reversed_scores = ops.gather(scores, order, ops.constant(np.int64(1)))
    reversed_scores.output(0).set_names(network.outputs[0].get_names())
    other = ov.Model([ops.result(reversed_scores)], network.get_parameters(), "reversed")
    other.set_rt_info(network.get_rt_info()["ov_mobilenet"], "ov_mobilenet")
    xml = folder / "second" / model.xml.name
    xml.parent.mkdir()
    ov.save_model(other, xml, compress_to_fp16=False)
    return model.xml, xml


def install(xml: Path, target: Path) -> None:
    """Put the files of an IR in the place of another, weights first, each at once."""
    for suffix in (".bin", ".xml"):
        copy = target.with_name(f"new{suffix}")
        shutil.copy(xml.with_suffix(suffix), copy)
        copy.replace(target.with_suffix(suffix))


@contextmanager
def serving(xml: Path, **settings: bool) -> Iterator[Server]:
    chosen = ServerSettings(port=0, grpc_port=None, **settings)  # type: ignore[arg-type]
    with Server({"signs": xml}, chosen, device="CPU", inference_precision="f32") as server:
        yield server


def class_of(server: Server) -> int:
    with urllib.request.urlopen(
        urllib.request.Request(f"{server.url}/v1/classify", SIGN.read_bytes()), timeout=60
    ) as response:  # fmt: skip
        return int(json.load(response)["predictions"][0]["class_id"])


def send_until(stop: threading.Event, server: Server, seen: Counter[int], changed: threading.Event) -> None:
    """Send requests until `stop`; `changed` is set by every answer that is not the first one."""
    first = class_of(server)
    while not stop.is_set():
        found = class_of(server)
        seen[found] += 1
        if found != first:
            changed.set()


def under_load(server: Server, change: Callable[[], None]) -> Counter[int]:
    """Change the model while three clients send requests; returns how often each class was answered."""
    stop, changed, seen = threading.Event(), threading.Event(), Counter[int]()
    with ThreadPoolExecutor(3) as pool:
        clients = [pool.submit(send_until, stop, server, seen, changed) for _ in range(3)]
        try:
            change()
            assert changed.wait(60), "the new IR does not answer"
        finally:
            stop.set()
        for client in clients:
            client.result(60)
    return seen


def test_a_reload_under_load_loses_nothing(irs: tuple[Path, Path], tmp_path: Path) -> None:
    xml = tmp_path / "signs.xml"
    install(irs[0], xml)
    with serving(xml) as server:
        before = class_of(server)

        def change() -> None:
            install(irs[1], xml)
            server.reload()

        seen = under_load(server, change)
        assert set(seen) == {before, 15 - before}, "an answer is that of one of the two IRs"
        assert class_of(server) == 15 - before


def test_changed_files_are_loaded_and_a_broken_ir_is_not(
    irs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upkeep, "INTERVAL_S", 0.02)
    caplog.set_level(logging.ERROR, "ov_mobilenet")
    failed = threading.Event()
    monkeypatch.setattr(
        logging.getLogger("ov_mobilenet.serving.models.model_repository"), "error", lambda *_: failed.set()
    )
    xml = tmp_path / "signs.xml"
    install(irs[0], xml)
    with serving(xml, reload=True) as server:
        before = class_of(server)
        xml.write_text("<net")
        assert failed.wait(60)
        assert class_of(server) == before, "the old one stays"
        seen = under_load(server, lambda: install(irs[1], xml))
        assert set(seen) <= {before, 15 - before}


@pytest.mark.full
def test_the_newest_version_of_a_model_folder_runs(
    irs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version is loaded when its files are complete; when it is removed, the one before runs again."""
    monkeypatch.setattr(upkeep, "INTERVAL_S", 0.02)
    failed = threading.Event()
    monkeypatch.setattr(
        logging.getLogger("ov_mobilenet.serving.models.model_repository"), "error", lambda *_: failed.set()
    )
    first, second = (tmp_path / "signs" / version / "signs.xml" for version in ("1", "2"))
    first.parent.mkdir(parents=True)
    install(irs[0], first)
    with serving(tmp_path / "signs", reload=True) as server:
        before = class_of(server)
        second.parent.mkdir()
        shutil.copy(irs[1], second)
        assert failed.wait(60), "without its weights it cannot be loaded"
        assert class_of(server) == before
        seen = under_load(server, lambda: install(irs[1], second))
        assert set(seen) <= {before, 15 - before}
        assert class_of(server) == 15 - before
        under_load(server, lambda: shutil.rmtree(second.parent))
        assert class_of(server) == before


@pytest.mark.full
def test_twenty_reloads_under_load_lose_nothing(irs: tuple[Path, Path], tmp_path: Path) -> None:
    xml = tmp_path / "signs.xml"
    install(irs[0], xml)
    with serving(xml) as server:
        expected = {class_of(server), 15 - class_of(server)}
        for number in range(1, 21):

            def change(number: int = number) -> None:
                install(irs[number % 2], xml)
                server.reload()

            assert set(under_load(server, change)) == expected
