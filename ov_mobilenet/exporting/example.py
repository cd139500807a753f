"""An example image, and the answer that a model server must give to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ConversionError

if TYPE_CHECKING:
    from pathlib import Path

    from ov_mobilenet.exporting.server_form import ServerNetwork
    from ov_mobilenet.images.decode import Frame

EXAMPLE = "example.png"
HEIGHT, WIDTH = 240, 320
TOP_K = 3


@dataclass(frozen=True)
class ExpectedClass:
    """One of the most probable classes of the example image."""

    class_id: int
    label: str | None
    probability: float


def example_frame() -> Frame:
    """A drawing, uint8 (240, 320, 3) BGR: a sign on a pole before sky and ground, off the middle."""
    import cv2
    import numpy as np

    shade = np.linspace(255, 170, HEIGHT, dtype=np.float32)[:, None, None] * np.array([0.95, 0.85, 0.7], np.float32)
    frame = np.ascontiguousarray(np.broadcast_to(shade, (HEIGHT, WIDTH, 3)).astype(np.uint8))
    cv2.rectangle(frame, (0, 190), (WIDTH, HEIGHT), (70, 110, 90), cv2.FILLED)
    cv2.rectangle(frame, (182, 100), (190, 200), (120, 120, 120), cv2.FILLED)
    cv2.circle(frame, (186, 84), 62, (40, 30, 200), cv2.FILLED)
    cv2.rectangle(frame, (144, 72), (228, 96), (250, 250, 250), cv2.FILLED)
    return frame


def write_example(path: Path) -> None:
    """Write the example image as a PNG file, which every decoder reads alike."""
    import cv2

    _, data = cv2.imencode(".png", example_frame())
    path.write_bytes(data.tobytes())


def expected_answer(exported: ServerNetwork, where: Path) -> tuple[ExpectedClass, ...]:
    """The most probable classes of the example image, as the server computes them at f32 on the CPU.

    The network runs with its smallest and its largest batch size.

    Raises:
        ConversionError: it cannot run.
    """
    import cv2
    import numpy as np
    import openvino as ov

    frame = example_frame()
    if exported.input_size is not None:
        height, width = exported.input_size
        frame = cv2.resize(frame, (width, height))
    try:
        compiled = ov.Core().compile_model(exported.network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        for size in {exported.batch.high, exported.batch.low}:
            answers = compiled(np.repeat(frame[None], size, axis=0))[0]
            if len(answers) != size:
                raise RuntimeError(f"{len(answers)} answers to {size} images")
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise ConversionError(
            f"the network cannot run with batch {exported.batch} ({reason})", where=where,
            fix="Convert the source network with this batch size, or choose the batch of the IR",
        ) from error  # fmt: skip
    best = np.argsort(-answers[0], kind="stable")[:TOP_K]
    labels = exported.labels
    return tuple(ExpectedClass(int(c), labels[c] if labels else None, float(answers[0][c])) for c in best)
