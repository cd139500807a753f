"""Which system this is. Read the flags as `systems.WINDOWS`, so that a test can set them in one place."""

from __future__ import annotations

import sys

WINDOWS: bool = sys.platform == "win32"
LINUX: bool = sys.platform == "linux"
MACOS: bool = sys.platform == "darwin"
