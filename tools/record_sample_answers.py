"""Record torch's outputs of the sample model on noise images; `ov-mobilenet demo` compares its own outputs with them.

python tools/record_sample_answers.py --weights tests/data/signs/road-signs.pth
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from sample_network import load_network, normalised, probabilities

from ov_mobilenet.accuracy.verification import draw_noise

TARGET = Path(__file__).resolve().parents[1] / "model_configs" / "mobilenet-v1-0.25-128-signs" / "answers.json"


def main() -> None:
    """Write `answers.json`."""
    parser = argparse.ArgumentParser(description="Record torch's outputs for noise images.")
    parser.add_argument("--weights", type=Path, required=True, help="the .pth written by train_sample_model.py")
    network = load_network(parser.parse_args().weights)
    answers = probabilities(network, normalised(np.stack(list(draw_noise(128, 128)))))
    rows = [[float(f"{value:.7g}") for value in row] for row in answers]
    TARGET.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main()
