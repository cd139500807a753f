"""Run a command in this process and return what it prints on stdout."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

from ov_mobilenet.cli.main import main


def run(*arguments: object, code: int = 0) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([*map(str, arguments)]) == code
    return out.getvalue()


def document(*arguments: object, code: int = 0) -> Any:
    return json.loads(run(*arguments, "--format", "json", code=code))


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]
