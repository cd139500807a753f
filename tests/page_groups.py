"""Which test file runs which pages: each of them takes about as long, because a worker runs whole files."""

from __future__ import annotations

from collections.abc import Sequence

from page_blocks import ROOT, blocks_of, name_of, pages

TUTORIALS = ("docs/tutorials/",)
HOW_TO_NETWORKS = tuple(
    f"docs/how-to/{name}.md"
    for name in ("accuracy", "convert", "diagnose", "forms", "hugging-face", "int8", "migrate", "own-network")
)
HOW_TO_RUNNING = tuple(
    name_of(page) for page in pages() if page.parent.name == "how-to" and name_of(page) not in HOW_TO_NETWORKS
)
HOME = (
    "README.md",
    "docs/index.md",
    "docs/quickstart.md",
    "docs/performance.md",
    "docs/reference/",
    "docs/explanation/",
)


def runnable(group: Sequence[str]) -> list[str]:
    """The pages of a group with a block that is run.

    Args:
        group: what the names of its pages begin with.
    """
    names = [name_of(page) for page in pages() if name_of(page).startswith(tuple(group))]
    return [name for name in names if any(block.runs for block in blocks_of((ROOT / name).read_text("utf-8")))]
