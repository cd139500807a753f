"""Names, wildcards and paths of models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from zoo.descriptions import DescribeModel

from ov_mobilenet.errors import ConfigError, UnknownModelError
from ov_mobilenet.zoo.registry import find_config, list_models, model_names, zoo_folder

V1, V2, ONNX = "mobilenet-v1-0.25-128", "mobilenet-v2-pytorch", "mobilenetv2-7"


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("*", {V1, V2, ONNX}, set()),
        ("mobilenet-v1-*", {V1}, {V2, ONNX}),
        ("*v2*", {V2, ONNX}, {V1}),
        ("mobilenet-v[12]-*", {V1, V2}, {ONNX}),
        (V2, {V2}, {V1, ONNX}),
        ("MOBILENET*", set(), {V1, V2, ONNX}),
        ("mobilenet", set(), {V1, V2, ONNX}),
    ],
)
def test_wildcards(pattern: str, inside: set[str], outside: set[str]) -> None:
    names = model_names(pattern)
    assert inside <= set(names)
    assert not outside & set(names)
    assert names == sorted(names)


def test_several_patterns_give_each_model_once() -> None:
    names = [config.name for config in list_models("mobilenet-v2-p*", V1, "mobilenet-v1-0.25-12?")]
    assert names == sorted({V1, V2})
    assert [config.name for config in list_models()] == model_names()


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(UnknownModelError, match=r"no model matches 'resnet\*'"):
        list_models(V1, "resnet*")


@pytest.mark.parametrize(
    ("name", "suggestion"), [("mobilenet-v2-pytorh", V2), ("mobilenetv2-8", ONNX), ("mobilenet-v1-0.25-224", V1)]
)
def test_an_unknown_name_suggests_close_ones(name: str, suggestion: str) -> None:
    with pytest.raises(UnknownModelError) as caught:
        find_config(name)
    message = str(caught.value)
    assert repr(name) in message
    assert f"{suggestion}" in message.partition("Did you mean ")[2]
    assert "ov-mobilenet list" in message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["yolo", "", "/", "nowhere/model.yml", "a\0b"])
def test_a_name_unlike_any_model_gets_no_suggestion(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownModelError) as caught:
        find_config(name)
    assert "Did you mean" not in str(caught.value)


def test_a_model_is_found_by_name_folder_and_file(describe_model: DescribeModel, tmp_path: Path) -> None:
    describe_model(name="mine")
    assert find_config(V1).name == V1
    assert find_config(tmp_path / "mine").name == "mine"
    assert find_config(str(tmp_path / "mine" / "model.yml")).name == "mine"


def test_a_zoo_name_takes_precedence_over_a_folder(
    describe_model: DescribeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe_model(name=V1)
    monkeypatch.chdir(tmp_path)
    assert find_config(V1).framework == "tf"
    assert find_config(f"./{V1}").framework == "onnx"


def test_an_invalid_description_is_a_config_error(
    describe_model: DescribeModel, model_yml: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError):
        describe_model(model_yml + "x: 1\n", name="mine")
    with pytest.raises(ConfigError, match="unknown key"):
        find_config(tmp_path / "mine")


def test_config_dirs_add_to_the_packaged_descriptions(describe_model: DescribeModel, tmp_path: Path) -> None:
    describe_model(name="mine")
    describe_model(name="other")
    assert {"mine", "other", V1} <= set(model_names(config_dirs=[tmp_path]))
    assert [config.name for config in list_models("mi*", config_dirs=[tmp_path])] == ["mine"]
    assert find_config("other", config_dirs=[tmp_path]).path == tmp_path / "other" / "model.yml"
    with pytest.raises(UnknownModelError):
        find_config("other")


def test_a_duplicate_name_shows_both_paths(describe_model: DescribeModel, tmp_path: Path) -> None:
    describe_model(name=V1)
    for look in (lambda: find_config(V1, config_dirs=[tmp_path]), lambda: list_models(config_dirs=[tmp_path])):
        with pytest.raises(ConfigError) as caught:
            look()
        assert str(zoo_folder() / V1) in str(caught.value)
        assert str(tmp_path / V1) in str(caught.value)
    # What has nothing to do with the clash goes on working, and one folder named twice is no clash.
    assert find_config(V2, config_dirs=[tmp_path, tmp_path]).name == V2
    assert "mine" not in model_names(config_dirs=[zoo_folder()])


@pytest.mark.parametrize("how", ["flag", "variable", "user folder"])
def test_the_command_line_finds_the_users_descriptions(
    how: str,
    describe_model: DescribeModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from ov_mobilenet.cli.main import main

    (tmp_path / "ov-mobilenet" / "model_configs").mkdir(parents=True)
    describe_model(name="mine")
    folder = tmp_path
    if how == "user folder":
        folder = tmp_path / "ov-mobilenet" / "model_configs"
        (tmp_path / "mine").rename(folder / "mine")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if how == "variable":
        monkeypatch.setenv("OV_MOBILENET_CONFIG_DIR", str(folder))
    flag = ["--config-dir", str(folder)] if how == "flag" else []
    assert main(["info", "mine", "--format", "json", *flag]) == 0
    assert json.loads(capsys.readouterr().out)["model_yml"] == str(folder / "mine" / "model.yml")
    assert main(["convert", "--print_all", *flag]) == 0
    assert {"mine", V1} <= set(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", ["me/flowers", "https://huggingface.co/me/flowers/", "HF:me/flowers"])
def test_the_name_of_a_repository_in_another_form_gives_ours(name: str) -> None:
    with pytest.raises(UnknownModelError, match=r"For the Hugging Face repository: hf:me/flowers\."):
        find_config(name)


def test_the_path_of_a_missing_description_is_not_a_repository() -> None:
    with pytest.raises(UnknownModelError) as caught:
        find_config("mine/model.yml")
    assert "hf:mine" not in str(caught.value)
