"""Text that a client sent, as it is shown in messages."""

from __future__ import annotations

MAX_SHOWN = 80  # characters


def shown(text: object) -> str:
    """A text in quotes, or a value, with at most about 80 characters; the middle of a longer one is left out.

    `OvMobilenetError` escapes what is not printable.
    """
    whole = f'"{text}"' if isinstance(text, str) else str(text)
    half = MAX_SHOWN // 2
    return whole if len(whole) <= MAX_SHOWN else f"{whole[:half]}...{whole[-half:]}"


def shortened(text: str) -> str:
    """A text as it is, with at most about 80 characters; the end of a longer one is left out."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
