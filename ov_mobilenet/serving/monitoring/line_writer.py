"""`LineWriter`: log lines to a stream that may be slow, without making the callers wait."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO

MAX_LINES = 10_000
# Lines are collected for this long and written at once: a thread that woke up for each line would cost more than it.
COLLECT_S = 0.05
CLOSE_S = 5.0


class LineWriter:
    """Writes lines in a thread of its own; what a slow stream cannot take is dropped and counted.

    Attributes:
        dropped: number of lines that were not written.
    """

    def __init__(
        self, note_of_dropped: Callable[[int], str], stream: TextIO | None = None, *, max_lines: int = MAX_LINES
    ) -> None:
        """Start the thread.

        Args:
            note_of_dropped: the line that tells of this number of dropped lines.
            stream: None for the `sys.stderr` of the moment.
            max_lines: number of lines that may wait.
        """
        self.dropped = 0
        self._note_of_dropped = note_of_dropped
        self._stream = stream
        self._max_lines = max_lines
        self._lines: deque[str] = deque()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ov-mobilenet-log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Have a line written; without its line end. Never waits."""
        if len(self._lines) >= self._max_lines or self._closed.is_set():
            self.dropped += 1
            return
        self._lines.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Write the lines that wait and end the thread; give up after `timeout_s` if the stream takes nothing."""
        self._closed.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        reported = 0
        while not (self._closed.is_set() and not self._lines):
            self._wake.wait()
            self._closed.wait(COLLECT_S)
            self._wake.clear()
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if self.dropped > reported:
                lines.append(self._note_of_dropped(self.dropped - reported))
                reported = self.dropped
            if lines and not self._write("\n".join((*lines, ""))):
                self.dropped += len(lines)

    def _write(self, text: str) -> bool:
        stream = self._stream or sys.stderr
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed, its reader has gone, or there is no stderr
            return False
        return True
