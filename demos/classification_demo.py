"""Classify images, a folder, a video, a camera or a stream, and show the most probable classes on them.

    python demos/classification_demo.py                                  # the sample video and the built-in model
    python demos/classification_demo.py -m mobilenet-v2-pytorch -i 0     # a camera
    python demos/classification_demo.py -m my.xml -i images/ --no_show -r > results.jsonl

Keys: q, Q or Esc ends, p pauses.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterator
from time import perf_counter

from ending import finish, open_outputs, say, to_the_end  # first of all that import cv2: it quietens FFmpeg

# isort: split
import cv2
import msgspec
import numpy as np
from metrics import Metrics
from options import classification_options
from overlay import Frame, fit, put_lines
from screen import VideoFile, Window

import ov_mobilenet as ovm

MANY, BATCH = 100, 4  # a CPU does several images at a time in less time than one after another


def load(given: argparse.Namespace, *, drawn: bool, count: int | None) -> ovm.Classifier:
    """The classifier: soon done with one frame where frames are looked at, else with all of them."""
    return ovm.load_classifier(
        given.model,
        settings=ovm.DeviceSettings(
            device=given.device,
            hint=None if given.num_streams else "latency" if drawn else "throughput",
            streams=given.num_streams,
            threads=given.num_threads,
            nireq=given.num_infer_requests,
        ),
        labels=given.labels,
        normalisation=ovm.Normalisation(
            mean=given.mean_values, scale=given.scale_values, reverse_input_channels=given.reverse_input_channels
        ),
        layout=given.layout,
        batch_size=BATCH if not drawn and given.device in ("AUTO", "CPU") and (count or 0) >= MANY else None,
    )


def run(given: argparse.Namespace, metrics: Metrics, window: Window | None, video: VideoFile | None) -> int:
    """Classify and show all of the input. Raises: OvMobilenetError; OSError, from the video."""
    drawn = window is not None or video is not None
    with ovm.open_inputs(given.input, loop=given.loop) as inputs:
        classifier = load(given, drawn=drawn, count=inputs.count)
        metrics.start()
        # A result for each input, in their order: what is at the front here belongs to the next result.
        on_the_way: deque[tuple[object, float]] = deque()
        stream = classifier.stream(
            read(inputs, on_the_way, keep=drawn),
            top_k=given.topk,
            live=inputs.live,
            requests=given.num_infer_requests or 1 if drawn else None,
            workers=1 if drawn else None,
        )
        due, before, shown = perf_counter(), 0.0, None
        for result in stream:
            image, read_ms = on_the_way.popleft()
            metrics.add(result, read_ms)
            if given.raw_output_message:
                sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
            if isinstance(result, ovm.Failure):
                say(f"error: {result.source}: {result.error}")
            elif drawn:
                begun = perf_counter()
                shown = draw(pixels(image), result, metrics, given.output_resolution)
                if video is not None:
                    video.write(shown, result.time_s, otherwise_fps=25.0 if inputs.live else 1.0)
                metrics.drawn((perf_counter() - begun) * 1e3)
                if window is not None:
                    # A camera as it comes, a video as fast as it was taken, an image for a second.
                    step = 0.0 if inputs.live else 1.0 if result.time_s is None else max(0.0, result.time_s - before)
                    due, before = max(begun, due + step), result.time_s or 0.0
                    if window.show(shown, until=due) is None:
                        return 0
        if window is not None and shown is not None and result.time_s is None:
            window.show(shown, until=float("inf"))  # the last image stays
    return 1 if metrics.failed else 0


def read(inputs: ovm.Inputs, on_the_way: deque[tuple[object, float]], *, keep: bool) -> Iterator[ovm.Item]:
    """The inputs; each is noted with the milliseconds it took to come, a camera's with none: it is waited for."""
    begun = perf_counter()
    for item in inputs:
        spent = 0.0 if inputs.live else (perf_counter() - begun) * 1e3
        on_the_way.append((item.image if keep else None, spent))
        yield item
        begun = perf_counter()


def pixels(image: object) -> Frame:
    """An image in full size: a frame as it is, a file decoded once more, in black if OpenCV cannot read it."""
    if isinstance(image, np.ndarray):
        return np.array(image, np.uint8)
    data = np.frombuffer(image, np.uint8) if isinstance(image, bytes) else np.fromfile(str(image), np.uint8)
    frame = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.zeros((480, 640, 3), np.uint8) if frame is None else np.asarray(frame, np.uint8)


def draw(frame: Frame, result: ovm.Classification, metrics: Metrics, size: tuple[int, int] | None) -> Frame:
    """The frame with what it shows at its top, and at its bottom how fast that was found."""
    frame = fit(frame, *size) if size is not None else frame
    put_lines(frame, [f"{best.probability:.1%}  {best.label}" for best in result.top_k])
    put_lines(frame, [f"{metrics.fps:.1f} FPS, {metrics.latency_ms:.1f} ms"], corner="bottom", share=0.3)
    return frame


def main() -> int:
    """Run the demo; the report is printed however it ends."""
    given = classification_options(__doc__ or "")
    metrics = Metrics()
    window, video = open_outputs(given, "classification demo")
    return to_the_end(lambda: run(given, metrics, window, video), last=lambda: finish(metrics, window, video))


if __name__ == "__main__":
    sys.exit(main())
