"""Speed of decoding, cropping and resizing: `load_image` compared with Pillow and OpenCV, `auto` with `exact`.

    python tools/bench/decode_geometry.py [--images FOLDER] [--models MODEL.yml …] [--pairs 5] [--threads 2]

Each comparison runs two functions alternately on 1000 JPEGs (those of the folder, repeated; by default drawings of
signs at 500x375) and prints the median of the ratios, by wall time and by CPU time. JPEGs of 12 megapixels are made by
enlarging some of them. With `--models` it also prints, for each model with its own geometry, how often `auto` and
`fast` give the top-1 class of `exact`.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cpu_time import Used, compared, used_by
from images import drawings
from PIL import Image, ImageOps
from report import Report, add_json_option

import ov_mobilenet as ovm
from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.images.load_image import DECODE_MODES, DecodeMode, load_image
from ov_mobilenet.zoo.geometry import Geometry, parse_geometry

V1 = parse_geometry("crop 0.875, resize 224")
V2 = parse_geometry("resize 256 greater pillow, crop 224")
COUNT = 1000
WAYS: tuple[DecodeMode, DecodeMode] = ("exact", "auto")
LARGE_COUNT = 24
LARGE_SIZE = (4000, 3000)
Work = Callable[[bytes], object]


def pillow_geometry(image: Image.Image) -> np.ndarray:
    """V2's geometry as in torchvision: resize the whole image, crop it, convert it to an array."""
    width, height = image.size
    size = (256, 256 * height // width) if height > width else (256 * width // height, 256)
    left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
    resized = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + 224, top + 224)))


def pillow_decode(data: bytes) -> Image.Image:
    """Decode with Pillow, as a typical dataset reader does."""
    return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")


def pillow_whole(data: bytes) -> np.ndarray:
    """Decode, resize and crop with Pillow only."""
    return pillow_geometry(pillow_decode(data))


def opencv_whole(data: bytes) -> object:
    """Decode, crop and resize with OpenCV only, with V1's geometry."""
    frame: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    height, width = int(frame.shape[0] * 0.875), int(frame.shape[1] * 0.875)
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    return cv2.resize(frame[top : top + height, left : left + width], (224, 224))


def ours(data: bytes, geometry: Geometry, decode: DecodeMode) -> object:
    """Load an image as `classify` does."""
    return load_image(data, geometry, decode)


def files(folder: Path | None) -> list[bytes]:
    """The JPEGs of a folder, or drawings without one."""
    if folder is not None:
        return [path.read_bytes() for path in sorted(folder.rglob("*.[jJ][pP]*[gG]"))]
    return list(drawings(7, 50))


def enlarged(data: bytes, quality: int) -> bytes:
    """A JPEG of 12 megapixels in the orientation of the image."""
    image = pillow_decode(data)
    size = LARGE_SIZE if image.width >= image.height else LARGE_SIZE[::-1]
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def used(work: Work, data: Sequence[bytes], threads: int) -> Used:
    """What one image uses."""

    def run() -> None:
        for _ in pool.map(work, data):
            pass

    with ThreadPoolExecutor(threads) as pool:
        return used_by(run) / len(data)


def compare(
    name: str, one: Work, other: Work, data: Sequence[bytes], options: argparse.Namespace, report: Report
) -> None:
    """Print the second function against the first."""
    for threads in sorted({1, options.threads}):
        before, after = partial(used, one, data, threads), partial(used, other, data, threads)
        found = compared(options.pairs, after, before, show=False)
        print(f"{name}, {threads} thread(s): {found}", flush=True)
        report.add(f"{name}, {threads} thread(s)", found.figures())


def compare_geometry(data: Sequence[bytes], pairs: int, report: Report) -> None:
    """Compare V2's geometry alone with Pillow's on decoded images; print the ratios and the largest difference."""
    from ov_mobilenet.images.geometry import apply_geometry

    images = [pillow_decode(item) for item in data]
    fast = partial(apply_geometry, V2, exact=False)

    def used_for(work: Callable[[Image.Image], object]) -> Callable[[], Used]:
        return lambda: used_by(lambda: [work(image) for image in images]) / len(images)

    found = compared(pairs, used_for(fast), used_for(pillow_geometry), show=False)
    largest = max(int(np.abs(pillow_geometry(image).astype(int) - fast(image)[:, :, ::-1]).max()) for image in images)
    print(f"V2's geometry alone against Pillow's: {found}; within {largest} grey level(s)", flush=True)
    report.add("V2's geometry alone against Pillow's", {**found.figures(), "largest_difference": largest})


def agreement(model: str, data: Sequence[bytes], large: Sequence[bytes]) -> None:
    """Print the share of images with the same top-1 class as with exact decoding."""
    with tempfile.TemporaryDirectory() as folder:
        config = ovm.find_config(model)
        sources = ovm.download(config, Path(folder) / "sources", cache_root=Path(folder) / "cache", offline=True)
        (converted,) = ovm.convert(sources, Path(folder) / "ir", precisions=("FP32",))
        classifier = ovm.load_classifier(converted.xml, device="CPU", inference_precision="f32")
        assert classifier.geometry is not None
        for name, items in (("original size", data), ("12 megapixels", large)):
            best = {
                decode: [
                    int(classifier.probabilities(load_image(item, classifier.geometry, decode).frame[None])[0].argmax())
                    for item in items
                ]
                for decode in DECODE_MODES
            }
            for decode in ("auto", "fast"):
                same = statistics.mean(a == b for a, b in zip(best["exact"], best[decode], strict=True))
                print(f"{config.name}, {name}: {decode} agrees with exact on {same:.1%} of {len(items)}", flush=True)


def main() -> None:
    """Measure, and print one line per comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--models", nargs="*", default=[])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=usable_cpus())
    add_json_option(parser)
    options = parser.parse_args()
    report = Report(options)
    cv2.setNumThreads(1)  # the decoding threads of this program are enough
    distinct = files(options.images)
    data = list(islice(cycle(distinct), COUNT))
    compare_geometry(distinct[:200], options.pairs, report)
    auto_v2, exact_v2 = partial(ours, geometry=V2, decode="auto"), partial(ours, geometry=V2, decode="exact")
    compare("V2, Pillow -> auto", pillow_whole, auto_v2, data, options, report)
    compare("V2, Pillow -> exact", pillow_whole, exact_v2, data, options, report)
    compare("V1, OpenCV -> auto", opencv_whole, partial(ours, geometry=V1, decode="auto"), data, options, report)
    for quality in (75, 90):
        large = [enlarged(item, quality) for item in distinct[:LARGE_COUNT]]
        for name, geometry in (("V1", V1), ("V2", V2)):
            exact, auto = (partial(ours, geometry=geometry, decode=decode) for decode in WAYS)
            compare(f"{name}, 12 megapixels at quality {quality}, exact -> auto", exact, auto, large, options, report)
    if options.models:
        large = [enlarged(item, 90) for item in distinct]
        for model in options.models:
            agreement(model, distinct, large)
    report.write()


if __name__ == "__main__":
    main()
