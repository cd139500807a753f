"""Which performance hint and batch size are compiled, and when; the same results from the API and the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
import small_networks
from fake_device import FakeCore
from PIL import Image

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.devices.compile import Compiled, compile_model
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.ir.files import open_ir
from ov_mobilenet.runtime.defaults import CPU_BATCH, MANY_IMAGES, settings_for
from ov_mobilenet.runtime.results import Classification
from ov_mobilenet.runtime.runnable import make_runnable
from ov_mobilenet.zoo.geometry import parse_geometry

FRAME = np.zeros((32, 32, 3), np.uint8)
CPU = DeviceSettings(device="CPU")


@pytest.fixture(scope="module")
def xml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ir")
    yml = small_networks.write_onnx(folder / "small")
    sources = ovm.download(ovm.load_config(yml), folder / "dl", cache_root=folder / "cache")
    form = ovm.Form(geometry=parse_geometry("resize 32"))
    return ovm.convert(sources, folder, precisions=("FP32",), form=form)[0].xml


class Compiling:
    """A classifier on simulated devices, and the hints and batch sizes that were compiled for it, in order."""

    def __init__(self, xml: Path, settings: DeviceSettings, batch_size: int | None = None) -> None:
        self._core = FakeCore()
        runnable = make_runnable(open_ir(xml))
        self.classifier = runnable.compile(self._compile, settings, batch_size=batch_size)

    def _compile(self, model: ov.Model, settings: DeviceSettings) -> Compiled:
        return compile_model(model, settings, core=self._core)

    @property
    def compiled(self) -> list[tuple[str | None, int]]:
        return [
            (properties.get("PERFORMANCE_HINT"), model.inputs[0].get_partial_shape()[0].get_length())
            for _, properties, model in self._core.compiled
        ]

    def stream(self, count: int) -> None:
        assert sum(1 for _ in self.classifier.stream([FRAME] * count)) == count


def test_classify_runs_on_the_default_of_the_device(xml: Path) -> None:
    compiling = Compiling(xml, CPU)
    compiling.classifier.classify(FRAME)
    compiling.classifier.probabilities(FRAME[None])
    compiling.stream(1)
    assert compiling.compiled == [(None, 1)]


def test_a_stream_runs_on_the_throughput_hint_and_with_batch_4_from_many_images_on(xml: Path) -> None:
    compiling = Compiling(xml, CPU)
    compiling.stream(MANY_IMAGES - 1)
    assert compiling.compiled == [(None, 1), ("THROUGHPUT", 1)]
    compiling.stream(MANY_IMAGES)
    assert compiling.compiled == [(None, 1), ("THROUGHPUT", 1), ("THROUGHPUT", CPU_BATCH)]
    compiling.stream(MANY_IMAGES)
    compiling.stream(2)
    assert len(compiling.compiled) == 3  # each batch size is compiled once


def test_an_unknown_number_of_images_counts_as_many(xml: Path) -> None:
    compiling = Compiling(xml, CPU)
    assert len(list(compiling.classifier.stream(iter([FRAME] * 3)))) == 3
    assert compiling.compiled == [(None, 1), ("THROUGHPUT", CPU_BATCH)]


def test_a_live_source_runs_on_the_throughput_hint_with_batch_1(xml: Path) -> None:
    class Camera:
        live = True

        def __iter__(self) -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
            return iter([FRAME] * 3)

    compiling = Compiling(xml, CPU)
    assert len(list(compiling.classifier.stream(Camera()))) == 3
    assert compiling.compiled == [(None, 1), ("THROUGHPUT", 1)]


def test_a_queue_runs_on_the_throughput_hint_with_the_batch_size_of_the_model(xml: Path) -> None:
    compiling = Compiling(xml, CPU)
    ovm.InferQueue(compiling.classifier)
    assert compiling.compiled == [(None, 1), ("THROUGHPUT", 1)]


LATENCY_PROPERTY = replace(CPU, properties=(("PERFORMANCE_HINT", "LATENCY"),))


@pytest.mark.parametrize(
    ("settings", "batch_size", "expected"),
    [
        (replace(CPU, hint="latency"), None, [("LATENCY", 1)]),
        (LATENCY_PROPERTY, None, [("LATENCY", 1)]),
        (replace(CPU, hint="throughput"), None, [("THROUGHPUT", 1), ("THROUGHPUT", CPU_BATCH)]),
        (replace(CPU, streams=2), None, [(None, 1), (None, CPU_BATCH)]),
        (CPU, 8, [(None, 8), ("THROUGHPUT", 8)]),
        (CPU, 1, [(None, 1), ("THROUGHPUT", 1)]),
        (replace(CPU, hint="throughput"), 8, [("THROUGHPUT", 8)]),
        (DeviceSettings(device="GPU", model_cache="off"), None, [(None, 1), ("THROUGHPUT", 1)]),
    ],
)
def test_what_a_stream_of_many_images_compiles(
    xml: Path, settings: DeviceSettings, batch_size: int | None, expected: list[tuple[str | None, int]]
) -> None:
    compiling = Compiling(xml, settings, batch_size)
    compiling.stream(MANY_IMAGES)
    assert compiling.compiled == expected


def test_an_ir_of_another_tool_keeps_its_batch_size(tmp_path: Path) -> None:
    small_networks.write_onnx(tmp_path, batch=1)
    ov.save_model(ov.convert_model(tmp_path / "small.onnx"), tmp_path / "other.xml", compress_to_fp16=False)
    compiling = Compiling(tmp_path / "other.xml", CPU)
    compiling.stream(MANY_IMAGES)
    assert compiling.compiled == [(None, 1), ("THROUGHPUT", 1)]


@pytest.mark.parametrize(
    ("settings", "images", "hint", "batch_size"),
    [
        (CPU, 1, None, None),
        (CPU, 2, "throughput", None),
        (CPU, MANY_IMAGES - 1, "throughput", None),
        (CPU, MANY_IMAGES, "throughput", CPU_BATCH),
        (CPU, None, "throughput", CPU_BATCH),
        (replace(CPU, streams=1), None, None, CPU_BATCH),
        (replace(CPU, hint="latency"), None, "latency", None),
        (LATENCY_PROPERTY, None, None, None),
        (DeviceSettings(device="MULTI:CPU"), None, "throughput", None),
    ],
)
def test_the_command_line_chooses_as_the_api_does(
    settings: DeviceSettings, images: int | None, hint: str | None, batch_size: int | None
) -> None:
    chosen, chosen_batch = settings_for(settings, images)
    assert (chosen.hint, chosen_batch) == (hint, batch_size)
    assert replace(chosen, hint=settings.hint) == settings


def test_a_python_loop_gives_the_results_of_the_command_line(
    xml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, frame in enumerate(small_networks.frames(MANY_IMAGES + 5)):
        Image.fromarray(frame).save(folder / f"{number:03}.png")
    files = sorted(folder.iterdir())
    assert main(["classify", str(xml), str(folder), "-d", "CPU", "--format", "jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    results = list(ovm.load_classifier(xml, device="CPU").stream(files))
    assert [line["source"] for line in lines] == [result.source for result in results] == list(map(str, files))
    for line, result in zip(lines, results, strict=True):
        assert isinstance(result, Classification)
        assert [p["class_id"] for p in line["predictions"]] == [p.class_id for p in result.predictions]
        assert [p["label"] for p in line["predictions"]] == [p.label for p in result.predictions]
        probabilities = [p.probability for p in result.predictions]
        assert [p["probability"] for p in line["predictions"]] == pytest.approx(probabilities, abs=1e-6)
    assert len({result.best.class_id for result in results if isinstance(result, Classification)}) > 1
