"""The command lines of the classification demos: the options of the Open Model Zoo's demos of the same names."""

from __future__ import annotations

import argparse
from pathlib import Path

from demo_parser import DemoParser

import ov_mobilenet as ovm

SAMPLE_MODEL = "mobilenet-v1-0.25-128-signs"
SAMPLE_VIDEO = Path(__file__).parent / "data" / "sample_drive.mp4"


def classification_options(description: str) -> argparse.Namespace:
    """Parse the command line of the classification demo."""
    parser = DemoParser(description)
    add = parser.add_argument
    add("-m", "--model", default=SAMPLE_MODEL, help="a zoo name, a model.yml, or an IR .xml")
    add("-i", "--input", default=str(SAMPLE_VIDEO), help="an image, a folder, a video, a camera number, or a URL")
    add("-d", "--device", default="AUTO", help="CPU, GPU, NPU, AUTO, …")
    add("--labels", type=Path, help="a file with class names, one per line; replaces the model's own")
    add("-topk", "-nt", type=positive, default=5, help="number of classes to show")
    add("--loop", action="store_true", help="start again at the end of the input")
    add("--output_resolution", type=resolution, metavar="WxH", help="fit the shown frames into this size")
    add("-r", "--raw_output_message", action="store_true", help="print the results as JSON lines to stdout")
    add("--reverse_input_channels", action="store_true", help="reverse BGR to RGB, for an IR that expects RGB")
    for what in ("mean", "scale"):
        text = f"{what} values, for an IR without normalisation"
        add(f"--{what}_values", type=numbers, nargs="+", metavar="A B C", help=text)
    add("--adapter", type=adapter, default="openvino", help="openvino; the Open Model Zoo's ovms is not supported")
    _add_common_options(parser)
    parsed = parser.parse()
    for name in ("mean_values", "scale_values"):
        setattr(parsed, name, sum(getattr(parsed, name) or (), ()))
    return parsed


def benchmark_options(description: str) -> argparse.Namespace:
    """Parse the command line of the benchmark demo."""
    samples = ovm.find_config(SAMPLE_MODEL).folder / "samples"
    parser = DemoParser(description)
    add = parser.add_argument
    add("-m", "--model", default=SAMPLE_MODEL, help="a zoo name, a model.yml, or an IR .xml")
    add("-i", "--input", default=str(samples), help="a folder of images")
    add("-d", "--device", default="AUTO", help="CPU, GPU, NPU, AUTO, …")
    add("-labels", type=Path, help="a file with class names, one per line; replaces the model's own")
    add("-gt", "--ground_truth", type=Path, help="a file with `NAME CLASS_ID` on each line")
    add("-nt", type=positive, default=1, help="a label is correct if it is among this number of classes")
    add("-time", type=float, help="seconds to run; by default 10, or until the window is closed")
    add("-res", "--resolution", type=resolution, default=(1280, 720), metavar="WxH", help="size of the shown frames")
    parser.ignore("-auto_resize", action="store_true", reason="images are always resized as the model expects")
    parser.ignore("-show", action="store_true", reason="the window is shown unless --no_show is given")
    _add_common_options(parser)
    return parser.parse()


def _add_common_options(parser: DemoParser) -> None:
    add = parser.add_argument
    add("-o", "--output", type=Path, help="write the shown frames to this video, .avi or .mp4")
    add("-limit", "--output_limit", type=int, default=1000, help="number of frames to write; 0 for all")
    add("--no_show", "-no_show", "-noshow", action="store_true", help="do not open a window")
    add("-nireq", "--num_infer_requests", type=count, help="number of infer requests; 0 for the device's choice")
    add("-nstreams", "--num_streams", type=streams, help="number of streams: requests that run at the same time")
    add("-nthreads", "--num_threads", type=count, help="number of CPU threads for inference")
    add("-layout", "--layout", type=str.upper, help="input layout, such as NCHW, for an IR that does not record it")
    parser.ignore("-u", "--utilization_monitors", reason="the demo draws no monitors; use top or intel_gpu_top")


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


def count(text: str) -> int | None:
    """Parse an integer; 0 means that it is not set, as in the Open Model Zoo's demos."""
    return positive(text) if text != "0" else None


def streams(text: str) -> int | None:
    """Parse a number of streams, also with the device before it, as in `CPU:2`."""
    if "," in text:
        raise argparse.ArgumentTypeError(f"{text!r}: numbers for several devices are not supported; give one number")
    return count(text.rpartition(":")[2]) if text else None


def adapter(name: str) -> str:
    """Check that the adapter is `openvino`."""
    if name != "openvino":
        raise argparse.ArgumentTypeError(
            f"{name!r} is not supported; -m takes a model file, which runs in this process"
        )
    return name
