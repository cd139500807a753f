"""How far a diagnosis is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ov_mobilenet.inputs.image_subset import OnProgress

OnStage = Callable[[str, int, int], None]
"""Called with the name of a stage, the number of its steps that are done, and the number of all its steps."""


def steps_of(on_stage: OnStage | None, stage: str) -> OnProgress | None:
    """A function to call with the steps of one stage that are done, and all of them."""
    return None if on_stage is None else functools.partial(on_stage, stage)
