"""IR files: write them whole, read them safely, and tell two of them apart."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import IrError
from ov_mobilenet.ir.ports import check_input
from ov_mobilenet.ir.record import IrRecord, read_record

if TYPE_CHECKING:
    import openvino as ov


@dataclass(frozen=True)
class OpenedIr:
    """An IR that was read.

    Attributes:
        record: the record of ov-mobilenet; None for an IR of other tools.
    """

    xml: Path
    network: ov.Model
    record: IrRecord | None


def open_ir(xml: Path) -> OpenedIr:
    """Read an IR and its record. Raises: IrError, as `read_ir` and `read_record`."""
    network = read_ir(xml)
    return OpenedIr(xml, network, read_record(network, xml))


def save_ir(model: ov.Model, xml: Path) -> None:
    """Write `xml` and the `.bin` beside it; both appear complete or not at all.

    Both are written in a temporary folder beside the target. The old `.xml` goes first and the new one comes last,
    so whenever there is an `.xml`, its `.bin` is the right one. Processes that write the same IR with the same
    options write the same bytes and do not disturb each other; with other options they need other folders.

    Raises:
        OSError: the disk is full, the folder read-only.
    """
    import openvino as ov

    xml.parent.mkdir(parents=True, exist_ok=True)
    binary = xml.with_suffix(".bin")
    folder = Path(tempfile.mkdtemp(prefix=f".{xml.stem}.", dir=xml.parent))
    try:
        # Weights are compressed by halve_weights: OpenVINO's own compression rounds mean and scale as well.
        ov.save_model(model, folder / xml.name, compress_to_fp16=False)
        xml.unlink(missing_ok=True)
        (folder / binary.name).replace(binary)
        (folder / xml.name).replace(xml)
    except RuntimeError as error:
        raise OSError(f"{xml}: cannot be written ({str(error).strip().splitlines()[-1]})") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_ir(xml: Path) -> ov.Model:
    """Read an IR.

    Raises:
        IrError: a file is missing, truncated or no IR, or the network does not take images.
    """
    import openvino as ov

    binary = xml.with_suffix(".bin")
    if not xml.is_file():
        raise IrError("no such IR", where=xml, expected="an .xml file")
    if not binary.is_file():
        raise IrError("the weights are missing", where=xml, expected=binary)
    try:
        network = ov.Core().read_model(xml, binary)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise IrError(f"not a readable IR ({reason})", where=xml, fix="Convert the model again") from error
    check_input(network, xml)
    return network


def ir_digest(xml: Path) -> str:
    """SHA-256 over an IR's `.xml` and then its `.bin`, in hexadecimal digits."""
    digest = hashlib.sha256(xml.read_bytes())
    weights = xml.with_suffix(".bin")
    if weights.is_file():
        digest.update(weights.read_bytes())
    return digest.hexdigest()
