"""Show the throughput of a device: a grid of images that changes as results arrive.

    python demos/classification_benchmark_demo.py                            # the built-in model and its images
    python demos/classification_benchmark_demo.py -m mobilenetv2-7 -i images/ -gt truth.txt
    python demos/classification_benchmark_demo.py --no_show -o out.mp4 -time 10

The ground truth has one line per image: its name and its class id. With it, correct labels are green and wrong ones
red. A short measurement at the start sets the number of cells, so that each image stays for about a second.
Keys: Space or R restarts, q, Q or Esc quits, p pauses.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

from lifecycle import close_outputs, log, open_outputs, run_demo  # before cv2: sets the log level of FFmpeg and OpenCV

# isort: split
import cv2
import numpy as np
from display import VideoFile, Window
from grid import Grid
from metrics import Metrics, Statistics
from options import benchmark_options
from overlay import Frame

import ov_mobilenet as ovm

# Seconds: the initial measurement, one refresh of the window.
MEASURE_S, REFRESH_S = 1.5, 0.04
# At most this many decoded images are kept in memory; a CPU is faster with batches.
MAX_IMAGES, BATCH_SIZE = 500, 4


def read_ground_truth(path: Path) -> dict[str, int]:
    """Class ids by file name. Raises: OSError if the file cannot be read or parsed."""
    try:
        rows = [line.rsplit(maxsplit=1) for line in path.read_text("utf-8").splitlines() if line.strip()]
        return {Path(name).name: int(class_id) for name, class_id in rows}
    except ValueError:
        raise OSError(f"{path}: expected `NAME CLASS_ID` on each line") from None


def read_images(source: str) -> tuple[list[Frame], list[str]]:
    """The decoded images and their file names; images that cannot be read are reported and skipped."""
    frames, names = [], []
    for item in ovm.open_inputs(source, limit=MAX_IMAGES):
        decoded = item.image if isinstance(item.image, np.ndarray) else cv2.imread(str(item.image))
        if decoded is None:
            log(f"error: {item.source}: cannot be read as an image")
        else:
            frames.append(np.asarray(decoded, np.uint8))
            names.append(Path(item.source).name)
    return frames, names


def repeat(frames: Sequence[Frame]) -> Iterator[ovm.Item]:
    """Yield the images in an endless loop."""
    while True:
        yield from (ovm.Item(frame, str(index)) for index, frame in enumerate(frames))


def run(options: argparse.Namespace, metrics: Metrics, window: Window | None, video: VideoFile | None) -> int:
    """Classify until the time is over. Raises: OvMobilenetError; OSError, from the video or the ground truth."""
    truth = {} if options.ground_truth is None else read_ground_truth(options.ground_truth)
    frames, names = read_images(options.input)
    if not frames:
        return 1
    settings = ovm.DeviceSettings(
        device=options.device, hint=None if options.num_streams else "throughput",
        streams=options.num_streams, threads=options.num_threads, nireq=options.num_infer_requests,
    )  # fmt: skip
    batch_size = BATCH_SIZE if options.device in ("AUTO", "CPU") else None
    classifier = ovm.load_classifier(
        options.model, settings=settings, labels=options.labels, layout=options.layout, batch_size=batch_size
    )
    metrics.start()
    end = perf_counter() + (options.time or (float("inf") if window is not None else 10.0))
    refreshed, grid, statistics = 0.0, None, Statistics(perf_counter())
    for number, result in enumerate(classifier.stream(repeat(frames), top_k=options.nt)):
        metrics.add(result, 0.0)
        now, index = perf_counter(), number % len(frames)
        best = result.best if isinstance(result, ovm.Classification) else None
        correct = None
        if isinstance(result, ovm.Classification) and names[index] in truth:
            right = [prediction for prediction in result.top_k if prediction.class_id == truth[names[index]]]
            correct, best = bool(right), right[0] if right else best
        statistics.add(now, correct)
        if grid is None and now - statistics.started >= MEASURE_S:
            grid = Grid(frames, round(statistics.fps(now)), *options.resolution)
        if grid is not None:
            grid.put(index, "failed" if best is None else best.label, correct)
        if grid is not None and now - refreshed >= REFRESH_S and (window is not None or video is not None):
            figures = [f"{metrics.fps:.0f} FPS, mean {statistics.fps(now):.0f}", *statistics.accuracy()]
            frame = grid.draw([*figures, f"{statistics.count} images on {classifier.device}"], statistics.history)
            refreshed = now
            if video is not None:
                video.write(frame, now - statistics.started, default_fps=1 / REFRESH_S)
            key = -1 if window is None else window.show(frame)
            if key is None:
                break
            if key in (ord(" "), ord("r"), ord("R")):
                grid, statistics = None, Statistics(now)
        if now >= end:
            break
    for line in statistics.accuracy():
        log(line)
    return 1 if metrics.failed else 0


def main() -> int:
    """Run the demo; the report is printed also after an error or a signal."""
    options = benchmark_options(__doc__ or "")
    metrics = Metrics()
    window, video = open_outputs(options, "classification benchmark demo")
    return run_demo(
        lambda: run(options, metrics, window, video), clean_up=lambda: close_outputs(metrics, window, video)
    )


if __name__ == "__main__":
    sys.exit(main())
