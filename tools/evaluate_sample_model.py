"""Measure the sample model on held-out drawings: every exported file, converted, and typical preprocessing mistakes.

    python tools/evaluate_sample_model.py [--drawings 1000] [--seed 1]

Needs torch for the `.pth`. Inference at f32 on the CPU, through the toolkit's own conversion.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from signs import held_out, network_images, resize
from signs.arrays import Frame

import ov_mobilenet as ovm

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Print the table; exit code 3 if an accuracy is out of range."""
    parser = argparse.ArgumentParser(description="Evaluate the sample model on held-out drawings.")
    parser.add_argument("--drawings", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    drawn = list(held_out(arguments.seed, arguments.drawings))
    frames = network_images(frame for frame, _ in drawn)
    labels = np.array([label for _, label in drawn])
    uncropped = np.stack([resize(frame) for frame, _ in drawn])
    print(f"{len(drawn)} held-out drawings, seed {arguments.seed}; OpenVINO on CPU at f32")
    sys.path.insert(0, str(ROOT / "tests"))
    from test_sample_model import FRAMEWORKS, PRECISIONS, convert, description, probabilities_of

    passed = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def top1(label: str, xml: Path, images: Frame, least: float = 0.0, most: float = 1.0) -> Frame:
            nonlocal passed
            classes: Frame = probabilities_of(xml, images).argmax(1)
            figure = float((classes == labels).mean())
            passed &= least <= figure <= most
            limit = f" (at least {least})" if least else f" (at most {most})" if most < 1 else ""
            print(f"{label:<28} top-1 {figure:.3f}{limit}")
            return classes

        reference = None
        for suffix in FRAMEWORKS:
            for precision in PRECISIONS:
                out = folder / suffix / precision
                xml = convert(description(suffix, out / "net"), out, precision)
                classes = top1(f"{suffix[1:]} {precision}", xml, frames, least=0.95)
                reference = classes if reference is None else reference
                same = int((classes == reference).sum())
                passed &= precision == "FP16" or same == len(drawn)
                print(f"{'':<28} same class as onnx FP32 on {same} of {len(drawn)}")
        right = convert(description(".onnx", folder / "right"), folder / "right-out")
        top1("channels swapped", right, np.ascontiguousarray(frames[..., ::-1]), most=0.70)
        unscaled = {
            "  - --mean_values=input[127.5,127.5,127.5]\n": "",
            "  - --scale_values=input[127.5]\n": "",
        }
        raw = convert(description(".onnx", folder / "raw", **unscaled), folder / "raw-out")
        top1("without mean and scale", raw, frames, most=0.70)
        top1("whole frame, not cropped", right, uncropped)
    print(
        f"ov_mobilenet {ovm.__version__}: {'all accuracies are in range' if passed else 'an accuracy is out of range'}"
    )
    return 0 if passed else 3


if __name__ == "__main__":
    sys.exit(main())
