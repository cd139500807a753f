"""Demos as a user runs them: processes of their own, from the repository's root."""

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
    """No display but the given one, and no network: whatever would fetch meets a proxy that is not there."""
    kept = {name: text for name, text in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9") | {
        "no_proxy": "127.0.0.1"
    }
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return kept | nowhere | {"PYTHONPATH": path} | ({} if display is None else {"DISPLAY": display})


def run(demo: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a demo to its end."""
    words = [sys.executable, str(DEMOS / demo), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=ROOT, env=environment(), **options)


def start(demo: str, *arguments: object, display: str | None = None) -> subprocess.Popen[str]:
    """Begin to run a demo."""
    words = [sys.executable, str(DEMOS / demo), *map(str, arguments)]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment(display)
    )


def lines(text: str) -> list[dict[str, Any]]:
    """JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def truth() -> list[str]:
    """The label of each frame of the sample video; empty where no sign can be read."""
    with (DEMOS / "data" / "sample_drive.csv").open() as file:
        return [row["label"] for row in csv.DictReader(file)]


def frames_of(video: Path) -> list[Any]:
    """All frames that OpenCV can read of a video."""
    import cv2

    capture, frames = cv2.VideoCapture(str(video)), []
    while (found := capture.read())[0]:
        frames.append(found[1])
    capture.release()
    return frames
