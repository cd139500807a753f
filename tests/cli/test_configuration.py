"""The configuration file and the variables OV_MOBILENET_*: which value a command gets, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete

from ov_mobilenet.cli.configuration import SETTINGS, configuration_file
from ov_mobilenet.cli.main import COMMANDS, WITHOUT_CONFIGURATION, cli, main

Capture = pytest.CaptureFixture[str]
WriteConfig = Callable[[str], Path]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteConfig:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def write(text: str) -> Path:
        file = configuration_file()
        assert file == tmp_path / "config" / "ov-mobilenet" / "config.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        return file

    return write


def parsed(*arguments: str) -> dict[str, Any]:
    """The values of the options, as the program parses a command line."""
    root = click.Context(cli)
    name, command, rest = cli.resolve_command(root, list(arguments))
    assert name is not None and command is not None
    return command.make_context(name, rest, parent=root).params


def test_the_command_line_comes_before_a_variable_before_the_file_before_the_default(
    config: WriteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("accuracy", "m.xml", "--dataset", ".")
    assert parsed(*command)["device"] == "AUTO"
    config("device: GPU\nformat: json\n")
    assert (parsed(*command)["device"], parsed(*command)["output_format"]) == ("GPU", "json")
    monkeypatch.setenv("OV_MOBILENET_DEVICE", "NPU")
    assert (parsed(*command)["device"], parsed(*command)["output_format"]) == ("NPU", "json")
    assert parsed(*command, "-d", "CPU")["device"] == "CPU"
    monkeypatch.setenv("OV_MOBILENET_DEVICE", " ")  # counts as not set
    assert parsed(*command)["device"] == "GPU"


def test_every_setting_reaches_its_option(config: WriteConfig, tmp_path: Path) -> None:
    file = config(
        "device: GPU\ncache_dir: models\nmodel_cache: off\nformat: csv\noffline: true\n"
        "mirrors: [/mnt/zoo, https://models.example.org/zoo]\n"
    )
    values = parsed("accuracy", "m.xml", "--dataset", ".")
    assert values["device"] == "GPU"
    assert values["cache_dir"] == file.parent / "models"  # relative to the file
    assert values["model_cache"] == "off"
    assert values["output_format"] == "csv"
    assert values["offline"] is True
    assert values["mirror"] == ("/mnt/zoo", "https://models.example.org/zoo")
    assert parsed("benchmark", "m.xml")["devices"] == ("GPU",)
    assert parsed("devices")["output_format"] == "table"  # has no csv
    assert parsed("cache", "list") == {}
    assert parsed("accuracy", "m.xml", "--dataset", ".", "--no-offline")["offline"] is False
    found = {option for command in COMMANDS if command not in WITHOUT_CONFIGURATION for option in options_of(command)}
    assert {setting.option for setting in SETTINGS} <= found


def options_of(name: str) -> list[str]:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return [spelling for parameter in command.params for spelling in parameter.opts]


def test_variables_and_home(config: WriteConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OV_MOBILENET_MIRRORS", "https://a.example.org /b")
    monkeypatch.setenv("OV_MOBILENET_OFFLINE", "Yes")
    config("cache_dir: ~/models\noffline: false\n")
    values = parsed("download", "mobilenetv2-7")
    assert values["mirror"] == ("https://a.example.org", "/b")
    assert values["offline"] is True
    assert values["cache_dir"] == tmp_path / "models"


def test_a_profile_and_an_output_file_take_the_place_of_a_setting(config: WriteConfig) -> None:
    config("device: GPU\nformat: json\nmodel_cache: cache\n")
    values = parsed("classify", "m.xml", "x.jpg", "--profile", "p.yml", "-o", "x.parquet")
    assert (values["device_options"] if "device_options" in values else values["device"]) == "AUTO"
    assert values["output_format"] is None  # by the suffix
    assert values["model_cache"] is None
    assert parsed("classify", "m.xml", "x.jpg", "-ox.csv")["output_format"] is None
    assert parsed("classify", "m.xml", "x.jpg", "--", "--profile")["device"] == "GPU"


def test_the_cache_and_the_mirrors_are_used(
    config: WriteConfig, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sample = "mobilenet-v1-0.25-128-signs"
    config("cache_dir: cache\nformat: jsonl\ndevice: CPU\n")
    image = Path(__file__).parents[2] / "model_configs" / sample / "samples" / "stop_red_01.jpg"
    assert main(["classify", sample, str(image)]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["label"] == "stop red"
    assert list((tmp_path / "config" / "ov-mobilenet" / "cache" / "ir").rglob("*.xml"))
    config("mirrors: [mirror]\noffline: true\n")
    assert main(["download", "mobilenetv2-7"]) == 1
    assert str(tmp_path / "config" / "ov-mobilenet" / "mirror" / "mobilenetv2-7" / "mobilenetv2-7.onnx") in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("device: CPU\ndevcie: GPU\n", 2, "devcie: unknown key: expected device, cache_dir"),
        ("\n\nformat: xml\n", 3, "format: invalid value: expected table or json"),
        ("offline: maybe\n", 1, "offline: invalid value: expected true or false, got 'maybe'"),
        ("device: 5\n", 1, "device: invalid value"),
        ("mirrors: [a, 3]\n", 1, "mirrors: invalid value"),
        ("cache_dir: ''\n", 1, "cache_dir: invalid value"),
        ("- device\n", 1, "invalid configuration"),
        ("device: [\n", 2, ""),
        ("device: CPU\ndevice: GPU\n", 2, ""),
    ],
)
def test_a_mistake_in_the_file_is_one_error_with_file_line_and_key(
    text: str, line: int, words: str, config: WriteConfig, capsys: Capture
) -> None:
    file = config(text)
    assert main(["list"]) == 1
    err = capsys.readouterr().err
    assert f"error: {file}:{line}" in err
    assert words in err
    assert err.count("\n") == 1
    assert main(["list", "--help"]) == 0  # help is there to put it right
    assert main(["completion", "bash"]) == 0
    assert main(["config", "show"]) == 1


def test_a_mistake_in_the_file_does_not_prevent_completion(config: WriteConfig) -> None:
    config("nonsense: 1\n")
    completion = ShellComplete(cli, {}, "ov-mobilenet", "_OV_MOBILENET_COMPLETE")
    assert [item.value for item in completion.get_completions(["list"], "--form")] == ["--format"]


@pytest.mark.parametrize(("name", "value"), [("OFFLINE", "maybe"), ("FORMAT", "xml")])
def test_a_wrong_variable_is_named(
    name: str, value: str, config: WriteConfig, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv(f"OV_MOBILENET_{name}", value)
    assert main(["list"]) == 2
    assert f"error: OV_MOBILENET_{name}: invalid value" in capsys.readouterr().err


def test_config_show(config: WriteConfig, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert main(["config", "show"]) == 0
    assert "does not exist" in capsys.readouterr().err
    file = config("device: GPU\n\nformat: csv\n")
    monkeypatch.setenv("OV_MOBILENET_MIRRORS", "/a /b")
    assert main(["config", "show", "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["file"], shown["file_exists"], shown["schema_version"]) == (str(file), True, 1)
    assert shown["settings"]["device"] == {"value": "GPU", "origin": f"{file}:1"}
    assert shown["settings"]["format"] == {"value": "csv", "origin": f"{file}:3"}
    assert shown["settings"]["mirrors"] == {"value": ["/a", "/b"], "origin": "OV_MOBILENET_MIRRORS"}
    assert shown["settings"]["offline"] == {"value": None, "origin": "default"}
    assert main(["config", "show"]) == 0
    out = capsys.readouterr().out
    for setting in SETTINGS:
        assert setting.name in out and setting.option in out
    assert main(["config", "--help"]) == 0
    out = capsys.readouterr().out
    assert all(setting.variable in out for setting in SETTINGS)


def test_the_python_package_does_not_read_the_configuration(config: WriteConfig) -> None:
    import ov_mobilenet as ovm

    config("device: NO_SUCH_DEVICE\nnonsense: 1\n")
    assert ovm.load_classifier("mobilenet-v1-0.25-128-signs", offline=True).device == "CPU"
