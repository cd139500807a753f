"""Which tensor of a checkpoint is which of ours, when the keys differ: by shape and order, or not at all.

Modules are matched, not single tensors: `weight`, `bias`, `running_mean` and `running_var` of one batch norm have
the same shape, and only their names tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Shapes = Mapping[str, tuple[int, ...]]
Signature = tuple[tuple[str, tuple[int, ...]], ...]
COUNTER = "num_batches_tracked"


class AmbiguousKeysError(Exception):
    """The shapes fit, and still two modules could be taken for each other; says which."""


def match_keys(given: Shapes, wanted: Shapes, *, in_order: bool) -> dict[str, str] | None:
    """The given key for each wanted one, counters left out; None if the modules' shapes differ.

    Modules of one shape are told apart by their place: all modules stand in the file in the order in which data
    flows through them, or the names of those of one shape differ only in numbers, which count the place.

    Args:
        given: shapes by key, in the order of the file.
        wanted: shapes by key, in the order in which data flows.
        in_order: whether the file keeps the order in which the module was defined (safetensors does not).

    Raises:
        AmbiguousKeysError: neither holds.
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
    """Whether modules of one template stand in the order of their numbers; sorted by name, 10 comes before 2."""
    last: dict[str, tuple[int, ...]] = {}
    for name in names:
        numbers = _numbers(name)
        if last.get(_template(name), ()) > numbers:
            return False
        last[_template(name)] = numbers
    return True
