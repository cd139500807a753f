"""Run the demos as a user does: each in its own process, from the root of the repository."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEMOS = ROOT / "demos"
SAMPLES = ROOT / "model_configs" / "mobilenet-v1-0.25-128-signs" / "samples"


def environment(display: str | None = None) -> dict[str, str]:
    """Environment variables of a demo: no display except the given one, and a proxy that refuses every download."""
    kept = {name: text for name, text in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    no_network = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9") | {
        "no_proxy": "127.0.0.1"
    }
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return kept | no_network | {"PYTHONPATH": path} | ({} if display is None else {"DISPLAY": display})


def run(demo: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a demo until it exits."""
    words = [sys.executable, str(DEMOS / demo), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=ROOT, env=environment(), **options)


def start(demo: str, *arguments: object, display: str | None = None) -> subprocess.Popen[str]:
    """Start a demo and return its process."""
    words = [sys.executable, str(DEMOS / demo), *map(str, arguments)]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment(display)
    )


def json_lines(text: str) -> list[dict[str, Any]]:
    """Parse JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def true_labels() -> list[str]:
    """The label of each frame of the sample video; empty if no sign is readable in the frame."""
    with (DEMOS / "data" / "sample_drive.csv").open() as file:
        return [row["label"] for row in csv.DictReader(file)]


def frames_of(video: Path) -> list[Any]:
    """Read all frames of a video with OpenCV."""
    import cv2

    capture, frames = cv2.VideoCapture(str(video)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    capture.release()
    return frames
