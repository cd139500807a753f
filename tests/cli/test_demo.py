"""`make demo` and the lines that `demo` suggests: the light environment, and commands that work where they are read."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ov_mobilenet.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
# Stands for Python, pip and the installed program: notes each call, creates environments, and has no torch to install.
FAKE_PYTHON = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; cp "$0" "$3/bin/ov-mobilenet" ;;
  *" pip "*download*) echo "ERROR: No matching distribution found" >&2; exit 1 ;;
esac
"""


def run_make(target: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run a target of the Makefile with a fake Python; returns the process, and the calls of Python and the program."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    python = folder / "python"
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "--no-print-directory", target, f"PYTHON={python}", f"VENV={folder}/venv"],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "CALLS": str(folder / "calls")},
    )  # fmt: skip
    return done, (folder / "calls").read_text().splitlines()


def test_make_demo_installs_only_what_the_package_needs(tmp_path: Path) -> None:
    done, calls = run_make("demo", tmp_path)
    assert done.returncode == 0, done.stderr
    (install,) = [call for call in calls if " install " in call]
    assert install.split()[-2:] == ["-e", "."], "no extras"
    assert "--quiet" not in install, "pip's progress is visible"
    assert calls[-1] == "demo"
    lines = done.stdout.splitlines()
    assert lines[0] == f"creating {tmp_path}/venv-demo"
    assert re.search(r"installing .* MB .* GB", lines[1])
    again, calls = run_make("demo", tmp_path)
    assert again.returncode == 0
    assert [call for call in calls if " install " in call] == [install], "the environment is kept"


def test_a_python_without_the_pinned_torch_is_no_error(tmp_path: Path) -> None:
    done, calls = run_make("venv", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stdout + done.stderr
    assert "no torch==" in done.stdout
    assert [call for call in calls if " install " in call and "torch" in call] == []
    assert any(" install " in call and ".[dev]" in call for call in calls)


def test_the_suggested_commands_work_where_they_are_read(tmp_path: Path) -> None:
    clone = tmp_path / "my clone"
    program = clone / ".venv-demo" / "bin" / "ov-mobilenet"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!{sys.executable}\nfrom ov_mobilenet.cli.main import run\nrun()\n")
    program.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=clone, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    lines = run(str(program), "demo", "-d", "CPU").partition("Next:\n")[2].splitlines()
    commands = [shlex.split(line, comments=True) for line in lines]
    assert [command[:2] for command in commands] == [
        [".venv-demo/bin/ov-mobilenet", name] for name in ("classify", "list", "convert")
    ]
    assert run(*commands[0]).count("\n") == 12


def test_the_short_name_is_suggested_if_the_shell_finds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ov_mobilenet.cli.invocation import program_words

    for folder in ("ours", "another"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ov-mobilenet").write_text("#!/bin/sh\n")
        (tmp_path / folder / "ov-mobilenet").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "ours" / "ov-mobilenet")])
    monkeypatch.setenv("PATH", f"{tmp_path}/ours:{tmp_path}/another")
    assert program_words() == "ov-mobilenet"
    monkeypatch.setenv("PATH", f"{tmp_path}/another:{tmp_path}/ours")
    assert program_words() == "ours/ov-mobilenet"
    monkeypatch.chdir(tmp_path / "another")
    assert program_words() == f"{tmp_path}/ours/ov-mobilenet"


def test_the_suggested_commands_of_a_module_name_its_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ov_mobilenet.cli.invocation import program_words

    monkeypatch.setattr(sys, "argv", [str(ROOT / "ov_mobilenet" / "__main__.py")])
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert program_words() == "python -m ov_mobilenet"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert program_words() == f"{shlex.quote(sys.executable)} -m ov_mobilenet"


def test_samples_are_copied_and_no_other_file_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "images"
    assert main(["-q", "demo", "-d", "CPU", "--samples", str(folder)]) == 0
    samples = ROOT / "model_configs" / "mobilenet-v1-0.25-128-signs" / "samples"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in samples.iterdir()
    }
    (folder / "stop_red_01.jpg").write_bytes(b"mine")
    (folder / "stop_blue_01.jpg").unlink()
    assert main(["-q", "demo", "-d", "CPU", "--samples", str(folder)]) == 1
    assert "stop_red_01.jpg: a file of this name is there already" in capsys.readouterr().err
    assert (folder / "stop_red_01.jpg").read_bytes() == b"mine"
    assert main(["-q", "demo", "-d", "CPU", "--samples", str(folder / "stop_red_01.jpg" / "below")]) == 1
    assert "cannot be copied (Not a directory)" in capsys.readouterr().err
