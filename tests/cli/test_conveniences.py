"""What a command says or refuses: options that need another one, planned paths, and warnings of libraries."""

from __future__ import annotations

import logging
import os
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from ov_mobilenet import errors
from ov_mobilenet.cli import list_models, selection
from ov_mobilenet.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    "command",
    [
        ["accuracy", "m.xml", "--dataset", "."],
        ["accuracy", "m.xml", "--dataset", ".", "--limit", "5"],
        ["compare", "m.xml", "--dataset", "."],
        ["tune", "m.xml"],
        ["tune", "m.xml", "--dataset", ".", "--max-drop", "0.1", "--limit", "5"],
    ],
)
@pytest.mark.parametrize("seed", ["0", "3"])
def test_a_seed_without_a_sample_is_refused(command: list[str], seed: str, capsys: Capture) -> None:
    assert main([*command, "--seed", seed]) == 2
    assert "--seed requires --sample" in capsys.readouterr().err


def test_a_calibration_subset_that_is_always_too_small_is_refused(capsys: Capture) -> None:
    assert main(["quantize", "m.xml", "--calibration", ".", "--subset-size", "9"]) == 2
    assert "9 is not in the range x>=10" in capsys.readouterr().err


def test_a_dry_run_names_the_path_of_the_network(tmp_path: Path, capsys: Capture) -> None:
    downloads = tmp_path / "downloads"
    for model in ("mobilenetv2-7", "mobilenet-v3-small-1.0-224-tf", "mobilenet-v1-0.25-128-signs"):
        assert main(["convert", model, "--dry-run", "-d", str(downloads)]) == 0
        (network,) = re.findall(r"from \w+ (\S+),", capsys.readouterr().out)
        assert Path(network).parent == downloads / "public" / model
        assert Path(network).suffix in (".onnx", ".h5")


def test_a_future_warning_is_shown_with_v_only(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    real = selection.load_folders

    def warns(*arguments: object) -> object:
        warnings.warn("torch.thing will be removed,\nuse another", FutureWarning, stacklevel=1)
        warnings.warn("numbers overflow", RuntimeWarning, stacklevel=1)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(list_models, "load_folders", warns)

    def stderr(*options: str) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            assert main(["list", *options]) == 0
        return capsys.readouterr().err

    assert stderr() == "warning: numbers overflow\n"
    assert stderr("-q") == ""
    assert "info: torch.thing will be removed, use another\n" in stderr("-v")


def test_a_command_restores_the_log_settings_of_the_program_that_calls_it(caplog: pytest.LogCaptureFixture) -> None:
    logger, handler = logging.getLogger("ov_mobilenet"), logging.NullHandler()
    logger.addHandler(handler)
    before = logger.level, logger.handlers[:], logging.getLogger("ov_mobilenet.resolve").level
    for options in (["-q"], ["-v"], ["--debug"]):
        assert main(["list", *options]) == 0
        assert (logger.level, logger.handlers, logging.getLogger("ov_mobilenet.resolve").level) == before
    logger.removeHandler(handler)
    logger.warning("not hidden by the -q of an earlier command")
    assert "not hidden" in caplog.text


def test_the_command_for_a_missing_extra_installs_from_a_checkout(tmp_path: Path) -> None:
    """Neither a package index nor the current folder has to know the package."""
    command = shlex.split(errors.install_extra("report").removeprefix("Run: "))
    assert command[-3:-1] == ["install", "-e"]
    folder, _, extra = command[-1].rpartition("[")
    assert (Path(folder), extra) == (ROOT, "report]")
    assert "report = [" in (Path(folder) / "pyproject.toml").read_text("utf-8")


def test_the_command_for_a_missing_extra_of_an_installed_package(tmp_path: Path) -> None:
    package = tmp_path / "ov_mobilenet"
    package.mkdir()
    for name in ("__init__.py", "_version.py", "errors.py"):
        (package / name).write_bytes((ROOT / "ov_mobilenet" / name).read_bytes())
    script = "from ov_mobilenet.errors import install_extra; print(install_extra('report'))"
    folder = str(Path(sys.executable).parent)
    for path, pip in ((folder, "pip"), ("/nowhere", f"{shlex.quote(sys.executable)} -m pip")):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "PATH": path},
        )  # fmt: skip
        assert done.stdout == f"Run: {pip} install 'ov-mobilenet[report]'\n"


def test_no_error_writes_the_command_itself() -> None:
    written = re.compile(r"pip install[^\n]*ov-mobilenet\[|=\W*(Run: )?pip install")
    found = [path.name for path in (ROOT / "ov_mobilenet").rglob("*.py") if written.search(path.read_text("utf-8"))]
    assert found == ["quantize.py"], "its help"
