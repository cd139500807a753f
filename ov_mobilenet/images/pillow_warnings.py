"""Hide Pillow's warnings while images are decoded in threads."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_MODULES = r"PIL\."
_lock = threading.Lock()
_users = 0


@contextmanager
def without_pillow_warnings() -> Iterator[None]:
    """Ignore Pillow's warnings (large images, flaws of headers and of EXIF data) in the `with` block.

    `warnings.catch_warnings` must not be used in threads: of two blocks that overlap, the second one restores the
    filters of the first, so that all warnings of the program are ignored from then on. Here one filter, of Pillow's
    modules only, is in place while at least one thread needs it.
    """
    global _users
    with _lock:
        _users += 1
        # Also if it should be there: code of the user may have replaced the filters in the meantime.
        warnings.filterwarnings("ignore", module=_MODULES)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                with suppress(ValueError):
                    warnings.filters.remove(("ignore", None, Warning, re.compile(_MODULES), 0))  # type: ignore[attr-defined]
