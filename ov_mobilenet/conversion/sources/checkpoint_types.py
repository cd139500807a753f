"""Stand-ins for harmless types that training scripts store beside the weights: options, paths, metrics.

`torch.load(weights_only=True)` refuses every type that it does not know. These are replaced by objects that ignore
their content, so that nothing of the named types is created and no code of theirs runs.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

# As they are named in a pickle; the modules of pathlib and numpy have other names in some versions.
_HARMLESS = (
    "argparse.Namespace",
    *(
        f"{module}.{name}"
        for module in ("pathlib", "pathlib._local")
        for name in ("Path", "PurePath", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")
    ),
    "numpy.dtype",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
)


class _Ignored:
    """An object that accepts and discards any content."""

    def __new__(cls, *arguments: Any, **options: Any) -> _Ignored:
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _stand_in(name: str) -> type:
    """A class that torch takes for the named one."""
    module, _, own = name.rpartition(".")
    return type(own, (_Ignored,), {"__module__": module, "__qualname__": own})


_STAND_INS = tuple(map(_stand_in, _HARMLESS))


def harmless_types() -> AbstractContextManager[Any]:
    """While it is entered, `torch.load(weights_only=True)` reads files that hold these types."""
    import torch

    context: AbstractContextManager[Any] = torch.serialization.safe_globals(list(_STAND_INS))
    return context
