"""Read and identify the files of an IR."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.downloads.locks import folder_locked
from ov_mobilenet.errors import IrError
from ov_mobilenet.ir import file_digest
from ov_mobilenet.ir.ports import check_input
from ov_mobilenet.ir.record import IrRecord, read_record
from ov_mobilenet.ir.saving import unfinished_xml
from ov_mobilenet.ir.trial_reading import Isolation, try_to_read

if TYPE_CHECKING:
    import openvino as ov

WAIT_FOR_WRITER_S = 10.0
_CHARACTER = re.compile(rb"&#([xX][0-9a-fA-F]{1,8}|[0-9]{1,10});")


@dataclass(frozen=True)
class OpenedIr:
    """An IR in memory.

    Attributes:
        record: the record of ov-mobilenet in the IR; None if another tool wrote the IR.
        content: digest of the content of both files; None if the network is not, or no longer, as in the files.
    """

    xml: Path
    network: ov.Model
    record: IrRecord | None
    content: str | None = None


def open_ir(xml: Path, isolation: Isolation = Isolation()) -> OpenedIr:  # noqa: B008 (frozen)
    """Read an IR and its record.

    Args:
        isolation: whether it is read in a child process first.

    Raises:
        IrError: the IR or its record cannot be read, or the record has a newer format version.
    """
    network, content = _read_ir(xml, isolation)
    return OpenedIr(xml, network, read_record(network, xml), content)


def read_ir(xml: Path, isolation: Isolation = Isolation()) -> ov.Model:  # noqa: B008 (frozen)
    """Read an IR.

    Args:
        isolation: whether it is read in a child process first.

    Raises:
        IrError: a file is missing, truncated or not an IR; the `.xml` and the `.bin` are not as ov-mobilenet wrote
            them; reading them crashes, in a child process; or the network does not take images.
        UsageError: the IR must be read in a child process, but the system cannot.
    """
    return _read_ir(xml, isolation)[0]


def _read_ir(xml: Path, isolation: Isolation) -> tuple[ov.Model, str]:
    """The network, and the digest of the content of both files."""
    import openvino as ov

    text, weights, is_ours = _read_pair(xml, xml.with_suffix(".bin"))
    _check_text(text, xml)
    content = file_digest.content_digest(text, weights)
    if isolation.applies(is_ours=is_ours):
        try_to_read(text, weights, xml, isolation.cache_root, content)
    try:
        # Read from memory: these are the bytes whose digest was checked.
        network = ov.Core().read_model(text, weights)
    except (RuntimeError, MemoryError) as error:
        reason = (str(error).strip() or "out of memory").splitlines()[-1][:200]
        raise IrError(f"not a readable IR ({reason})", where=xml, fix="Convert the model again") from error
    check_input(network, xml)
    return network, content


def _read_pair(xml: Path, binary: Path) -> tuple[bytes, bytes, bool]:
    """The contents of both files, as they were written together, and whether a digest proves it. Raises: IrError."""
    text, weights = _read_files(xml, binary)
    if (is_ours := file_digest.matches(text, weights)) is not False:
        return text, weights, is_ours is True
    # Another process may have moved one of its two files at this moment.
    with suppress(OSError), folder_locked(xml.parent, shared=True, limit_s=WAIT_FOR_WRITER_S):
        text, weights = _read_files(xml, binary)
        if (is_ours := file_digest.matches(text, weights)) is not False:
            return text, weights, is_ours is True
        # A process was killed after it moved the first file: the second is still in its temporary folder.
        if (other := unfinished_xml(xml, weights)) is not None:
            return other.read_bytes(), weights, True
    raise IrError(
        "the files of the IR were changed or damaged after they were written, or belong to different conversions",
        where=xml, expected=f"the digest in the last line of {xml.name}",
        got=f"other contents of {xml.name} or {binary.name}", fix="Convert the model again",
    )  # fmt: skip


def _read_files(xml: Path, binary: Path) -> tuple[bytes, bytes]:
    if not xml.is_file():
        raise IrError("no such IR", where=xml, expected="an .xml file")
    if not binary.is_file():
        raise IrError("the weights are missing", where=xml, expected=binary)
    try:
        return xml.read_bytes(), binary.read_bytes()
    except OSError as error:
        raise IrError(f"the IR cannot be read ({error.strerror})", where=error.filename or xml) from error


def _check_text(text: bytes, xml: Path) -> None:
    """Check that all names are valid Unicode: OpenVINO accepts other names, but Python cannot read them.

    Raises:
        IrError: they are not.
    """
    try:
        text.decode()
        for number in _CHARACTER.findall(text):
            code = int(number[1:], 16) if number[:1] in b"xX" else int(number)
            chr(code).encode()
    except (UnicodeError, ValueError, OverflowError) as error:
        raise IrError("a name in the IR is not valid UTF-8", where=xml, fix="Convert the model again") from error


def ir_digest(xml: Path) -> str:
    """SHA-256 of the `.xml` followed by the `.bin`, in hexadecimal."""
    digest = hashlib.sha256(xml.read_bytes())
    weights = xml.with_suffix(".bin")
    if weights.is_file():
        digest.update(weights.read_bytes())
    return digest.hexdigest()
