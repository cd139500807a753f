"""The models that the benches of the server measure."""

from __future__ import annotations

from pathlib import Path

from images import ROOT

from ov_mobilenet.cli.demo import SAMPLE

_ZOO = ROOT.parent / "shared" / "zoo"
REAL = ("mobilenet-v1-0.25-128-tf2017", "mobilenet-v2-onnx-real")


def default_models() -> list[str]:
    """The sample model, and V1-0.25-128 and V2 with published weights where they are available."""
    described = [_ZOO / name / "model.yml" for name in REAL]
    return [SAMPLE, *(str(file) for file in described if file.is_file())]


def short_name(model: str) -> str:
    """What a bench prints for a MODEL."""
    path = Path(model)
    return path.parent.name if path.name == "model.yml" else path.name
