"""A virtual X server (Xvfb) and what a user does there: look at the screen, press keys, close windows."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 1600, 1000


class Screen:
    """A client of the X server that takes screenshots, presses keys and closes windows."""

    def __init__(self, name: str) -> None:
        from Xlib.display import Display

        self.name = name
        self._display = Display(name)
        self._root = self._display.screen().root

    def screenshot(self) -> npt.NDArray[np.uint8]:
        """The whole screen, uint8 (H, W, 3) BGR."""
        from Xlib import X

        image = self._root.get_image(0, 0, WIDTH, HEIGHT, X.ZPixmap, 0xFFFFFFFF)
        pixels = np.frombuffer(image.data, np.uint8).reshape(HEIGHT, WIDTH, 4)
        return np.array(pixels[:, :, :3], np.uint8)

    def titles(self) -> list[tuple[str, int]]:
        """Title and map state of each window; state 2 is visible."""
        windows = self._root.query_tree().children
        return [(str(window.get_wm_name()), window.get_attributes().map_state) for window in windows]

    def window(self, title: str) -> Any:
        """The visible window with this title; None if there is none."""
        from Xlib import error

        for window in self._root.query_tree().children:
            try:
                if window.get_wm_name() == title and window.get_attributes().map_state == 2:
                    return window
            except error.BadWindow:
                continue
        return None

    def remap(self, window: Any) -> None:
        """Hide and show a window, as a window manager does when the user minimises and restores it."""
        window.unmap()
        self._display.sync()
        sleep(0.3)
        window.map()
        self._display.sync()

    def press(self, title: str, key: str) -> None:
        """Press a key in a window."""
        from Xlib import XK, X
        from Xlib.ext.xtest import fake_input

        self.window(title).set_input_focus(X.RevertToParent, X.CurrentTime)
        code = self._display.keysym_to_keycode(XK.string_to_keysym(key))
        for event in (X.KeyPress, X.KeyRelease):
            fake_input(self._display, event, code)
        self._display.sync()

    def close(self, title: str) -> None:
        """Ask a window to close, as its close button does."""
        from Xlib import X
        from Xlib.protocol.event import ClientMessage

        window = self.window(title)
        words = [self._display.intern_atom("WM_DELETE_WINDOW"), X.CurrentTime, 0, 0, 0]
        message = ClientMessage(window=window, client_type=self._display.intern_atom("WM_PROTOCOLS"), data=(32, words))
        window.send_event(message)
        self._display.sync()

    def disconnect(self) -> None:
        """Close the connection to the X server."""
        self._display.close()


def wait_for(condition: Callable[[], Any], seconds: float = 40.0) -> Any:
    """Call a function until it returns something other than None and False, and return that."""
    end = monotonic() + seconds
    while (value := condition()) is None or value is False:
        assert monotonic() < end, f"the condition did not hold within {seconds:g} s"
        sleep(0.1)  # not more often: sending screenshots slows the X server down
    return value


def why_not_available() -> str | None:
    """The reason why these tests cannot run; None if they can."""
    if shutil.which("Xvfb") is None:
        return "Xvfb is not installed"
    try:
        import Xlib  # noqa: F401
    except ImportError:
        return "python-xlib is not installed"
    import cv2

    windows = any(
        line.strip().startswith("GUI:") and "NONE" not in line for line in cv2.getBuildInformation().split("\n")
    )
    return None if windows else "this OpenCV cannot open windows"


@contextmanager
def server() -> Iterator[Screen]:
    """Run a virtual X server."""
    read, write = os.pipe()
    size = f"{WIDTH}x{HEIGHT}x24"
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", size, "-nolisten", "tcp", "-noreset"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as display_number:
            screen = Screen(":" + display_number.readline().strip())
        yield screen
        screen.disconnect()
    finally:
        process.terminate()
        process.wait()
