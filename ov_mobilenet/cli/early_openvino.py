"""Start OpenVINO before the command's own modules are imported, if `classify` is to run an IR.

`import openvino` takes longer than everything else that one image needs. Half of it is the model converter with its
telemetry, which an IR does not need and which is left out. Then a thread loads the plugins of the devices, and the
libraries that read images, while this thread imports the command: most of that happens without Python's lock.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino as ov

_CONVERTER = "openvino.tools.ovc"
_HELP = ("-h", "--help", "--version")

_THREAD = "load-libraries"


def start_openvino(arguments: Sequence[str]) -> bool:
    """Import OpenVINO for a command line that classifies with an IR; nothing for other command lines.

    To be called once, in a process that does nothing but run this command line.

    Returns:
        Whether OpenVINO was to be imported.
    """
    words = [argument for argument in arguments if not argument.startswith("-")]
    if words[:1] != ["classify"] or not any(word.endswith(".xml") for word in words[1:]):
        return False
    if not set(_HELP).isdisjoint(arguments):
        return False
    with suppress(ImportError):  # reported by the code that needs it
        _import_without_converter()
        threading.Thread(target=_load_libraries, name=_THREAD, daemon=True).start()
    return True


def _import_without_converter() -> None:
    """`import openvino`; it has no attribute `convert_model` then."""
    if "openvino" in sys.modules:
        return
    # OpenVINO's own __init__ continues without the converter if it cannot be imported.
    sys.modules[_CONVERTER] = None  # type: ignore[assignment]  # how Python marks a module that must not be imported
    try:
        importlib.import_module("openvino")
    finally:
        del sys.modules[_CONVERTER]


def wait_for_libraries() -> None:
    """Wait for the thread of `start_openvino`, if it runs: a fork beside it could wait for its locks for ever."""
    for thread in threading.enumerate():
        if thread.name == _THREAD:
            thread.join()


def _load_libraries() -> None:
    with suppress(Exception):  # the command needs the same, and reports the error
        _core_with_plugins()
        from PIL import Image

        Image.preinit()


@cache
def _core_with_plugins() -> ov.Core:
    """A `Core` that lives until the process ends, so that the next one finds the plugins in memory."""
    import openvino as ov

    core = ov.Core()
    core.get_property("CPU", "FULL_DEVICE_NAME")
    _ = core.available_devices
    return core
