"""The regular expressions of descriptions, which may come from anybody: compiled and applied within limits.

The syntax is that of Python's `re`. `regex` reads it too, and ends a search after a time limit.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import regex

MAX_PATTERN = 1_000  # characters; the longest in the Open Model Zoo has 183
MAX_REPLACEMENT = 10_000  # characters; the longest in the Open Model Zoo has 537
MAX_REPETITIONS = 1_000  # of all {m,n} in a pattern, multiplied: each is compiled to as many copies
MAX_RESULT = 16 << 20  # characters
_REPETITION = re.compile(r"\{\s*([0-9]*)\s*(?:,\s*([0-9]*)\s*)?\}")


def compile_pattern(pattern: str) -> regex.Pattern[str]:
    """Compile a pattern. Raises: ValueError, with the reason."""
    import warnings

    import regex

    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"longer than {MAX_PATTERN} characters")
    product = 1
    for match in _REPETITION.finditer(pattern):
        for bound in match.groups():
            # By its length first: Python refuses to convert thousands of digits.
            if bound and (len(bound) > 9 or product * max(1, int(bound)) > MAX_REPETITIONS):
                raise ValueError(f"more than {MAX_REPETITIONS} repetitions")
        product *= max(int(bound or 1) or 1 for bound in match.groups())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # future versions may read `[[a]` differently
            return regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError, MemoryError) as error:
        raise ValueError(str(error) or "nested too deep") from error


def replace(pattern: str, replacement: str, text: str, *, count: int, timeout_s: float) -> tuple[str, int]:
    """Replace a pattern at most `count` times, or everywhere for 0, as `re.subn` does.

    Args:
        timeout_s: CPU time in seconds.

    Returns:
        The new text, and the number of replacements.

    Raises:
        ValueError: the pattern or the replacement is invalid, or a limit is exceeded.
    """
    import regex

    parts: list[str] = []
    position = size = found = 0

    def append(part: str) -> None:
        nonlocal size
        size += len(part)
        _check_size(size)
        parts.append(part)

    try:
        for match in compile_pattern(pattern).finditer(text, timeout=timeout_s):
            append(text[position : match.start()])
            _check_size(size + _largest_expansion(replacement, match))
            append(match.expand(replacement))
            position = match.end()
            found += 1
            if found == count:
                break
    except TimeoutError as error:
        raise ValueError(f"the pattern takes more than {timeout_s:g} s") from error
    except (regex.error, IndexError) as error:
        raise ValueError(f"invalid replacement ({error})") from error
    append(text[position:])
    return "".join(parts), found


def _largest_expansion(replacement: str, match: Any) -> int:
    """At least the length of the replacement once its group references are expanded."""
    longest = max((len(group) for group in (match[0], *match.groups()) if group is not None), default=0)
    return len(replacement) + replacement.count("\\") * longest


def _check_size(size: int) -> None:
    if size > MAX_RESULT:
        raise ValueError(f"the result is longer than {MAX_RESULT} characters")
