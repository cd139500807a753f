"""A network as a library defines it: the name of the architecture in that library, and the arguments that change it."""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

from ov_mobilenet.errors import UsageError

Library = Literal["timm", "transformers"]
LIBRARIES: tuple[Library, ...] = get_args(Library)
Argument = bool | int | float | str


class LibraryNetwork(Struct, frozen=True, kw_only=True):
    """A network of timm or transformers; weights alone do not tell its padding, epsilon and activation.

    Attributes:
        architecture: its name in the library: timm's `architecture`, such as `mobilenetv4_conv_small`, or
            transformers' `model_type`, `mobilenet_v1` or `mobilenet_v2`.
        classes: number of classes.
        arguments: those of the library's configuration that change the network, by their names there; what is missing
            has the library's default.
    """

    library: Library
    architecture: str
    classes: int
    arguments: dict[str, Argument] = {}

    @property
    def name(self) -> str:
        """The name in a description: `timm/mobilenetv4_conv_small`."""
        return f"{self.library}/{self.architecture}"


def is_library_name(name: str) -> bool:
    """Whether the architecture in a description belongs to a library: `timm/…` or `transformers/…`."""
    return "/" in name


def parse_library_name(name: str) -> tuple[Library, str]:
    """The library and the architecture of a name such as `timm/mobilenetv2_100`. Raises: UsageError."""
    library, _, architecture = name.partition("/")
    for known in LIBRARIES:
        if library == known and architecture:
            return known, architecture
    raise UsageError(
        "unknown library of an architecture", expected=" or ".join(f"{k}/NAME" for k in LIBRARIES), got=name
    )
