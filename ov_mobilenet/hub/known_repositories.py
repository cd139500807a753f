"""The MobileNets that timm and Google publish on Hugging Face, from a table in this package.

`tools/generate_hub_table.py` writes the table. Other repositories, such as fine-tuned networks, convert as well.
"""

from __future__ import annotations

import difflib
import fnmatch
import glob
from pathlib import Path

import msgspec

from ov_mobilenet.argument_types import checked
from ov_mobilenet.errors import UnknownModelError
from ov_mobilenet.zoo.hub_reference import PREFIX
from ov_mobilenet.zoo.library_network import Library

_TABLE = Path(__file__).with_name("known_repositories.json")


class KnownRepository(msgspec.Struct, frozen=True, kw_only=True):
    """A repository, as it was published when the table was written.

    Attributes:
        library: the library that published it.
        classes: number of classes.
        license: the licence that the repository states.
        repository: OWNER/NAME.
        architecture: its name in the library.
        size: height and width of the input in pixels, as the network was trained.
        test_size: the size that the publisher tests it with, which `--size test` takes.
        mean, std: normalisation of RGB values 0..1.
        mparams: millions of parameters.
        top1, test_top1: published ImageNet accuracy at `size` and at `test_size`, in [0, 1]; None if not published.
    """

    repository: str
    library: Library
    architecture: str
    size: int
    test_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    mparams: float
    top1: float | None
    test_top1: float | None
    classes: int
    license: str

    @property
    def reference(self) -> str:
        """The repository as a MODEL: `hf:OWNER/NAME`."""
        return PREFIX + self.repository


@checked
def list_repositories(*patterns: str) -> list[KnownRepository]:
    """The known repositories that match any of the wildcards (all if none is given), in the order of the table.

    Args:
        patterns: shell wildcards for `hf:OWNER/NAME`, `OWNER/NAME` or NAME.

    Raises:
        UnknownModelError: a pattern matches nothing.
    """
    known = msgspec.json.decode(_TABLE.read_bytes(), type=list[KnownRepository])
    matching = {pattern: [one for one in known if _matches(one, pattern)] for pattern in patterns or ("*",)}
    for pattern, found in matching.items():
        if not found:
            raise _unknown(pattern, known)
    return [one for one in known if any(one in found for found in matching.values())]


def _matches(one: KnownRepository, pattern: str) -> bool:
    names = (one.reference, one.repository, one.repository.partition("/")[2])
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


def _unknown(pattern: str, known: list[KnownRepository]) -> UnknownModelError:
    names = [one.repository.partition("/")[2] for one in known]
    close = [] if glob.has_magic(pattern) else difflib.get_close_matches(pattern.rpartition("/")[2], names, n=2)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    return UnknownModelError(
        f"no known repository matches {pattern!r}",
        fix=f"{hint}Run `ov-mobilenet list --hub` to see all of them; others are converted too: hf:OWNER/NAME",
    )
