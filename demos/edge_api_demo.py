"""The Python API on an edge device: reads a camera and writes one JSON line per frame, always of the newest frame.

    python demos/edge_api_demo.py -i 0 | your-program          # /dev/video0
    python demos/edge_api_demo.py                              # the sample video and the built-in model

A frame is taken from the camera only when an infer request is free, so no frame waits in a queue. If no result arrives
for `--watchdog` seconds, the process exits with code 1 so that a supervisor can restart it. Under systemd
(`demos/edge/`) each result also resets systemd's watchdog. SIGTERM and Ctrl-C stop the demo after the results of the
frames in progress are written. To change the demo, copy this file: it needs no other.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import threading
from collections import deque
from pathlib import Path
from time import monotonic
from typing import Any

import ov_mobilenet as ovm

SAMPLE_VIDEO = Path(__file__).parent / "data" / "sample_drive.mp4"
MAX_LATENCIES = 100_000  # in the report, so that memory stays bounded when a camera runs for months

# Without these, FFmpeg and OpenCV print their own messages about a bad video. They are read when OpenCV is imported,
# which ov_mobilenet does later.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")


def parse_options() -> argparse.Namespace:
    """Parse the command line; options must be written in full, except that a value may follow at once (`-i0`)."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    names: list[str] = []

    def add(*spellings: str, **settings: Any) -> None:
        names.extend(spellings)
        parser.add_argument(*spellings, **settings)

    add("-m", "--model", default="mobilenet-v1-0.25-128-signs", help="a zoo name, a model.yml, or an IR .xml")
    add("-i", "--input", default=str(SAMPLE_VIDEO), help="a camera number, a stream URL, or a video")
    add("-d", "--device", default="AUTO", help="CPU, GPU, NPU, AUTO, …")
    add("-topk", "--topk", type=int, default=1, help="number of classes per line")
    add("--max_fps", type=float, help="maximum number of frames per second to classify")
    add("--watchdog", type=float, default=30.0, metavar="SECONDS", help="exit after this time without a result")
    for name in (word.partition("=")[0] for word in sys.argv[1:]):
        if name.startswith("-") and name.strip("-") and name not in names:
            for option in names:  # argparse takes `-top` for `-topk`, and `-model` for `-m odel`
                if option.startswith((name, "-" + name)):
                    parser.error(f"unrecognised option {name}; did you mean {option}?")
    options = parser.parse_args()
    if options.topk < 1:
        parser.error("-topk must be at least 1")
    return options


class Watchdog:
    """Exits the process if no result arrives in time. A driver that hangs cannot be interrupted in any other way."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last_result = monotonic()
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def reset(self) -> None:
        """Restart the time; call it after each result."""
        self._last_result = monotonic()
        notify_systemd("WATCHDOG=1")

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(self._seconds / 10):
            if monotonic() - self._last_result > self._seconds:
                log(f"error: no result for {self._seconds:g} s; exiting")
                os._exit(1)


def notify_systemd(state: str) -> None:
    """Send a state to systemd, as `sd_notify` does; does nothing if the process was not started by systemd."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)


class Report:
    """Counts results, and keeps the latencies of the last `MAX_LATENCIES`, in milliseconds."""

    def __init__(self) -> None:
        self.classified = self.failed = 0
        self.started = monotonic()
        self._latencies: deque[float] = deque(maxlen=MAX_LATENCIES)

    def add(self, result: ovm.Classification | ovm.Failure) -> None:
        """Add a result; its latency is the age of a camera's frame, and for other frames the time since it was read."""
        if isinstance(result, ovm.Failure):
            self.failed += 1
            return
        self.classified += 1
        self._latencies.append(result.timings_ms.total if result.age_ms is None else result.age_ms)

    def __str__(self) -> str:
        seconds = monotonic() - self.started
        text = f"Metrics report: {self.classified} classified, {self.failed} failed, {seconds:.2f} s"
        if not self._latencies:
            return text
        ordered = sorted(self._latencies)
        p50, p99 = (ordered[-(-percent * len(ordered) // 100) - 1] for percent in (50, 99))  # nearest rank
        rate = f"{self.classified / seconds:.1f} FPS"
        return f"{text}, {rate}\nlatency in ms: p50 {p50:.2f}, p99 {p99:.2f}, max {ordered[-1]:.2f}"


def run(options: argparse.Namespace, report: Report) -> int:
    """Classify until the input ends or a signal arrives. Raises: OvMobilenetError."""
    signals: list[int] = []
    classifier = ovm.load_classifier(options.model, device=options.device, hint="latency")
    with ovm.open_inputs(options.input, max_fps=options.max_fps) as inputs:

        def stop(number: int, _: object) -> None:
            signals.append(number)
            threading.Thread(target=inputs.close).start()  # takes locks, which a signal handler must not wait for

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        watchdog = Watchdog(options.watchdog)
        report.started = monotonic()
        notify_systemd("READY=1")
        # live: a frame is read when a request is free; a video is read in the same way as a camera.
        for result in classifier.stream(inputs, top_k=options.topk, live=True):
            report.add(result)
            print(json.dumps(result.to_dict(), separators=(",", ":")), flush=True)  # the reader needs each line at once
            watchdog.reset()
        notify_systemd("STOPPING=1")
        watchdog.stop()
    if signals:
        return 128 + signals[0]
    return 1 if report.failed else 0


def log(text: str) -> None:
    """Print a message to stderr; stdout is for results only."""
    print(text, file=sys.stderr)


def main() -> int:
    """Run the demo; the report is printed also after an error or a signal.

    Returns:
        The exit code: 0 success, 1 something failed, 2 wrong usage, 130 after Ctrl-C, 143 after SIGTERM.
    """
    options = parse_options()
    report = Report()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # until the model is loaded
    try:
        return run(options, report)
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
        log(str(report))


if __name__ == "__main__":
    sys.exit(main())
