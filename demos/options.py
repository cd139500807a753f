"""The command lines of the classification demos: the options of the Open Model Zoo's demos of the same names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ov_mobilenet as ovm

SAMPLE_MODEL = "mobilenet-v1-0.25-128-signs"
SAMPLE_VIDEO = Path(__file__).parent / "data" / "sample_drive.mp4"


class DemoParser(argparse.ArgumentParser):
    """An argument parser that accepts an option only by its full name.

    `allow_abbrev=False` covers `--` options alone: argparse still takes `-nt 3` for `-nthreads 3` and `-mean_values`
    for `-m ean_values`. Both are errors here; a value attached to a short option (`-i0`) is accepted.
    """

    def __init__(self, description: str | None) -> None:
        self._names: list[str] = []
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )

    def add_argument(self, *names: str, **settings: Any) -> argparse.Action:
        """Add an option, as in `argparse`."""
        self._names += names
        return super().add_argument(*names, **settings)

    def parse(self, words: Sequence[str] | None = None) -> argparse.Namespace:
        """Parse the given words, by default those of the command line; exits with code 2 if they are wrong."""
        words = sys.argv[1:] if words is None else words
        for word in words:
            name = word.partition("=")[0]
            if not name.startswith("-") or not name.strip("-") or name in self._names:
                continue
            for option in self._names:
                if option.startswith((name, "-" + name)):
                    self.error(f"unrecognised option {name}; did you mean {option}?")
        return self.parse_args(words)


def classification_options(description: str) -> argparse.Namespace:
    """Parse the command line of the classification demo."""
    parser = DemoParser(description)
    add = parser.add_argument
    add("-m", "--model", default=SAMPLE_MODEL, help="a zoo name, a model.yml, or an IR .xml")
    add("-i", "--input", default=str(SAMPLE_VIDEO), help="an image, a folder, a video, a camera number, or a URL")
    add("-d", "--device", default="AUTO", help="CPU, GPU, NPU, AUTO, …")
    add("--labels", type=Path, help="a file with class names, one per line; replaces the model's own")
    add("-topk", type=positive, default=5, help="number of classes to show")
    add("--loop", action="store_true", help="start again at the end of the input")
    add("-o", "--output", type=Path, help="write the shown frames to this video, .avi or .mp4")
    add("-limit", "--output_limit", type=int, default=1000, help="number of frames to write; 0 for all")
    add("--no_show", action="store_true", help="do not open a window")
    add("--output_resolution", type=resolution, metavar="WxH", help="fit the shown frames into this size")
    add("-nireq", "--num_infer_requests", type=positive, help="number of infer requests")
    add("-nstreams", "--num_streams", type=positive, help="number of streams: requests that run at the same time")
    add("-nthreads", "--num_threads", type=positive, help="number of CPU threads for inference")
    add("-r", "--raw_output_message", action="store_true", help="print the results as JSON lines to stdout")
    add("--reverse_input_channels", action="store_true", help="reverse BGR to RGB, for an IR that expects RGB")
    add("--mean_values", type=numbers, default=(), metavar="A B C", help="mean values, for an IR without normalisation")
    add(
        "--scale_values",
        type=numbers,
        default=(),
        metavar="A B C",
        help="scale values, for an IR without normalisation",
    )
    add("--layout", help="input layout, such as NCHW, for an IR that does not record it")
    return parser.parse()


def benchmark_options(description: str) -> argparse.Namespace:
    """Parse the command line of the benchmark demo."""
    samples = ovm.find_config(SAMPLE_MODEL).folder / "samples"
    parser = DemoParser(description)
    add = parser.add_argument
    add("-m", "--model", default=SAMPLE_MODEL, help="a zoo name, a model.yml, or an IR .xml")
    add("-i", "--input", default=str(samples), help="a folder of images")
    add("-d", "--device", default="AUTO", help="CPU, GPU, NPU, AUTO, …")
    add("-labels", "--labels", type=Path, help="a file with class names, one per line; replaces the model's own")
    add("-gt", "--ground_truth", type=Path, help="a file with `NAME CLASS_ID` on each line")
    add("-time", type=float, help="seconds to run; by default 10, or until the window is closed")
    add("-o", "--output", type=Path, help="write the shown frames to this video, .avi or .mp4")
    add("-limit", "--output_limit", type=int, default=1000, help="number of frames to write; 0 for all")
    add("-res", "--resolution", type=resolution, default=(1280, 720), metavar="WxH", help="size of the shown frames")
    add("--no_show", "-no_show", action="store_true", help="do not open a window")
    add("-nireq", type=positive, help="number of infer requests")
    add("-nstreams", type=positive, help="number of streams: requests that run at the same time")
    add("-nthreads", type=positive, help="number of CPU threads for inference")
    return parser.parse()


def numbers(text: str) -> tuple[float, ...]:
    """Parse `123.675 116.28 103.53`; commas and brackets are accepted."""
    return tuple(float(word) for word in text.strip("[]()").replace(",", " ").split())


def resolution(text: str) -> tuple[int, int]:
    """Parse a width and a height such as `1280x720`, each in [16, 16384]."""
    width, height = (int(word) for word in text.lower().split("x"))
    if not (16 <= width <= 16384 and 16 <= height <= 16384):
        raise ValueError(text)
    return width, height


def positive(text: str) -> int:
    """Parse an integer of at least 1."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
