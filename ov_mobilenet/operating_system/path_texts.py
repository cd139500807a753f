"""Paths as a user writes them: on Windows they begin with a drive letter and a colon, as some URLs do."""

from __future__ import annotations

from pathlib import PureWindowsPath

from ov_mobilenet.operating_system import systems


def has_drive(text: str) -> bool:
    r"""Whether a text is a path with a drive, such as `C:\images`, `C:/images`, `C://images` or `\\server\images`.

    Always false on Linux and macOS, where these are ordinary names.
    """
    return systems.WINDOWS and bool(PureWindowsPath(text).drive)
