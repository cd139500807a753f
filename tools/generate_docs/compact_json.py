"""JSON for people: a value stays in one line where it fits."""

from __future__ import annotations

import json
from typing import Any


def compact_json(value: Any, width: int = 120, indent: int = 0, used: int = 0) -> str:
    """The text of a JSON value, with an indentation of two spaces.

    Args:
        width: longest line, unless a single text is longer.
        indent: spaces in front of the lines of this value.
        used: characters that stand before and behind it in its first line.
    """
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent + used < width or not isinstance(value, dict | list) or not value:
        return flat
    pad, end = " " * (indent + 2), " " * indent
    if isinstance(value, dict):
        heads = {key: f"{json.dumps(key, ensure_ascii=False)}: " for key in value}
        rows = [
            f"{pad}{heads[key]}{compact_json(one, width, indent + 2, len(heads[key]) + 1)}"
            for key, one in value.items()
        ]  # fmt: skip
        return "{\n" + ",\n".join(rows) + f"\n{end}}}"
    if any(isinstance(one, dict | list) for one in value):
        items = [f"{pad}{compact_json(one, width, indent + 2, 1)}" for one in value]
        return "[\n" + ",\n".join(items) + f"\n{end}]"
    return "[\n" + _filled([json.dumps(one, ensure_ascii=False) for one in value], pad, width) + f"\n{end}]"


def _filled(texts: list[str], pad: str, width: int) -> str:
    lines = [pad]
    for number, text in enumerate(texts):
        part = text if number == len(texts) - 1 else f"{text},"
        if lines[-1].strip() and len(lines[-1]) + len(part) > width - 1:
            lines.append(pad)
        lines[-1] += f"{part} "
    return "\n".join(line.rstrip() for line in lines)
