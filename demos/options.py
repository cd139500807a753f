"""What the classification demos can be told: the options of the Open Model Zoo's demos of these names."""

from __future__ import annotations

import argparse
from pathlib import Path

import ov_mobilenet as ovm

SAMPLE_MODEL = "mobilenet-v1-0.25-128-signs"
SAMPLE_VIDEO = Path(__file__).parent / "data" / "sample_drive.mp4"


def classification_options(about: str) -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("-m", "--model", default=SAMPLE_MODEL, help="a zoo name, a model.yml, or an IR .xml")
    add("-i", "--input", default=str(SAMPLE_VIDEO), help="an image, a folder, a video, a camera's number, a URL")
    add("-d", "--device", default="AUTO", help="CPU, GPU, NPU, AUTO, …")
    add("--labels", type=Path, help="class names, one a line, instead of the model's own")
    add("-topk", type=positive, default=5, help="classes to show")
    add("--loop", action="store_true", help="begin again at the end")
    add("-o", "--output", type=Path, help="a video of what is shown, .avi or .mp4")
    add("-limit", "--output_limit", type=int, default=1000, help="frames to store in the output; 0 for all")
    add("--no_show", action="store_true", help="open no window")
    add("--output_resolution", type=resolution, metavar="WxH", help="fit what is shown into this size")
    add("-nireq", "--num_infer_requests", type=positive, help="infer requests")
    add("-nstreams", "--num_streams", type=positive, help="requests that are worked on at a time")
    add("-nthreads", "--num_threads", type=positive, help="CPU threads for inference")
    add("-r", "--raw_output_message", action="store_true", help="results as JSON lines on stdout")
    add("--reverse_input_channels", action="store_true", help="for an IR that takes RGB and does not reverse itself")
    add("--mean_values", type=numbers, default=(), metavar="A B C", help="for an IR without them inside")
    add("--scale_values", type=numbers, default=(), metavar="A B C", help="for an IR without them inside")
    add("--layout", help="of an IR that does not say it, such as NCHW")
    return parser.parse_args()


def benchmark_options(about: str) -> argparse.Namespace:
    """The command line of the benchmark demo, read."""
    samples = ovm.find_config(SAMPLE_MODEL).folder / "samples"
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("-m", "--model", default=SAMPLE_MODEL, help="a zoo name, a model.yml, or an IR .xml")
    add("-i", "--input", default=str(samples), help="a folder of images")
    add("-d", "--device", default="AUTO")
    add("-labels", "--labels", type=Path, help="class names, one a line, instead of the model's own")
    add("-gt", "--ground_truth", type=Path, help="a file with `NAME CLASS` a line")
    add("-time", type=float, help="seconds; without end where a window shows it, else 10")
    add("-o", "--output", type=Path, help="a video of what is shown, .avi or .mp4")
    add("-limit", "--output_limit", type=int, default=1000, help="frames to store in the output; 0 for all")
    add("-res", "--resolution", type=resolution, default=(1280, 720), metavar="WxH", help="of what is shown")
    add("--no_show", "-no_show", action="store_true", help="open no window")
    add("-nireq", type=positive, help="infer requests")
    add("-nstreams", type=positive, help="requests that are worked on at a time")
    add("-nthreads", type=positive, help="CPU threads for inference")
    return parser.parse_args()


def numbers(text: str) -> tuple[float, ...]:
    """`123.675 116.28 103.53`, also with commas or in brackets."""
    return tuple(float(word) for word in text.strip("[]()").replace(",", " ").split())


def resolution(text: str) -> tuple[int, int]:
    """`1280x720`."""
    width, height = (int(word) for word in text.lower().split("x"))
    if not (16 <= width <= 16384 and 16 <= height <= 16384):
        raise ValueError(text)
    return width, height


def positive(text: str) -> int:
    """A number from 1."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
