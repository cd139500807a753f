"""Which models a folder stands for: model repositories, and what is none."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from ov_mobilenet import ConfigError, OvMobilenetError, UsageError
from ov_mobilenet.runtime.model_folders import ModelFolder
from ov_mobilenet.runtime.model_names import models_by_name

SAMPLE = "mobilenet-v1-0.25-128-signs"


def write(root: Path, *files: str) -> Path:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return root


def found(model: Path | str, **options: Any) -> dict[str, str]:
    """The IRs that a server would load, by name."""
    models = models_by_name([model], repositories=True, **options)
    assert all(isinstance(one, ModelFolder) for one in models.values()), models
    return {name: str(one.newest_xml()) for name, one in models.items() if isinstance(one, ModelFolder)}


@pytest.mark.parametrize("prefix", ["models/", ""])
def test_each_folder_with_versions_is_a_model(tmp_path: Path, prefix: str) -> None:
    write(
        tmp_path,
        *(f"{prefix}{file}" for file in ("a/1/a.xml", "a/1/a.bin", "b/1/b.xml", "notes/old/x.xml")),
        "README.md",
    )
    assert found(tmp_path) == {name: str(tmp_path / f"{prefix}{name}" / "1" / f"{name}.xml") for name in "ab"}
    assert found(str(tmp_path)) == found(tmp_path)


def test_the_highest_number_is_the_newest_version(tmp_path: Path) -> None:
    write(tmp_path, "a/2/a.xml", "a/10/a.xml", "a/9/a.xml", "a/0/a.xml", "a/-11/a.xml", "a/11.5/a.xml", "a/v12/a.xml")
    assert found(tmp_path) == {"a": str(tmp_path / "a/10/a.xml")}


def test_a_version_without_an_ir_is_passed_over_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "a/1/a.xml", "a/2/a.onnx")
    with caplog.at_level(logging.WARNING, "ov_mobilenet"):
        assert found(tmp_path) == {"a": str(tmp_path / "a/1/a.xml")}
    assert "version 1 runs" in caplog.text


def test_the_folder_of_a_model_is_one_model(tmp_path: Path) -> None:
    folder = write(tmp_path / "signs", "1/other.xml", "1/other.bin", "SUCCESS.txt")
    assert found(folder) == {"signs": str(folder / "1/other.xml")}
    renamed = models_by_name([], [("mine", folder)], repositories=True)
    assert renamed == {"mine": ModelFolder(folder)} == models_by_name({"mine": str(folder)}, repositories=True)


def test_the_folder_of_a_model_is_one_model_also_beside_other_files(tmp_path: Path) -> None:
    folder = write(tmp_path / "signs", "1/signs.xml", "-2/1/signs-2.xml")
    assert found(folder) == {"signs": str(folder / "1/signs.xml")}


def test_a_model_may_be_called_by_a_number(tmp_path: Path) -> None:
    folder = write(tmp_path / "all", "1/1/1.xml", "2/7/2.xml")
    assert found(folder) == {"1": str(folder / "1/1/1.xml"), "2": str(folder / "2/7/2.xml")}


def test_a_relative_folder_has_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path / "signs", "1/signs.xml"))
    assert list(found(".")) == ["signs"]


def test_config_json_of_the_model_server_names_the_models(tmp_path: Path) -> None:
    write(tmp_path, "models/a/3/x.xml", "models/unlisted/1/y.xml")
    entry = {"config": {"name": "first", "base_path": "models/a", "nireq": 4, "shape": "auto"}}
    (tmp_path / "config.json").write_text(json.dumps({"model_config_list": [entry]}))
    expected = {"first": str(tmp_path / "models/a/3/x.xml")}
    assert found(tmp_path) == expected == found(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ({"model_config_list": []}, ConfigError, "no models in the file"),
        ({"model_config_list": ["a"]}, ConfigError, r"model_config_list\[0\]"),
        ({"model_config_list": [{"config": {"name": "a"}}]}, ConfigError, "name and base_path"),
        ({"model_config_list": [{"config": {"name": "a", "base_path": 7}}]}, ConfigError, "name and base_path"),
        ({"model_config_list": [{"config": {"name": "a", "base_path": "s3://b/a"}}]}, UsageError, "no folder"),
        ({"model_config_list": [{"config": {"name": "a", "base_path": "empty"}}]}, UsageError, "an empty folder"),
        ({"model_config_list": 2 * [{"config": {"name": "a", "base_path": "m"}}]}, ConfigError, "the same name"),
        ({"model_config_list": [{"config": {"name": "a/b", "base_path": "m"}}]}, UsageError, "invalid name"),
    ],
)
def test_an_invalid_config_json_is_an_error(
    tmp_path: Path, content: object, error: type[OvMobilenetError], message: str
) -> None:
    write(tmp_path, "m/1/m.xml")
    (tmp_path / "empty").mkdir()
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(error, match=message):
        found(tmp_path)


def test_config_json_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        found(tmp_path)


@pytest.mark.parametrize(
    ("files", "got"),
    [
        ((), "an empty folder"),
        (("cat.jpg", "dog.jpg"), "cat.jpg, dog.jpg"),
        (tuple(f"{name}/x.xml" for name in "abcdefg"), "a, b, c, d, e and 2 more"),
    ],
)
def test_a_folder_without_models_is_one_message_with_what_is_there(
    tmp_path: Path, files: tuple[str, ...], got: str
) -> None:
    with pytest.raises(UsageError) as caught:
        found(write(tmp_path, *files))
    assert f"got {got}" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "NAME/VERSION/NAME.xml" in str(caught.value)


def test_a_version_with_several_irs_is_an_error_unless_one_has_the_name_of_the_model(tmp_path: Path) -> None:
    write(tmp_path, "a/1/x.xml", "a/1/y.xml")
    with pytest.raises(UsageError, match=r"several IRs.*x.xml, y.xml"):
        found(tmp_path)
    assert found(write(tmp_path, "a/1/a.xml")) == {"a": str(tmp_path / "a/1/a.xml")}


def test_versions_without_an_ir_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no IR of a model"):
        found(write(tmp_path, "a/1/a.onnx"))


def test_a_name_is_for_a_single_model(tmp_path: Path) -> None:
    write(tmp_path, "a/1/a.xml", "b/1/b.xml")
    with pytest.raises(UsageError, match=r"the name mine .* several models.*got a, b"):
        models_by_name({"mine": tmp_path}, repositories=True)


def test_the_same_name_in_two_repositories_is_an_error(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, "a/1/a.xml") for name in ("first", "second"))
    with pytest.raises(UsageError, match="two models have the same name"):
        models_by_name([first, second], repositories=True)


def test_a_folder_with_a_description_is_that_model(tmp_path: Path) -> None:
    write(tmp_path, "model.yml", "1/a.xml", "models/a/1/a.xml")
    assert models_by_name([tmp_path], repositories=True) == {tmp_path.name: tmp_path}


def test_a_hugging_face_repository_is_that_model(tmp_path: Path) -> None:
    write(tmp_path, "model.safetensors", "1/a.xml", "models/a/1/a.xml")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "mobilenetv3_small_100", "num_classes": 5}))
    assert models_by_name([tmp_path], repositories=True) == {tmp_path.name: tmp_path}


@pytest.mark.parametrize("name", [SAMPLE, "mine", "anything"])
def test_names_that_are_looked_up_come_before_a_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zoo name, a name of the user's, and with --ir-dir any name."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, f"{name}/1/x.xml", "own/mine/model.yml")
    ir_dir = tmp_path if name == "anything" else None
    assert models_by_name([name], repositories=True, config_dirs=[tmp_path / "own"], ir_dir=ir_dir) == {name: name}
    assert list(found(f"./{name}/", config_dirs=[tmp_path / "own"], ir_dir=ir_dir)) == [name]


@pytest.mark.parametrize("model", ["hf:timm/mobilenetv3_small_100.lamb_in1k", "no-such-model", "mine.xml"])
def test_what_is_no_folder_keeps_its_meaning(model: str) -> None:
    assert list(models_by_name([model], repositories=True).values()) == [model]


def test_only_servers_take_repositories(tmp_path: Path) -> None:
    write(tmp_path, "a/1/a.xml")
    assert models_by_name([tmp_path]) == {tmp_path.name: tmp_path}
