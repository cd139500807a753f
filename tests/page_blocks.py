"""The fenced blocks of a Markdown page, and what the comment above each says.

A block runs unless a comment above it says otherwise:

    <!-- not run: REASON -->       only its commands are parsed
    <!-- in the background -->     a shell block that goes on until the end of the page, as in a second terminal
    <!-- continues -->             a Python block that uses the names of the Python blocks above it
    <!-- exit code: N -->          a shell block whose last command ends so
    <!-- figures vary -->          an output whose digits are not compared
    <!-- with stderr -->           a shell block whose output has what it prints on stderr too, as on a terminal

A block with `title="FILE"` is written to FILE and not run: a later block uses it. A `text` block directly below a block
that runs is what it prints; a line `…` in it stands for any lines, `…` in a line for any text. Other languages (`yaml`,
`json`, …) need a title or `<!-- not run: … -->`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
RUN = ("sh", "python")
_MARK = re.compile(r"<!-- (not run: .+|in the background|continues|exit code: \d+|figures vary|with stderr) -->")
_BLOCK = re.compile(
    r"(?P<marks>(?:^[ ]*<!-- [^\n]* -->\n)*)"
    r"^(?P<indent>[ ]*)```(?P<language>[\w+-]*)(?P<settings>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: as in the page: `sh`, `python`, `text`, `yaml`, …
        line: number of its first line in the page, 1 is the first.
        marks: the comments above it that are listed above.
        file: what it is written to; None if it has no title.
        printed: the `text` block directly below it; None if there is none.
        figures_vary: whether the digits of `printed` are not compared.
    """

    language: str
    text: str
    line: int
    marks: tuple[str, ...] = ()
    file: str | None = None
    printed: str | None = None
    figures_vary: bool = False

    @property
    def runs(self) -> bool:
        """Whether the block is run, and not only written to a file or parsed."""
        return self.language in RUN and self.file is None and not self.reason

    @property
    def reason(self) -> str:
        """Why it is not run; empty if it is."""
        return next((mark.partition(": ")[2] for mark in self.marks if mark.startswith("not run: ")), "")

    @property
    def exit_code(self) -> int:
        """What a shell block ends with."""
        return next((int(mark.rpartition(" ")[2]) for mark in self.marks if mark.startswith("exit code")), 0)


def pages() -> list[Path]:
    """README.md and every page of docs."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """The path of a page from the root of the repository, such as `docs/quickstart.md`."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(text: str) -> list[Block]:
    """The blocks of a page, outputs as part of the blocks that print them.

    Raises:
        ValueError: a comment above a block that is none of those listed above.
    """
    found: list[Block] = []
    end = 0
    for match in _BLOCK.finditer(text):
        marks = tuple(_MARK.findall(match["marks"]))
        line = text.count("\n", 0, match.start("language")) + 1
        content = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        follows = not text[end : match.start()].strip()
        end = match.end()
        if match["language"] == "text" and follows and found and found[-1].runs and found[-1].printed is None:
            found[-1] = replace(found[-1], printed=content, figures_vary="figures vary" in marks)
            continue
        title = _TITLE.search(match["settings"])
        found.append(Block(match["language"], content, line, marks, title[1] if title else None))
    if unknown := [
        mark for mark in re.findall(r"^ *<!-- (.*?) -->\n *```", text, re.M) if not _MARK.fullmatch(f"<!-- {mark} -->")
    ]:
        raise ValueError(f"no such mark above a block: {unknown[0]!r}")
    return found
