from __future__ import annotations

import cv2
import numpy as np
import pytest
from known_network import CLASSES, Known, converted
from small_networks import by_hand, frames, write_onnx


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("known")
    yml = write_onnx(folder / "small", classes=CLASSES, extra=f"ov_mobilenet: {{classes: {CLASSES}}}\n")
    shown = frames(12)
    files = []
    (folder / "pictures").mkdir()
    for number, frame in enumerate(shown):
        files.append(folder / "pictures" / f"{number:02}.png")
        cv2.imwrite(str(files[-1]), frame)
    answers = np.stack([by_hand(frame, classes=CLASSES) for frame in shown])
    assert len(set(answers.argmax(1).tolist())) > 2, "answers that do not differ would prove nothing"
    return Known(yml, converted(yml, folder / "out"), files, shown, answers)
