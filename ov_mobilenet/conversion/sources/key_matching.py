"""Match the tensors of a checkpoint to those of a module by shape and order, for checkpoints with other keys.

Whole layers are matched, not single tensors: `weight`, `bias`, `running_mean` and `running_var` of a batch norm have
the same shape and differ only in their names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Shapes = Mapping[str, tuple[int, ...]]
Signature = tuple[tuple[str, tuple[int, ...]], ...]
COUNTER = "num_batches_tracked"


class AmbiguousKeysError(Exception):
    """The shapes match, but two layers, named in the message, cannot be distinguished."""


def match_keys(given: Shapes, wanted: Shapes, *, in_order: bool) -> dict[str, str] | None:
    """The given key for each wanted key, without counters; None if the shapes of the layers differ.

    Layers of the same shape are distinguished by their position: either all layers of the file are in the order of
    the data flow, or the names of layers of one shape differ only in numbers, which give the order.

    Args:
        given: shapes by key, in the order of the file.
        wanted: shapes by key, in the order of the data flow.
        in_order: whether the file keeps the order in which the module was defined (safetensors does not).

    Raises:
        AmbiguousKeysError: layers of the same shape cannot be distinguished in either way.
    """
    ours, theirs = _modules(wanted), _modules(given)
    if sorted(ours.values()) != sorted(theirs.values()):
        return None
    pairs: dict[str, str] = {}
    if in_order and list(ours.values()) == list(theirs.values()) and _numbers_ascend(list(theirs)):
        pairs = dict(zip(ours, theirs, strict=True))
    else:
        for signature in dict.fromkeys(ours.values()):
            here = [name for name, kind in ours.items() if kind == signature]
            there = [name for name, kind in theirs.items() if kind == signature]
            templates = sorted({_template(name) for name in there})
            if len(templates) > 1:
                raise AmbiguousKeysError(f"{templates[0]} and {templates[1]} have the same shapes")
            pairs.update(zip(here, sorted(there, key=_numbers), strict=True))
    return {
        f"{module}.{leaf}": f"{pairs[module]}.{leaf}" for module, signature in ours.items() for leaf, _ in signature
    }


def _modules(shapes: Shapes) -> dict[str, Signature]:
    found: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for key, shape in shapes.items():
        module, _, leaf = key.rpartition(".")
        if leaf != COUNTER:
            found.setdefault(module, []).append((leaf, shape))
    return {module: tuple(sorted(leaves)) for module, leaves in found.items()}


def _template(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", name))


def _numbers_ascend(names: list[str]) -> bool:
    """Whether layers whose names differ only in numbers are in numeric order: sorted by name, 10 precedes 2."""
    last: dict[str, tuple[int, ...]] = {}
    for name in names:
        numbers = _numbers(name)
        if last.get(_template(name), ()) > numbers:
            return False
        last[_template(name)] = numbers
    return True
