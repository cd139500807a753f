"""How fast a device classifies: a grid of images that change as their results come.

    python demos/classification_benchmark_demo.py                            # the built-in model and its images
    python demos/classification_benchmark_demo.py -m mobilenetv2-7 -i images/ -gt truth.txt
    python demos/classification_benchmark_demo.py --no_show -o out.mp4 -time 10

The truth is a line an image: its name and the number of its class. Labels are then green where they are right and red
where not. A short test finds the speed, and the grid gets as many cells as make an image stay for about a second.
Keys: Space or R begins anew, q, Q or Esc ends, p pauses.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from ending import finish, open_outputs, say, to_the_end  # first of all that import cv2: it quietens FFmpeg

# isort: split
import cv2
import numpy as np
from grid import Grid
from metrics import Metrics
from options import benchmark_options
from overlay import Frame
from screen import VideoFile, Window

import ov_mobilenet as ovm

TEST_S, INTERVAL_S, REFRESH_S = 1.5, 0.5, 0.04
MOST_IMAGES, BATCH = 500, 4  # kept decoded; a CPU does several at a time in less time than one after another


def read_truth(path: Path) -> dict[str, int]:
    """Class numbers by file name. Raises: OSError, also where it holds something else."""
    try:
        rows = [line.rsplit(maxsplit=1) for line in path.read_text("utf-8").splitlines() if line.strip()]
        return {Path(name).name: int(number) for name, number in rows}
    except ValueError:
        raise OSError(f"{path}: expected an image's name and a class number a line") from None


def read_images(given: str) -> tuple[list[Frame], list[str]]:
    """The images and their names; those that cannot be read are told and left out."""
    frames, names = [], []
    for item in ovm.open_inputs(given, limit=MOST_IMAGES):
        found = item.image if isinstance(item.image, np.ndarray) else cv2.imread(str(item.image))
        if found is None:
            say(f"error: {item.source}: cannot be read as an image")
        else:
            frames.append(np.asarray(found, np.uint8))
            names.append(Path(item.source).name)
    return frames, names


def again_and_again(frames: Sequence[Frame]) -> Iterator[ovm.Item]:
    """The images without end."""
    while True:
        yield from (ovm.Item(frame, str(place)) for place, frame in enumerate(frames))


@dataclass
class Tally:
    """What has been counted since the beginning or a restart; times in seconds of `perf_counter`."""

    begun: float
    count: int = 0
    right: int = 0
    judged: int = 0
    history: list[float] = field(default_factory=list)
    noted: tuple[float, int] = (0.0, 0)

    def add(self, now: float, correct: bool | None) -> None:
        """Count a result; frames a second are noted in intervals."""
        self.count += 1
        if correct is not None:
            self.right, self.judged = self.right + correct, self.judged + 1
        since, before = self.noted if self.history else (self.begun, 0)
        if now - since >= INTERVAL_S:
            self.history.append((self.count - before) / (now - since))
            self.noted = (now, self.count)

    def fps(self, now: float) -> float:
        """Since the beginning."""
        return self.count / max(now - self.begun, 1e-9)

    def accuracy(self) -> list[str]:
        """A line, or none without truth."""
        return [f"accuracy {self.right / self.judged:.1%} of {self.judged}"] if self.judged else []


def run(given: argparse.Namespace, metrics: Metrics, window: Window | None, video: VideoFile | None) -> int:
    """Classify until the time is over. Raises: OvMobilenetError; OSError, from the video or the truth."""
    truth = {} if given.ground_truth is None else read_truth(given.ground_truth)
    frames, names = read_images(given.input)
    if not frames:
        return 1
    settings = ovm.DeviceSettings(
        device=given.device, hint=None if given.nstreams else "throughput", streams=given.nstreams,
        threads=given.nthreads, nireq=given.nireq,
    )  # fmt: skip
    batch = BATCH if given.device in ("AUTO", "CPU") else None
    classifier = ovm.load_classifier(given.model, settings=settings, labels=given.labels, batch_size=batch)
    metrics.start()
    seconds = given.time or (float("inf") if window is not None else 10.0)
    ends, shown, grid, tally = perf_counter() + seconds, 0.0, None, Tally(perf_counter())
    for number, result in enumerate(classifier.stream(again_and_again(frames), top_k=1)):
        metrics.add(result, 0.0)
        now, place = perf_counter(), number % len(frames)
        best = result.best if isinstance(result, ovm.Classification) else None
        correct = None if best is None or names[place] not in truth else best.class_id == truth[names[place]]
        tally.add(now, correct)
        if grid is None and now - tally.begun >= TEST_S:
            grid = Grid(frames, round(tally.fps(now)), *given.resolution)
        if grid is not None:
            grid.put(place, "failed" if best is None else best.label, correct)
        if grid is not None and now - shown >= REFRESH_S and (window is not None or video is not None):
            figures = [f"{metrics.fps:.0f} FPS, mean {tally.fps(now):.0f}", *tally.accuracy()]
            frame = grid.draw([*figures, f"{tally.count} images on {classifier.device}"], tally.history)
            shown = now
            if video is not None:
                video.write(frame, now - tally.begun, otherwise_fps=1 / REFRESH_S)
            key = -1 if window is None else window.show(frame)
            if key is None:
                break
            if key in (ord(" "), ord("r"), ord("R")):
                grid, tally = None, Tally(now)
        if now >= ends:
            break
    for line in tally.accuracy():
        say(line)
    return 1 if metrics.failed else 0


def main() -> int:
    """Run the demo; the report is printed however it ends."""
    given = benchmark_options(__doc__ or "")
    metrics = Metrics()
    window, video = open_outputs(given, "classification benchmark demo")
    return to_the_end(lambda: run(given, metrics, window, video), last=lambda: finish(metrics, window, video))


if __name__ == "__main__":
    sys.exit(main())
