"""References to Hugging Face repositories: `hf:OWNER/NAME[@REVISION][/FILE]`."""

from __future__ import annotations

import re
from typing import Literal, get_args

from msgspec import Struct

from ov_mobilenet.errors import UsageError

PREFIX = "hf:"
SizeProtocol = Literal["train", "test"]
SIZE_PROTOCOLS: tuple[SizeProtocol, ...] = get_args(SizeProtocol)
# Names as the hub allows them. A revision is a branch, a tag or a commit; one with a slash, such as refs/pr/1, has
# %2F in its place, because the rest is a file.
_REFERENCE = re.compile(
    r"hf:(?P<owner>[\w.-]{1,96})/(?P<name>[\w.-]{1,96})(?:@(?P<revision>[\w.%-]{1,255}))?(?:/(?P<file>[^\\:*?\"<>|\x00-\x1f]{1,500}))?",
    re.ASCII,
)


def check_size_protocol(size: SizeProtocol, where: object) -> None:
    """Refuse the test protocol for what is not in timm's format, which alone states one. Raises: UsageError."""
    if size != "train":
        raise UsageError(
            f"--size {size} is for Hugging Face repositories in timm's format", where=where,
            fix="Leave --size out. The size of a network of your own is given with convert --source and --input-shape",
        )  # fmt: skip


class HubReference(Struct, frozen=True, kw_only=True):
    """A repository, or one file of it.

    Attributes:
        repository: OWNER/NAME.
        revision: branch, tag or commit; None for the main branch.
        file: path in the repository, with `/`; None for the file that fits.
    """

    repository: str
    revision: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        revision = f"@{self.revision.replace('/', '%2F')}" if self.revision else ""
        return f"{PREFIX}{self.repository}{revision}" + (f"/{self.file}" if self.file else "")


def is_hub_reference(model: object) -> bool:
    """Whether a MODEL is a reference to a repository."""
    return str(model).startswith(PREFIX)


def parse_hub_reference(text: str) -> HubReference:
    """Parse a reference. Raises: UsageError."""
    match = _REFERENCE.fullmatch(text)
    parts = [] if match is None else (match["file"] or "").split("/")
    if match is None or ".." in parts or "." in parts or (match["file"] and "" in parts):
        raise UsageError(
            "invalid reference to a Hugging Face repository", expected="hf:OWNER/NAME[@REVISION][/FILE]", got=repr(text)
        )
    revision = match["revision"]
    return HubReference(
        repository=f"{match['owner']}/{match['name']}",
        revision=revision.replace("%2F", "/") if revision else None,
        file=match["file"],
    )
