"""Matching tensors with other keys by shape and order."""

from __future__ import annotations

import pytest

from ov_mobilenet.conversion.sources.key_matching import AmbiguousKeysError, match_keys


def module(name: str, *shape: int, bias: bool = False) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape} | ({f"{name}.bias": shape[:1]} if bias else {})


def norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    leaves = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{leaf}": (channels,) for leaf in leaves} | {f"{name}.num_batches_tracked": ()}


OURS = {
    **module("features.0.0", 8, 3, 3, 3), **norm("features.0.1", 8),
    **module("features.1.0", 8, 8, 1, 1), **norm("features.1.1", 8),
    **module("features.2.0", 8, 8, 1, 1), **norm("features.2.1", 8),
    **module("classifier.1", 5, 8, bias=True),
}  # fmt: skip
MODULES = [key.removesuffix(".weight") for key in OURS if key.endswith(".weight")]


def renamed(*names: str, order: list[int] | None = None) -> dict[str, tuple[int, ...]]:
    """The same shapes under other module names, in the order `order` in the file."""
    there = dict(zip(MODULES, names, strict=True))
    blocks = [
        {f"{there[m]}.{key.rpartition('.')[2]}": s for key, s in OURS.items() if key.startswith(m + ".")}
        for m in MODULES
    ]
    found: dict[str, tuple[int, ...]] = {}
    for index in order or range(len(blocks)):
        found |= blocks[index]
    return found


def test_modules_of_one_shape_are_matched_by_their_order_in_the_file() -> None:
    given = renamed("stem", "stem_norm", "first", "first_norm", "second", "second_norm", "head")
    keys = match_keys(given, OURS, in_order=True)
    assert keys is not None
    assert keys["features.1.0.weight"] == "first.weight"
    assert keys["features.2.0.weight"] == "second.weight"
    assert keys["features.2.1.running_var"] == "second_norm.running_var"
    assert keys["classifier.1.bias"] == "head.bias"
    assert not any("num_batches_tracked" in key for key in keys)


def test_without_an_order_ambiguous_names_are_refused() -> None:
    given = renamed("stem", "stem_norm", "first", "first_norm", "second", "second_norm", "head")
    with pytest.raises(AmbiguousKeysError, match=r"first\S* and \S+ have the same shapes"):
        match_keys(given, OURS, in_order=False)


def test_without_an_order_numbers_in_names_are_compared_as_numbers() -> None:
    names = ("s.conv", "n.2", "b.9.conv", "n.9", "b.10.conv", "n.10", "head")
    by_name = sorted(range(7), key=lambda index: names[index])  # 10 before 9, as safetensors stores it
    keys = match_keys(renamed(*names, order=by_name), OURS, in_order=False)
    assert keys is not None
    assert keys["features.1.0.weight"] == "b.9.conv.weight"
    assert keys["features.2.0.weight"] == "b.10.conv.weight"
    assert [keys[f"features.{i}.1.bias"] for i in range(3)] == ["n.2.bias", "n.9.bias", "n.10.bias"]


def test_a_file_sorted_by_name_is_not_in_order() -> None:
    # The sequence of shapes fits by chance, but 10 stands before 9: sorted by name, not as the module was defined.
    names = ("a", "b.0", "c.10", "b.10", "c.9", "b.9", "z")
    keys = match_keys(renamed(*names), OURS, in_order=True)
    assert keys is not None
    assert keys["features.1.0.weight"] == "c.9.weight"


@pytest.mark.parametrize(
    "change",
    [
        {"stem.weight": (8, 3, 5, 5)},
        {"extra.weight": (1, 1)},
        {"head.bias": (6,)},
    ],
)
def test_other_shapes_do_not_match(change: dict[str, tuple[int, ...]]) -> None:
    given = renamed("stem", "n.1", "b.1", "n.2", "b.2", "n.3", "head") | change
    assert match_keys(given, OURS, in_order=True) is None
