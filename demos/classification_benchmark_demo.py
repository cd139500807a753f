"""Show the throughput of a device: a grid of images that changes as results arrive.

    python demos/classification_benchmark_demo.py                            # the built-in model and its images
    python demos/classification_benchmark_demo.py -m mobilenetv2-7 -i images/ -gt truth.txt
    python demos/classification_benchmark_demo.py --no_show -o out.mp4 -time 10

The ground truth has one line per image: its name and its class id. With it, correct labels are green and wrong ones
red. A short measurement at the start sets the number of cells, so that each image stays for about a second.
Keys: Space or R restarts, q, Q or Esc quits, p pauses. To change the demo, copy this file and display.py.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from display import Frame, Grid, Metrics, VideoFile, Window, has_display, read_frame

import ov_mobilenet as ovm

SAMPLE_MODEL = "mobilenet-v1-0.25-128-signs"
MAX_IMAGES = 500  # at most so many decoded images are kept in memory
MEASURE_S, REFRESH_S, INTERVAL_S = 1.5, 0.04, 0.5  # the first measurement, a refresh, a point of the graph


def parse_options() -> argparse.Namespace:
    """Parse the command line: the options of the Open Model Zoo's demo of the same name."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    names: list[str] = []

    def add(*spellings: str, **settings: Any) -> None:
        names.extend(spellings)
        parser.add_argument(*spellings, **settings)

    samples = ovm.find_config(SAMPLE_MODEL).folder / "samples"
    add("-m", "--model", default=SAMPLE_MODEL, help="a zoo name, a model.yml, or an IR .xml")
    add("-i", "--input", default=str(samples), help="a folder of images")
    add("-d", "--device", default="AUTO", help="CPU, GPU, NPU, AUTO, …")
    add("-labels", type=Path, help="a file with class names, one per line; replaces the model's own")
    add("-gt", "--ground_truth", type=Path, help="a file with `NAME CLASS_ID` on each line")
    add("-nt", type=int, default=1, help="a label is correct if it is among this number of classes")
    add("-time", type=float, help="seconds to run; by default 10, or until the window is closed")
    add("-res", "--resolution", type=resolution, default=(1280, 720), metavar="WxH", help="size of the shown frames")
    add("-o", "--output", type=Path, help="write the shown frames to this video, .avi or .mp4")
    add("-limit", "--output_limit", type=int, default=1000, help="number of frames to write; 0 for all")
    add("--no_show", "-no_show", "-noshow", action="store_true", help="do not open a window")
    add("-nireq", "--num_infer_requests", type=count, help="number of infer requests; 0 for the device's choice")
    add("-nstreams", "--num_streams", type=count, help="number of streams: requests that run at the same time")
    add("-nthreads", "--num_threads", type=count, help="number of CPU threads for inference")
    add("-layout", "--layout", type=str.upper, help="input layout, such as NCHW, for an IR that does not record it")
    without_effect = {
        "auto_resize": "images are always resized as the model expects",
        "show": "the window is shown unless --no_show is given",
        "utilization_monitors": "the demo draws no monitors; use top or intel_gpu_top",
    }
    add("-auto_resize", action="store_true", help=argparse.SUPPRESS)
    add("-show", action="store_true", help=argparse.SUPPRESS)
    add("-u", "--utilization_monitors", help=argparse.SUPPRESS)

    options = parser.parse_args([in_full(word, names, parser) for word in sys.argv[1:]])
    if options.nt < 1:
        parser.error("-nt must be at least 1")
    for name, reason in without_effect.items():
        if getattr(options, name):
            log(f"note: --{name} has no effect: {reason}")
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


def read_ground_truth(path: Path) -> dict[str, int]:
    """Class ids by file name. Raises: OSError if the file cannot be read or parsed."""
    try:
        rows = [line.rsplit(maxsplit=1) for line in path.read_text("utf-8").splitlines() if line.strip()]
        return {Path(name).name: int(class_id) for name, class_id in rows}
    except ValueError:
        raise OSError(f"{path}: expected `NAME CLASS_ID` on each line") from None


def read_images(source: str, metrics: Metrics) -> tuple[list[Frame], list[str]]:
    """The decoded images and their file names; images that cannot be read are reported, counted and skipped."""
    frames, names = [], []
    for item in ovm.open_inputs(source, limit=MAX_IMAGES):
        frame = read_frame(item.image)
        if frame is None:
            metrics.add(failure := ovm.Failure(item.source, "cannot be read as an image"))
            log(f"error: {failure.source}: {failure.error}")
        else:
            frames.append(frame)
            names.append(Path(item.source).name)
    return frames, names


def repeat(frames: Sequence[Frame]) -> Iterator[ovm.Item]:
    """Yield the images in an endless loop."""
    while True:
        yield from (ovm.Item(frame, str(index)) for index, frame in enumerate(frames))


@dataclass
class Statistics:
    """Throughput and accuracy since the start or the last restart; times are seconds of `perf_counter`."""

    started: float
    count: int = 0
    correct: int = 0
    labelled: int = 0
    history: list[float] = field(default_factory=list)
    interval_start: tuple[float, int] = (0.0, 0)

    def add(self, now: float, correct: bool | None) -> None:
        """Count a result and update the throughput of the current interval."""
        self.count += 1
        if correct is not None:
            self.correct, self.labelled = self.correct + correct, self.labelled + 1
        since, count_before = self.interval_start if self.history else (self.started, 0)
        if now - since >= INTERVAL_S:
            self.history.append((self.count - count_before) / (now - since))
            self.interval_start = (now, self.count)

    def fps(self, now: float) -> float:
        """Mean frames per second."""
        return self.count / max(now - self.started, 1e-9)

    def accuracy(self) -> list[str]:
        """One line of text; no line without ground truth."""
        return [f"accuracy {self.correct / self.labelled:.1%} of {self.labelled}"] if self.labelled else []


def run(options: argparse.Namespace, metrics: Metrics, window: Window, video: VideoFile) -> int:
    """Classify until the time is over. Raises: OvMobilenetError; OSError, from the video or the ground truth."""
    truth = {} if options.ground_truth is None else read_ground_truth(options.ground_truth)
    frames, names = read_images(options.input, metrics)
    if not frames:
        return 1
    settings = ovm.DeviceSettings(
        device=options.device, hint=None if options.num_streams else "throughput",
        streams=options.num_streams, threads=options.num_threads, nireq=options.num_infer_requests,
    )  # fmt: skip
    classifier = ovm.load_classifier(options.model, settings=settings, labels=options.labels, layout=options.layout)
    metrics.start()
    end = perf_counter() + (options.time or (float("inf") if window else 10.0))
    refreshed, grid, statistics = 0.0, None, Statistics(perf_counter())
    for number, result in enumerate(classifier.stream(repeat(frames), top_k=options.nt)):
        metrics.add(result)
        now, index = perf_counter(), number % len(frames)
        best, correct = None, None
        if isinstance(result, ovm.Classification):
            best = result.best
            if names[index] in truth:
                right = [prediction for prediction in result.top_k if prediction.class_id == truth[names[index]]]
                correct, best = bool(right), right[0] if right else best
        statistics.add(now, correct)
        if grid is None and now - statistics.started >= MEASURE_S:
            grid = Grid(frames, round(statistics.fps(now)), *options.resolution)
        if grid is not None:
            grid.put(index, "failed" if best is None else best.label, correct)
            if now - refreshed >= REFRESH_S and (window or video):
                figures = [f"{metrics.fps:.0f} FPS, mean {statistics.fps(now):.0f}", *statistics.accuracy()]
                frame = grid.draw([*figures, f"{statistics.count} images on {classifier.device}"], statistics.history)
                video.write(frame, now - statistics.started, default_fps=1 / REFRESH_S)
                key = window.show(frame)
                refreshed = perf_counter()  # after the drawing: a slow screen must not take all the time
                if key is None:
                    break
                if key in (ord(" "), ord("r"), ord("R")):
                    grid, statistics = None, Statistics(now)
        if now >= end:
            break
    for line in statistics.accuracy():
        log(line)
    return 1 if metrics.failed else 0


def log(text: str) -> None:
    """Print a message to stderr."""
    print(text, file=sys.stderr)


def main() -> int:
    """Run the demo; also after an error, Ctrl-C or SIGTERM the report is printed and the video can be played."""
    options = parse_options()
    metrics = Metrics()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        title = None if options.no_show or not has_display() else "classification benchmark demo"
        with Window(title) as window, VideoFile(options.output, limit=options.output_limit) as video:
            return run(options, metrics, window, video)
    except ovm.OvMobilenetError as error:
        log(f"error: {error}")
        return error.exit_code
    except OSError as error:
        log(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        log(metrics.report())


if __name__ == "__main__":
    sys.exit(main())
