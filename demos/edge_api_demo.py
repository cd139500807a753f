"""The Python API on an edge device: a camera in, one JSON line a frame out, always of the newest frame.

    python demos/edge_api_demo.py -i 0 | your-program          # /dev/video0
    python demos/edge_api_demo.py                              # the sample video and the built-in model

A frame is taken from the camera only when the device can start on it, so none grows old in a queue. Where no answer
comes for `--watchdog` seconds the process ends with code 1, for whoever supervises it to start it again; under systemd
(`demos/edge/`) its watchdog is told of every answer. SIGTERM and Ctrl-C end it when what is under way is written.
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

from ending import say, to_the_end
from metrics import Metrics

# isort: split
import msgspec

import ov_mobilenet as ovm

SAMPLE_VIDEO = Path(__file__).parent / "data" / "sample_drive.mp4"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("-m", "--model", default="mobilenet-v1-0.25-128-signs", help="a zoo name, a model.yml, or an IR .xml")
    add("-i", "--input", default=str(SAMPLE_VIDEO), help="a camera's number, a stream's URL, or a video")
    add("-d", "--device", default="AUTO")
    add("-topk", type=int, default=1, help="classes a line")
    add("--max_fps", type=float, help="take no more frames a second")
    add("--watchdog", type=float, default=30.0, metavar="SECONDS", help="give up after so long without an answer")
    return parser.parse_args()


class Watchdog:
    """Ends the process when nothing has happened for too long: a driver that hangs answers to nothing gentler."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen = monotonic()
        self._done = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def seen(self) -> None:
        """Something happened."""
        self._seen = monotonic()
        tell_systemd("WATCHDOG=1")

    def stop(self) -> None:
        """Watch no more."""
        self._done.set()

    def _watch(self) -> None:
        while not self._done.wait(self._seconds / 10):
            if monotonic() - self._seen > self._seconds:
                say(f"error: no answer for {self._seconds:g} s; giving up")
                os._exit(1)


def tell_systemd(state: str) -> None:
    """As sd_notify does; nothing where no systemd waits for it."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)


def feed(inputs: ovm.Inputs, queue: ovm.InferQueue, free: threading.Semaphore, failed: list[BaseException]) -> None:
    """Submit frames, each taken when a request is free for it; close the queue at the end."""
    try:
        frames = iter(inputs)
        while True:
            free.acquire()
            if (item := next(frames, None)) is None:
                return
            queue.submit(item)
    except BaseException as error:  # noqa: BLE001 (raised again by the main thread)
        failed.append(error)
    finally:
        queue.close()


def run(given: argparse.Namespace, metrics: Metrics) -> int:
    """Classify until the input ends, or until a signal. Raises: OvMobilenetError."""
    stopped: list[int] = []
    classifier = ovm.load_classifier(given.model, device=given.device, hint="latency")
    with ovm.open_inputs(given.input, max_fps=given.max_fps) as inputs:

        def stop(number: int, _: object) -> None:
            stopped.append(number)
            threading.Thread(target=inputs.close).start()  # takes locks, which a signal must not wait for

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        queue = ovm.InferQueue(classifier, requests=1, top_k=given.topk)
        free, failed = threading.Semaphore(queue.requests), list[BaseException]()
        feeder = threading.Thread(target=feed, args=(inputs, queue, free, failed), daemon=True)
        watchdog = Watchdog(given.watchdog)
        metrics.start()
        feeder.start()
        tell_systemd("READY=1")
        for _, result in queue:
            free.release()
            metrics.add(result, 0.0)
            sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
            sys.stdout.buffer.flush()  # whoever reads it wants it now
            watchdog.seen()
        tell_systemd("STOPPING=1")
        watchdog.stop()
    if failed:
        raise failed[0]
    if stopped:
        return 128 + stopped[0]
    return 1 if metrics.failed else 0


def main() -> int:
    """Run the demo; the report is printed however it ends."""
    given = arguments()
    metrics = Metrics()
    return to_the_end(lambda: run(given, metrics), last=lambda: say(metrics.report()))


if __name__ == "__main__":
    sys.exit(main())
