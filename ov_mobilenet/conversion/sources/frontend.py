"""What all frontends share: calling OpenVINO's converter and choosing the input and the output."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.errors import ConversionError

if TYPE_CHECKING:
    import openvino as ov


def convert_file(path: Path, beside: Iterable[str] = ()) -> ov.Model:
    """The network of a file or folder.

    Args:
        beside: further files that it reads, relative to its folder.

    Raises:
        ConversionError: OpenVINO cannot read it.
    """
    with path_without_commas(path, beside) as plain:
        return run_converter(plain, path)


@contextmanager
def path_without_commas(path: Path, beside: Iterable[str] = ()) -> Iterator[Path]:
    """A path of the same file or folder without commas, at which OpenVINO's converters split: a link, if need be."""
    if "," not in str(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="ov-mobilenet-") as folder:
        network = Path(folder) / path.name.replace(",", "_")
        try:
            network.symlink_to(path.absolute(), target_is_directory=path.is_dir())
            for name in beside:  # copied: OpenVINO follows no link out of the network's folder
                copy = Path(folder) / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path.parent / name, copy)
        except OSError as error:
            raise ConversionError(
                "OpenVINO takes a comma in a path for the end of it", where=path, expected="a path without commas",
                got=f"no link or copy could be made ({error.strerror})",
            ) from error  # fmt: skip
        yield network


def run_converter(network: Any, path: Path, **options: Any) -> ov.Model:
    """`openvino.convert_model` with its errors made short. Raises: ConversionError."""
    import openvino as ov
    from openvino.frontend import (
        GeneralFailure,
        InitializationFailure,
        NotImplementedFailure,
        OpConversionFailure,
        OpValidationFailure,
    )
    from openvino.tools.ovc.error import BasicError

    root = logging.getLogger()
    level, filters, handlers = root.level, list(root.filters), list(root.handlers)
    try:
        return ov.convert_model(network, **options)
    except (
        GeneralFailure,
        InitializationFailure,
        NotImplementedFailure,
        OpConversionFailure,
        OpValidationFailure,
        BasicError,
        RuntimeError,
        ValueError,
        TypeError,
        OSError,
    ) as error:
        raise unreadable(path, error) from error
    finally:
        # A conversion that fails leaves the caller's root logger at OpenVINO's own level and handlers.
        root.setLevel(level)
        root.filters[:], root.handlers[:] = filters, handlers


def unreadable(path: Path, error: BaseException) -> ConversionError:
    """OpenVINO's report of many lines as one; operations it could not convert are named."""
    text = str(error)
    failed = sorted(set(re.findall(r"^-- (\S+) with a message", text, re.MULTILINE)))
    missing = re.findall(r"No conversion rule found for operations?:? ([^\n]+)", text)
    if failed or missing:
        reason = "operations that OpenVINO cannot convert: " + ", ".join(failed + missing)
    else:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        # The first lines say where in OpenVINO's sources it happened; the last says what it was.
        reason = (lines[-1] if lines else type(error).__name__)[:300]
    return ConversionError(f"OpenVINO cannot read the network ({reason})", where=path)
