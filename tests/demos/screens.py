"""An X server without a screen, and what a user does at one: look, press keys, close windows."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

import numpy as np

WIDTH, HEIGHT = 1600, 1000


class Screen:
    """The screen of an X server."""

    def __init__(self, name: str) -> None:
        from Xlib.display import Display

        self.name = name
        self._display = Display(name)
        self._root = self._display.screen().root

    def screenshot(self) -> np.ndarray:
        """What is on it, uint8 (H, W, 3) BGR."""
        from Xlib import X

        image = self._root.get_image(0, 0, WIDTH, HEIGHT, X.ZPixmap, 0xFFFFFFFF)
        return np.frombuffer(image.data, np.uint8).reshape(HEIGHT, WIDTH, 4)[:, :, :3].copy()

    def titles(self) -> list[tuple[str, int]]:
        """Of all windows, and whether each is shown (2)."""
        windows = self._root.query_tree().children
        return [(str(window.get_wm_name()), window.get_attributes().map_state) for window in windows]

    def window(self, title: str) -> Any:
        """The window of that title; None if there is none."""
        from Xlib import error

        for window in self._root.query_tree().children:
            try:
                if window.get_wm_name() == title and window.get_attributes().map_state == 2:
                    return window
            except error.BadWindow:
                continue
        return None

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
        """Ask a window to close, as the cross in its corner does."""
        from Xlib import X
        from Xlib.protocol.event import ClientMessage

        window = self.window(title)
        words = [self._display.intern_atom("WM_DELETE_WINDOW"), X.CurrentTime, 0, 0, 0]
        message = ClientMessage(window=window, client_type=self._display.intern_atom("WM_PROTOCOLS"), data=(32, words))
        window.send_event(message)
        self._display.sync()

    def disconnect(self) -> None:
        self._display.close()


def wait_for(true: Callable[[], Any], seconds: float = 40.0) -> Any:
    """Look again and again until something is so."""
    end = monotonic() + seconds
    while (found := true()) is None or found is False:
        assert monotonic() < end, "it never came"
        sleep(0.1)  # not more often: whole images keep the X server from the demo's
    return found


def missing() -> str | None:
    """What is not here that these tests need."""
    if shutil.which("Xvfb") is None:
        return "Xvfb is not here"
    try:
        import Xlib  # noqa: F401
    except ImportError:
        return "python-xlib is not here"
    import cv2

    windows = any(
        line.strip().startswith("GUI:") and "NONE" not in line for line in cv2.getBuildInformation().split("\n")
    )
    return None if windows else "this OpenCV opens no windows"


@contextmanager
def server() -> Iterator[Screen]:
    """Run an X server of our own."""
    read, write = os.pipe()
    size = f"{WIDTH}x{HEIGHT}x24"
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", size, "-nolisten", "tcp", "-noreset"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as numbers:
            screen = Screen(":" + numbers.readline().strip())
        yield screen
        screen.disconnect()
    finally:
        process.terminate()
        process.wait()
