"""Tables on a narrow terminal and in a pipe: a name is never broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.zoo.registry import find_config, model_names

ROOT = Path(__file__).resolve().parents[2]


def printed(command: str, *, on_terminal: bool, columns: int = 80) -> list[str]:
    """The lines that a command prints on a terminal, or into a pipe."""
    arguments = [sys.executable, "-m", "ov_mobilenet", *command.split()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    if not on_terminal:
        return subprocess.run(
            arguments, capture_output=True, text=True, env=environment, check=True
        ).stdout.splitlines()
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(arguments, stdout=theirs, stderr=subprocess.DEVNULL, env=environment) as process:
        os.close(theirs)
        output = b""
        try:
            while chunk := os.read(ours, 4096):
                output += chunk
        except OSError:  # the terminal is closed by the end of the process
            pass
        os.close(ours)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", output.decode()).splitlines()


@pytest.mark.parametrize("on_terminal", [True, False])
def test_list_does_not_break_names(on_terminal: bool) -> None:
    lines = printed("list", on_terminal=on_terminal)
    assert [line.split()[0] for line in lines if "mobilenet" in line] == model_names()
    if on_terminal:
        assert max(map(len, lines)) <= 80
        assert "download" in lines[0] and "top-1" in lines[0]
        assert "top-5" in printed("list", on_terminal=True, columns=120)[0]
    else:
        assert "top-5" in lines[0] and "framework" in lines[0]


@pytest.mark.parametrize("on_terminal", [True, False])
def test_demo_does_not_break_names(on_terminal: bool) -> None:
    lines = printed("demo -d CPU", on_terminal=on_terminal)
    images = sorted(path.name for path in (find_config(SAMPLE).folder / "samples").glob("*.jpg"))
    rows = [line.split("   ") for line in lines if ".jpg" in line]
    assert [row[0].strip() for row in rows] == images
    labels = [image.rsplit("_", 1)[0].replace("_", " ") for image in images]
    assert [next(filter(None, map(str.strip, row[1:]))) for row in rows] == labels
