"""The Python API on an edge device: reads a camera and writes one JSON line per frame, always of the newest frame.

    python demos/edge_api_demo.py -i 0 | your-program          # /dev/video0
    python demos/edge_api_demo.py                              # the sample video and the built-in model

A frame is taken from the camera only when an infer request is free, so no frame waits in a queue. If no result arrives
for `--watchdog` seconds, the process exits with code 1 so that a supervisor can restart it. Under systemd
(`demos/edge/`) each result also resets systemd's watchdog. SIGTERM and Ctrl-C stop the demo after the results of the
frames in progress are written.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from time import monotonic

from demo_parser import DemoParser
from lifecycle import log, run_demo
from metrics import Metrics
from options import positive

# isort: split
import msgspec

import ov_mobilenet as ovm

SAMPLE_VIDEO = Path(__file__).parent / "data" / "sample_drive.mp4"


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = DemoParser(__doc__)
    add = parser.add_argument
    add("-m", "--model", default="mobilenet-v1-0.25-128-signs", help="a zoo name, a model.yml, or an IR .xml")
    add("-i", "--input", default=str(SAMPLE_VIDEO), help="a camera number, a stream URL, or a video")
    add("-d", "--device", default="AUTO", help="CPU, GPU, NPU, AUTO, …")
    add("-topk", type=positive, default=1, help="number of classes per line")
    add("--max_fps", type=float, help="maximum number of frames per second to classify")
    add("--watchdog", type=float, default=30.0, metavar="SECONDS", help="exit after this time without a result")
    return parser.parse()


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


def submit_frames(
    inputs: ovm.Inputs, queue: ovm.InferQueue, free_requests: threading.Semaphore, errors: list[BaseException]
) -> None:
    """Submit a frame whenever a request is free; close the queue at the end of the input."""
    try:
        frames = iter(inputs)
        while True:
            free_requests.acquire()
            if (item := next(frames, None)) is None:
                return
            queue.submit(item)
    except BaseException as error:  # noqa: BLE001 (raised again by the main thread)
        errors.append(error)
    finally:
        queue.close()


def run(options: argparse.Namespace, metrics: Metrics) -> int:
    """Classify until the input ends or a signal arrives. Raises: OvMobilenetError."""
    signals: list[int] = []
    classifier = ovm.load_classifier(options.model, device=options.device, hint="latency")
    with ovm.open_inputs(options.input, max_fps=options.max_fps) as inputs:

        def stop(number: int, _: object) -> None:
            signals.append(number)
            threading.Thread(target=inputs.close).start()  # takes locks, which a signal handler must not wait for

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        queue = ovm.InferQueue(classifier, requests=1, top_k=options.topk)
        free_requests, errors = threading.Semaphore(queue.requests), list[BaseException]()
        submitter = threading.Thread(target=submit_frames, args=(inputs, queue, free_requests, errors), daemon=True)
        watchdog = Watchdog(options.watchdog)
        metrics.start()
        submitter.start()
        notify_systemd("READY=1")
        for _, result in queue:
            free_requests.release()
            metrics.add(result, 0.0)
            sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
            sys.stdout.buffer.flush()  # the reader needs each line at once
            watchdog.reset()
        notify_systemd("STOPPING=1")
        watchdog.stop()
    if errors:
        raise errors[0]
    if signals:
        return 128 + signals[0]
    return 1 if metrics.failed else 0


def main() -> int:
    """Run the demo; the report is printed also after an error or a signal."""
    options = parse_options()
    metrics = Metrics()
    return run_demo(lambda: run(options, metrics), clean_up=lambda: log(metrics.report()))


if __name__ == "__main__":
    sys.exit(main())
