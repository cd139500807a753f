"""A model repository is served like the IRs in it: names, answers, geometry and labels."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from serving.server_process import served

from ov_mobilenet import Server, ServerSettings, UsageError, load_classifier
from ov_mobilenet.ir.record import write_record
from ov_mobilenet.ir.saving import save_ir
from ov_mobilenet.resolve import Lookup, open_model
from ov_mobilenet.zoo.geometry import parse_geometry

SAMPLE = "mobilenet-v1-0.25-128-signs"
SETTINGS = ServerSettings(port=0, grpc_port=None)


@pytest.fixture(scope="module")
def repository(serving_cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models that answer differently: one resizes the whole image, the other one crops."""
    folder = tmp_path_factory.mktemp("repository")
    for name, geometry in (("whole", "resize 128"), ("cropped", "crop 0.5, resize 128")):
        ir = open_model(SAMPLE, Lookup())
        assert ir.record is not None
        write_record(ir.network, msgspec.structs.replace(ir.record, geometry=parse_geometry(geometry)))
        save_ir(ir.network, folder / "models" / name / "1" / f"{name}.xml")
    return folder


@pytest.fixture(scope="module")
def server(repository: Path) -> Iterator[Server]:
    with Server([repository], SETTINGS, device="CPU", inference_precision="f32") as started:
        yield started


def answer(url: str, model: str, image: Path) -> list[dict[str, Any]]:
    request = urllib.request.Request(f"{url}/v1/classify?model={model}&top_k=16", image.read_bytes())
    with urllib.request.urlopen(request, timeout=60) as response:
        return list(json.load(response)["predictions"])


def test_the_names_are_those_of_the_folders(server: Server) -> None:
    assert server.repository.names == ("cropped", "whole")


@pytest.mark.parametrize("name", ["cropped", "whole"])
def test_the_answers_are_those_of_classify(name: str, server: Server, repository: Path, sign_files: list[Path]) -> None:
    xml = repository / "models" / name / "1" / f"{name}.xml"
    classifier = load_classifier(xml, device="CPU", inference_precision="f32")
    for image in sign_files[:3]:
        expected = classifier.classify(image, top_k=16).predictions
        answered = answer(server.url, name, image)
        assert [(one["class_id"], one["label"]) for one in answered] == [(one.class_id, one.label) for one in expected]
        assert [one["probability"] for one in answered] == pytest.approx(
            [one.probability for one in expected], abs=2e-6
        )


def test_the_two_models_answer_differently(server: Server, sign_files: list[Path]) -> None:
    assert any(answer(server.url, "cropped", image) != answer(server.url, "whole", image) for image in sign_files)


@pytest.mark.full
def test_the_command_takes_a_folder_and_a_folder_by_name(
    repository: Path, serving_cache: None, sign_files: list[Path]
) -> None:
    with served(repository / "models" / "whole", "--name", f"mine={repository / 'models' / 'cropped'}") as process:
        assert process.announced["models"] == ["whole", "mine"]
        assert answer(process.announced["url"], "mine", sign_files[0])


def test_options_for_a_single_model_are_refused_for_several(repository: Path) -> None:
    with pytest.raises(UsageError, match="geometry is for a single model"):
        Server([repository], SETTINGS, geometry="resize 128")
    with pytest.raises(UsageError, match="not loaded here.*expected cropped, whole"):
        Server([repository], SETTINGS, devices={"signs": "CPU"})
    Server([repository], SETTINGS, devices={"whole": "CPU"})
