"""Check the types of arguments at the public functions and classes, by their annotations.

A wrong type is a `UsageError` that names the parameter, instead of a `TypeError` from a library, a crash or a wrong
answer. The annotations are texts (`from __future__ import annotations`) and are never evaluated, so nothing heavy is
imported. Parts that are not in the tables below are not checked.
"""

from __future__ import annotations

import ast
import functools
import numbers
import os
import re
from collections.abc import Callable, Mapping
from inspect import isclass, unwrap
from typing import Any, TypeVar

from ov_mobilenet.errors import UsageError

T = TypeVar("T", bound="Callable[..., Any]")
Check = Callable[[Any], bool]


# Names in annotations, with the check and the words for "expected".
_TYPES: dict[str, tuple[Check, str]] = {
    "None": (lambda value: value is None, "None"),
    "bool": (lambda value: isinstance(value, bool), "True or False"),
    "int": (  # the exact type first: a check against an abstract class takes several times as long
        lambda value: type(value) is int or (isinstance(value, numbers.Integral) and not isinstance(value, bool)),
        "an integer",
    ),
    "float": (
        lambda value: isinstance(value, numbers.Real) and not isinstance(value, bool) and value == value,  # no NaN
        "a number",
    ),
    "str": (lambda value: isinstance(value, str), "text"),
    "Path": (lambda value: isinstance(value, os.PathLike), "a Path"),
}
_TEXTS = (
    "ColorFormat", "DecodeMode", "Deployment", "GpuResource", "HeadActivation", "Hint", "InferencePrecision",
    "InputType", "KserveDevice", "KserveProtocol", "KserveRuntime", "LogFormat", "Mode", "Objective", "OutputContent",
    "PrecisionChoice", "WeightPrecision",
)  # fmt: skip
_FUNCTIONS = ("OnBulkProgress", "OnEvent", "OnFailure", "OnProgress", "OnStage")
_CLASSES = (
    "BulkSettings", "DescribedNetwork", "DeviceSettings", "Failure", "Form", "Geometry", "IrModel", "KserveSettings",
    "LoadedModel", "ModelConfig", "ModelOptimizer", "Normalisation", "Prepared", "Profile", "QuantizeSettings",
    "RaySettings", "Retry", "ServerSettings", "SourceFiles", "Workload",
)  # fmt: skip


def checked(target: T) -> T:
    """Decorate a function, a method or a class: the types of its arguments are checked at each call."""
    if isclass(target):
        setattr(target, "__init__", checked(target.__init__))  # noqa: B010 (a dataclass declares no assignable __init__)
        return target
    function = unwrap(target)
    annotations = {name: str(text) for name, text in function.__annotations__.items() if name != "return"}
    checks = {name: found for name, text in annotations.items() if (found := _check_of(text)) is not None}
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    positional = [(place, checks[name][0]) for place, name in enumerate(names) if name in checks]

    @functools.wraps(target)
    def call(*arguments: Any, **options: Any) -> Any:
        given = len(arguments)
        for place, check in positional:
            if place < given and not check(arguments[place]):
                raise _error(names[place], arguments[place], checks[names[place]][1])
        for name, value in options.items():
            if name in checks and not checks[name][0](value):
                raise _error(name, value, checks[name][1])
        return target(*arguments, **options)

    return call  # type: ignore[return-value]


def check_types(values: Mapping[str, object], kinds: Mapping[str, Any]) -> None:
    """Check values by name.

    Args:
        kinds: annotations, as text or as `ForwardRef`.

    Raises:
        UsageError: a value has another type.
    """
    for name, value in values.items():
        found = _check_of(getattr(kinds[name], "__forward_arg__", None) or str(kinds[name]))
        if found is not None and not found[0](value):
            raise _error(name, value, found[1])


def _error(name: str, value: object, expected: str) -> UsageError:
    shown = repr(value) if value is None or isinstance(value, int | float | str | bytes) else type(value).__name__
    return UsageError(f"invalid {name}", expected=expected, got=shown[:200])


@functools.cache
def _check_of(annotation: str) -> tuple[Check, str] | None:
    """The check for an annotation; None if a part of it cannot be checked."""
    parts = [_check_of_part(part) for part in _split(annotation, "|")]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if len(known) == 1:
        return known[0]
    if len(known) == 2:
        first, second = known[0][0], known[1][0]
        return lambda value: first(value) or second(value), " or ".join(words for _, words in known)
    return lambda value: any(check(value) for check, _ in known), " or ".join(words for _, words in known)


def _check_of_part(part: str) -> tuple[Check, str] | None:
    if part in _TYPES:
        return _TYPES[part]
    if part in _TEXTS:
        return _TYPES["str"]
    if part in _FUNCTIONS or part.startswith("Callable["):
        return callable, "a function"
    if part in _CLASSES:
        return lambda value: part in _class_names(type(value)), part  # type: ignore[arg-type]  # a class is hashable
    name, bracket, inside = part.removesuffix("]").partition("[")
    if not bracket:
        return None
    if name == "Literal":
        choices = ast.literal_eval(f"({inside},)")
        return lambda value: isinstance(value, str) and value in choices, " or ".join(map(repr, choices))
    if name == "InitVar":
        return _check_of(inside)
    item = _check_of(inside) if name in ("Iterable", "Sequence") else None
    if item is not None:
        return lambda value: _is_list(value, item[0]), f"a list, each {item[1]}"
    if name in ("Iterable", "Sequence"):
        return lambda value: hasattr(value, "__iter__") and not isinstance(value, str | bytes), "a list"
    if name == "tuple" and inside.endswith(",..."):
        item = _check_of(inside.removesuffix(",..."))
        if item is not None:
            return (
                lambda value: isinstance(value, tuple | list) and _is_list(value, item[0]),
                f"a tuple, each {item[1]}",
            )
    if name == "tuple":
        items = [_check_of(part) for part in _split(inside, ",")]
        return (
            lambda value: (
                isinstance(value, tuple | list)
                and len(value) == len(items)
                and all(item is None or item[0](each) for item, each in zip(items, value, strict=True))
            ),
            f"a tuple of {len(items)}",
        )
    return None


@functools.lru_cache(256)
def _class_names(kind: type) -> frozenset[str]:
    """The names of a class and of its bases."""
    return frozenset(each.__name__ for each in kind.__mro__)


def _is_list(value: object, check: Check) -> bool:
    """Whether a value can be iterated over; the items of a list or tuple are checked."""
    if isinstance(value, tuple | list):
        return all(map(check, value))
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes | Mapping)


def _split(text: str, separator: str) -> list[str]:
    """Split at a separator that is not in brackets."""
    depth, parts = 0, [""]
    for character in re.sub(r"\s*([|,])\s*", r"\1", text):
        depth += (character in "[(") - (character in "])")
        if character == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
