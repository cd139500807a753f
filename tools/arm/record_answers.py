"""Record on x86-64 what tests/portability compares with: torch's answers, and pixels by OpenCV and Pillow.

    python tools/arm/record_answers.py --weights tests/data/signs/road-signs.pth

Writes tests/data/portability. The answers are those of torch at f32 on pixels that Pillow decodes and the drawing code
crops and resizes: nothing of the package but the definition of its architecture takes part. Pixels of geometries are
those of the libraries, called by hand; only those of large JPEGs that `auto` decodes at a fraction of their size are
the package's own.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "tests")]

import portable_cases as cases  # noqa: E402
from sample_network import load_network, normalised, probabilities  # noqa: E402
from signs import CLASSES, HELD_OUT, draw, network_images  # noqa: E402

from ov_mobilenet.images.load_image import load_image  # noqa: E402
from ov_mobilenet.zoo.geometry import parse_geometry  # noqa: E402

SEED = 21
COUNT = 100
QUALITY = 60
# Height and width of the odd drawings; the even ones are SQUARE. The odd ones are so small that torch is not sure of
# many of them: answers that are close to each other show differences that large probabilities hide.
SIZES = ((36, 48), (48, 36), (32, 44), (60, 42))
SQUARE = (147, 147)


def main() -> None:
    """Write the drawings, the files, the answers and the pixels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="the .pth written by train_sample_model.py")
    network = load_network(parser.parse_args().weights)
    cases.FOLDER.mkdir(parents=True, exist_ok=True)
    drawings = {f"{number:03}.jpg": _drawing(number) for number in range(COUNT)}
    _write_shard(cases.DRAWINGS, drawings)
    answers = probabilities(network, normalised(network_images(map(cases.by_pillow, drawings.values()))))
    rows = [
        f"{json.dumps(name)}: {json.dumps([float(f'{value:.7g}') for value in row])}"
        for name, row in zip(drawings, answers, strict=True)
    ]
    cases.ANSWERS.write_text("{\n" + ",\n".join(rows) + "\n}\n", "utf-8")
    right = np.mean(answers.argmax(axis=1) == np.arange(COUNT) % len(CLASSES))
    best = np.sort(answers, axis=1)
    print(
        f"torch's top-1 is right on {right:.0%}; smallest leads of a top-1:",
        np.sort(best[:, -1] - best[:, -2])[:10].round(4),
    )

    files = cases.kinds_of_files()
    _write_shard(cases.FILES, files)
    pixels = {name: cases.by_pillow(data) for name, data in files.items() if name != "large.jpg"}
    for words, by_hand in cases.GEOMETRIES.items():
        for size in cases.SIZES:
            pixels[f"{words}, {size}"] = by_hand(cases.frame(*size))
    for words in cases.REDUCED_GEOMETRIES:
        loaded = load_image(files["large.jpg"], parse_geometry(words), "auto")
        pixels[f"{words}, auto"] = loaded.frame
    np.savez_compressed(cases.PIXELS, allow_pickle=False, **pixels)


def _drawing(number: int) -> bytes:
    size = SQUARE if number % 2 == 0 else SIZES[number // 2 % len(SIZES)]
    rng = np.random.default_rng([SEED, HELD_OUT.stream, number])
    buffer = io.BytesIO()
    frame = draw(number % len(CLASSES), rng, HELD_OUT, frame_size=size)
    Image.fromarray(frame[..., ::-1]).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _write_shard(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as shard:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))


if __name__ == "__main__":
    main()
