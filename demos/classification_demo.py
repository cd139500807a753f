"""Classify images, a folder, a video, a camera or a stream, and show the most probable classes below each frame.

    python demos/classification_demo.py                                  # the sample video and the built-in model
    python demos/classification_demo.py -m mobilenet-v2-pytorch -i 0     # a camera
    python demos/classification_demo.py -m my.xml -i images/ --no_show -r > results.jsonl

Keys: q, Q or Esc quits, p pauses. To change the demo, copy this file and display.py.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from display import MIN_TEXT, Frame, Metrics, VideoFile, Window, fit, has_display, put_lines, read_frame

import ov_mobilenet as ovm

SAMPLE_MODEL = "mobilenet-v1-0.25-128-signs"
SAMPLE_VIDEO = Path(__file__).parent / "data" / "sample_drive.mp4"
MIN_WIDTH = 320  # pixels; a line of text does not fit a narrower panel


def parse_options() -> argparse.Namespace:
    """Parse the command line: the options of the Open Model Zoo's demo of the same name."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    names: list[str] = []

    def add(*spellings: str, **settings: Any) -> None:
        names.extend(spellings)
        parser.add_argument(*spellings, **settings)

    add("-m", "--model", default=SAMPLE_MODEL, help="a zoo name, a model.yml, or an IR .xml")
    add("-i", "--input", default=str(SAMPLE_VIDEO), help="an image, a folder, a video, a camera number, or a URL")
    add("-d", "--device", default="AUTO", help="CPU, GPU, NPU, AUTO, …")
    add("--labels", type=Path, help="a file with class names, one per line; replaces the model's own")
    add("-topk", "-nt", type=int, default=5, help="number of classes to show")
    add("--loop", action="store_true", help="start again at the end of the input")
    add("--output_resolution", type=resolution, metavar="WxH", help="fit the shown frames into this size")
    add("-o", "--output", type=Path, help="write the shown frames to this video, .avi or .mp4")
    add("-limit", "--output_limit", type=int, default=1000, help="number of frames to write; 0 for all")
    add("--no_show", "-no_show", "-noshow", action="store_true", help="do not open a window")
    add("-r", "--raw_output_message", action="store_true", help="print the results as JSON lines to stdout")
    add("-nireq", "--num_infer_requests", type=count, help="number of infer requests; 0 for the device's choice")
    add("-nstreams", "--num_streams", type=count, help="number of streams: requests that run at the same time")
    add("-nthreads", "--num_threads", type=count, help="number of CPU threads for inference")
    add("-layout", "--layout", type=str.upper, help="input layout, such as NCHW, for an IR that does not record it")
    for what in ("mean", "scale"):
        add(f"--{what}_values", type=numbers, nargs="+", default=[()], metavar="A B C",
            help=f"{what} values, for an IR without normalisation")  # fmt: skip
    add("--reverse_input_channels", action="store_true", help="reverse BGR to RGB, for an IR that expects RGB")
    add("--adapter", default="openvino", help="openvino; the Open Model Zoo's ovms is not supported")
    add("-u", "--utilization_monitors", help=argparse.SUPPRESS)

    options = parser.parse_args([in_full(word, names, parser) for word in sys.argv[1:]])
    if options.topk < 1:
        parser.error("-topk must be at least 1")
    if options.adapter != "openvino":
        parser.error(f"{options.adapter!r} is not supported; -m takes a model file, which runs in this process")
    if options.utilization_monitors:
        log("note: --utilization_monitors has no effect: the demo draws no monitors; use top or intel_gpu_top")
    options.mean_values, options.scale_values = sum(options.mean_values, ()), sum(options.scale_values, ())
    return options


def in_full(word: str, names: list[str], parser: argparse.ArgumentParser) -> str:
    """Check that an option is written in full: argparse takes `-nth` for `-nthreads`, and `-model` for `-m odel`.

    Two dashes (`--nireq`) are accepted, as in the Open Model Zoo's C++ demos, and a value without a space (`-dCPU`).
    """
    name = word.partition("=")[0]
    if name in names or not name.startswith("-") or not name.strip("-"):
        return word
    if name.startswith("--") and name[1:] in names:
        return word[1:]
    for option in names:
        if option.startswith((name, "-" + name)):
            parser.error(f"unrecognised option {name}; did you mean {option}?")
    return word


def numbers(text: str) -> tuple[float, ...]:
    """Parse `123.675 116.28 103.53`; commas and brackets are accepted."""
    return tuple(float(word) for word in text.strip("[]()").replace(",", " ").split())


def resolution(text: str) -> tuple[int, int]:
    """Parse a width and a height such as `1280x720`, each in [16, 16384]."""
    width, height = (int(word) for word in text.lower().split("x"))
    if not (16 <= width <= 16384 and 16 <= height <= 16384):
        raise ValueError(text)
    return width, height


def count(text: str) -> int | None:
    """Parse a number, also as `CPU:2`; 0 leaves the choice to the device, as in the Open Model Zoo's demos."""
    if "," in text:
        raise argparse.ArgumentTypeError(f"{text!r}: numbers for several devices are not supported; give one number")
    return int(text.rpartition(":")[2] or 0) or None


def load(options: argparse.Namespace, *, drawing: bool) -> ovm.Classifier:
    """Load the classifier: for short latency if frames are drawn, else for throughput."""
    settings = ovm.DeviceSettings(
        device=options.device,
        hint=None if options.num_streams else "latency" if drawing else "throughput",
        streams=options.num_streams,
        threads=options.num_threads,
        nireq=options.num_infer_requests,
    )
    normalisation = ovm.Normalisation(
        mean=options.mean_values, scale=options.scale_values, reverse_input_channels=options.reverse_input_channels
    )
    return ovm.load_classifier(
        options.model, settings=settings, labels=options.labels, normalisation=normalisation, layout=options.layout
    )


def run(options: argparse.Namespace, metrics: Metrics, window: Window, video: VideoFile) -> int:
    """Classify and show the whole input. Raises: OvMobilenetError; OSError, from the video."""
    drawing = bool(window or video)
    with ovm.open_inputs(options.input, loop=options.loop) as inputs:
        classifier = load(options, drawing=drawing)
        metrics.start()
        # Results come in the order of the inputs, so the first pending image belongs to the next result.
        pending: deque[tuple[object, float]] = deque()
        results = classifier.stream(
            read(inputs, pending, keep_images=drawing),
            top_k=options.topk,
            live=inputs.live,
            # A frame that is drawn must not wait for others.
            batch_size=1 if drawing else None,
            requests=options.num_infer_requests or 1 if drawing else None,
            workers=1 if drawing else None,
        )
        show_until, previous_s, shown = perf_counter(), 0.0, None
        for result in results:
            image, read_ms = pending.popleft()
            metrics.add(result, read_ms)
            if options.raw_output_message:
                print(json.dumps(result.to_dict(), separators=(",", ":")), flush=True)
            if isinstance(result, ovm.Failure):
                log(f"error: {result.source}: {result.error}")
            elif drawing:
                started = perf_counter()
                shown = draw(image, result, metrics, options.output_resolution)
                video.write(shown, result.time_s, default_fps=25.0 if inputs.live else 1.0)
                metrics.add_draw_time((perf_counter() - started) * 1e3)
                # Frames of a camera are shown at once, a video at its own frame rate, an image for one second.
                step = 0.0 if inputs.live else 1.0 if result.time_s is None else max(0.0, result.time_s - previous_s)
                show_until, previous_s = max(started, show_until + step), result.time_s or 0.0
                if window.show(shown, until=show_until) is None:
                    return 0
        if shown is not None and result.time_s is None:
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


def draw(image: object, result: ovm.Classification, metrics: Metrics, box: tuple[int, int] | None) -> Frame:
    """The image with the classes, the frame rate and the latency below it."""
    frame = read_frame(image)
    if frame is None:  # the package also reads formats that OpenCV cannot read
        frame = np.zeros((480, 640, 3), np.uint8)
    lines = [f"{prediction.probability:.1%}  {prediction.label}" for prediction in result.top_k]
    return with_panel(frame, lines, f"{metrics.fps:.1f} FPS, {metrics.latency_ms:.1f} ms", box=box)


def with_panel(frame: Frame, lines: list[str], status: str, *, box: tuple[int, int] | None = None) -> Frame:
    """The frame with a black panel below it, so that no text covers the image: lines at the left, status at the right.

    A narrow frame is enlarged. Lines that need more height than the frame has are left out.

    Args:
        box: width and height into which frame and panel are fitted; None to leave the frame at its size.
    """
    width, height = (box[0], box[1] * 4 // 5) if box else (max(frame.shape[1], MIN_WIDTH), max(frame.shape[0], 720))
    shown = fit(frame, width, height)
    height, width = shown.shape[:2]
    size = max(MIN_TEXT, round(min(height / 25, width / 26)))
    step, margins = round(size * 1.3), 2 * max(2, size // 3)
    panel_height = step * max(1, min(len(lines), (height - margins) // step)) + margins
    if box:  # the text has the size for a panel of a fifth of the box; the frame takes what is left
        shown = fit(frame, box[0], box[1] - panel_height)
        height, width = shown.shape[:2]
    panel = np.zeros((panel_height + (height + panel_height) % 2, width, 3), np.uint8)  # a video has an even height
    left = round(width * 0.62)
    put_lines(panel[:, :left], lines, max_height=1.0, size=size)
    put_lines(panel[:, left:], [status], max_height=1.0, size=size)
    return np.concatenate([shown, panel])


def log(text: str) -> None:
    """Print a message to stderr; stdout is for results only."""
    print(text, file=sys.stderr)


def main() -> int:
    """Run the demo; also after an error, Ctrl-C or SIGTERM the report is printed and the video can be played."""
    options = parse_options()
    metrics = Metrics()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        title = None if options.no_show or not has_display() else "classification demo"
        with Window(title) as window, VideoFile(options.output, limit=options.output_limit) as video:
            return run(options, metrics, window, video)
    except ovm.OvMobilenetError as error:
        log(f"error: {error}")
        return error.exit_code
    except BrokenPipeError:  # the reader of stdout closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        log(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        log(metrics.report())


if __name__ == "__main__":
    sys.exit(main())
