"""`checked`: the spellings of annotations that it reads, and the functions that it leaves as they are."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, overload

import pytest

from ov_mobilenet.argument_types import check_types, checked
from ov_mobilenet.errors import UsageError

V = TypeVar("V")
WORDS = {
    "int": 1,
    "text": "a",
    "none": None,
    "path": Path("x"),
    "number": 0.5,
    "flag": True,
    "list": [1],
    "pair": (1, 2),
}


@pytest.mark.parametrize(
    ("annotation", "accepted"),
    [
        ("int | None", {"int", "none"}),
        ("None | int", {"int", "none"}),
        ("int|None", {"int", "none"}),
        ("str | Path | None", {"text", "path", "none"}),
        ("bool", {"flag"}),
        ("float", {"int", "number"}),
        ("Literal['a', 'b'] | None", {"text", "none"}),
        ('Literal["b|c", "a"]', {"text"}),
        ("tuple[int, ...] | None", {"list", "pair", "none"}),
        ("tuple[int, int | None]", {"pair"}),
        ("str | Iterable[int | str] | None", {"text", "list", "pair", "none"}),
        ("Unknown | None", set(WORDS)),  # what is not known is not checked
        ("int | Unknown", set(WORDS)),
    ],
)
def test_spellings_of_annotations(annotation: str, accepted: set[str]) -> None:
    def takes(value: object) -> bool:
        try:
            check_types({"value": value}, {"value": annotation})
        except UsageError as error:
            assert "invalid value" in str(error)
            return False
        return True

    assert {name for name, value in WORDS.items() if takes(value)} == accepted


class Box(Generic[V]):
    """A generic class with overloads; both are declared in front of the function that is checked."""

    @checked
    def __init__(self, size: int = 1) -> None:
        self.size = size

    @overload
    def put(self, name: str, value: V) -> str: ...
    @overload
    def put(self: Box[Any], name: str) -> str: ...
    @checked
    def put(self, name: str, value: object = None) -> str:
        return f"{name}={value}"


def test_methods_of_generic_classes_with_overloads() -> None:
    box = Box[int](size=2)
    assert (box.size, box.put("a"), box.put("a", 1), box.put(name="a", value=2)) == (2, "a=None", "a=1", "a=2")
    assert list(inspect.signature(Box.put).parameters) == ["self", "name", "value"]
    wrong: Any = box
    for arguments, options in (((1,), {}), ((1, 2), {}), ((), {"name": 1}), ((), {"value": 3, "name": None})):
        with pytest.raises(UsageError, match="invalid name: expected text, got"):
            wrong.put(*arguments, **options)
    with pytest.raises(UsageError, match="invalid size: expected an integer, got 'x'"):
        Box[int]("x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="positional argument"):  # Python's own error stays
        wrong.put()


def test_positional_only_and_collected_arguments_are_left_alone() -> None:
    @checked
    def call(first: int, *rest: int, mode: Literal["x"] = "x", **more: int) -> tuple[object, ...]:
        return first, rest, mode, more

    assert call(1, 2, 3, mode="x", other=4) == (1, (2, 3), "x", {"other": 4})
    with pytest.raises(UsageError, match="invalid mode: expected 'x', got 'y'"):
        call(1, mode="y")  # type: ignore[arg-type]


def test_a_list_that_can_be_read_once_is_not_read() -> None:
    @checked
    def call(values: Iterable[int]) -> list[int]:
        return list(values)

    assert call(iter([1, 2])) == [1, 2]
