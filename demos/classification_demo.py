"""Classify images, a folder, a video, a camera or a stream, and show the most probable classes below each frame.

    python demos/classification_demo.py                                  # the sample video and the built-in model
    python demos/classification_demo.py -m mobilenet-v2-pytorch -i 0     # a camera
    python demos/classification_demo.py -m my.xml -i images/ --no_show -r > results.jsonl

Keys: q, Q or Esc quits, p pauses.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterator
from time import perf_counter

from lifecycle import close_outputs, log, open_outputs, run_demo  # before cv2: sets the log level of FFmpeg and OpenCV

# isort: split
import cv2
import msgspec
import numpy as np
from display import VideoFile, Window
from metrics import Metrics
from options import classification_options
from overlay import Frame, with_panel

import ov_mobilenet as ovm

# From this number of images on, a CPU is faster with batches.
MIN_IMAGES_FOR_BATCHES, BATCH_SIZE = 100, 4


def load(options: argparse.Namespace, *, drawing: bool, count: int | None) -> ovm.Classifier:
    """Load the classifier: for short latency if frames are drawn, else for throughput."""
    use_batches = not drawing and options.device in ("AUTO", "CPU") and (count or 0) >= MIN_IMAGES_FOR_BATCHES
    return ovm.load_classifier(
        options.model,
        settings=ovm.DeviceSettings(
            device=options.device,
            hint=None if options.num_streams else "latency" if drawing else "throughput",
            streams=options.num_streams,
            threads=options.num_threads,
            nireq=options.num_infer_requests,
        ),
        labels=options.labels,
        normalisation=ovm.Normalisation(
            mean=options.mean_values, scale=options.scale_values, reverse_input_channels=options.reverse_input_channels
        ),
        layout=options.layout,
        batch_size=BATCH_SIZE if use_batches else None,
    )


def run(options: argparse.Namespace, metrics: Metrics, window: Window | None, video: VideoFile | None) -> int:
    """Classify and show the whole input. Raises: OvMobilenetError; OSError, from the video."""
    drawing = window is not None or video is not None
    with ovm.open_inputs(options.input, loop=options.loop) as inputs:
        classifier = load(options, drawing=drawing, count=inputs.count)
        metrics.start()
        # Results come in the order of the inputs, so the first pending image belongs to the next result.
        pending: deque[tuple[object, float]] = deque()
        results = classifier.stream(
            read(inputs, pending, keep_images=drawing),
            top_k=options.topk,
            live=inputs.live,
            requests=options.num_infer_requests or 1 if drawing else None,
            workers=1 if drawing else None,
        )
        show_until, previous_s, shown = perf_counter(), 0.0, None
        for result in results:
            image, read_ms = pending.popleft()
            metrics.add(result, read_ms)
            if options.raw_output_message:
                sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
            if isinstance(result, ovm.Failure):
                log(f"error: {result.source}: {result.error}")
            elif drawing:
                started = perf_counter()
                shown = draw(to_frame(image), result, metrics, options.output_resolution)
                if video is not None:
                    video.write(shown, result.time_s, default_fps=25.0 if inputs.live else 1.0)
                metrics.add_draw_time((perf_counter() - started) * 1e3)
                if window is not None:
                    # Frames of a camera are shown at once, a video at its own frame rate, an image for one second.
                    step = (
                        0.0 if inputs.live else 1.0 if result.time_s is None else max(0.0, result.time_s - previous_s)
                    )
                    show_until, previous_s = max(started, show_until + step), result.time_s or 0.0
                    if window.show(shown, until=show_until) is None:
                        return 0
        if window is not None and shown is not None and result.time_s is None:
            window.show(shown, until=float("inf"))  # the last image stays until a key is pressed
    return 1 if metrics.failed else 0


def read(inputs: ovm.Inputs, pending: deque[tuple[object, float]], *, keep_images: bool) -> Iterator[ovm.Item]:
    """Yield the inputs and append each to `pending` with its read time in milliseconds.

    The read time of a camera frame is 0: it would only measure the wait for the next frame.
    """
    started = perf_counter()
    for item in inputs:
        read_ms = 0.0 if inputs.live else (perf_counter() - started) * 1e3
        pending.append((item.image if keep_images else None, read_ms))
        yield item
        started = perf_counter()


def to_frame(image: object) -> Frame:
    """The full-size frame of an image: a file is decoded again; a file that OpenCV cannot read gives a black frame."""
    if isinstance(image, np.ndarray):
        return np.array(image, np.uint8)
    data = np.frombuffer(image, np.uint8) if isinstance(image, bytes) else np.fromfile(str(image), np.uint8)
    frame = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.zeros((480, 640, 3), np.uint8) if frame is None else np.asarray(frame, np.uint8)


def draw(frame: Frame, result: ovm.Classification, metrics: Metrics, size: tuple[int, int] | None) -> Frame:
    """The frame with a panel below it: the classes, the frame rate and the latency."""
    lines = [f"{prediction.probability:.1%}  {prediction.label}" for prediction in result.top_k]
    return with_panel(frame, lines, f"{metrics.fps:.1f} FPS, {metrics.latency_ms:.1f} ms", box=size)


def main() -> int:
    """Run the demo; the report is printed also after an error or a signal."""
    options = classification_options(__doc__ or "")
    metrics = Metrics()
    window, video = open_outputs(options, "classification demo")
    return run_demo(
        lambda: run(options, metrics, window, video), clean_up=lambda: close_outputs(metrics, window, video)
    )


if __name__ == "__main__":
    sys.exit(main())
