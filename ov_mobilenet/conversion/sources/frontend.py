"""Call OpenVINO's converter, for all frameworks."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.errors import ConversionError

if TYPE_CHECKING:
    import openvino as ov

# The function of OpenVINO that loads a file as a torch program, the threads in which it does nothing, and OpenVINO's
# own while it is replaced.
_LOADS_PROGRAMS = "get_pytorch_decoder_for_model_on_disk"
_converting: set[int] = set()
_replaced: list[Callable[..., Any]] = []
_replacing = threading.Lock()


def convert_file(path: Path, beside: Iterable[str] = ()) -> ov.Model:
    """Convert a network file or folder.

    Args:
        beside: further files that the network refers to, relative to its folder.

    Raises:
        ConversionError: OpenVINO cannot read it.
    """
    with path_without_commas(path, beside) as plain:
        return run_converter(plain, path)


def read_unoptimised(path: Path, beside: Iterable[str] = ()) -> ov.Model:
    """Read a network file or folder as its frontend does, without the optimisations of a conversion.

    Args:
        beside: as for `convert_file`.

    Raises:
        ConversionError: OpenVINO cannot read it.
    """
    import openvino as ov

    with path_without_commas(path, beside) as plain:
        try:
            return ov.Core().read_model(plain)
        except RuntimeError as error:
            raise unreadable(path, error) from error


@contextmanager
def path_without_commas(path: Path, beside: Iterable[str] = ()) -> Iterator[Path]:
    """A path that OpenVINO reads to the same file or folder: without commas, with a lower-case ending.

    Its converters split paths at commas, and its frontends know files by their ending.
    """
    ending = path.suffix if path.is_file() else ""
    if "," not in str(path) and ending == ending.lower():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="ov-mobilenet-") as folder:
        network = Path(folder) / (path.name.replace(",", "_").removesuffix(ending) + ending.lower())
        try:
            network.symlink_to(path.absolute(), target_is_directory=path.is_dir())
            for name in beside:  # copied: OpenVINO does not follow links that lead out of the network's folder
                copy = Path(folder) / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path.parent / name, copy)
        except OSError as error:
            raise ConversionError(
                "OpenVINO cannot read a path that contains a comma", where=path, expected="a path without commas",
                got=f"a link or copy without commas could not be made ({error.strerror})",
            ) from error  # fmt: skip
        yield network


def run_converter(network: Any, path: Path, **options: Any) -> ov.Model:
    """Call `openvino.convert_model` and shorten its errors. Raises: ConversionError."""
    from openvino.frontend import (
        GeneralFailure,
        InitializationFailure,
        NotImplementedFailure,
        OpConversionFailure,
        OpValidationFailure,
    )

    # `classify` may have imported openvino without it, see `cli.early_openvino`.
    from openvino.tools.ovc import convert_model
    from openvino.tools.ovc.error import BasicError

    root = logging.getLogger()
    level, filters, handlers = root.level, list(root.filters), list(root.handlers)
    try:
        with _without_torch(network):
            model = convert_model(network, **options)
        _read_names(model)
        return model
    except UnicodeDecodeError as error:
        raise ConversionError("a name in the network is not valid UTF-8", where=path) from error
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
        # A failed conversion leaves the level and the handlers of OpenVINO on the root logger.
        root.setLevel(level)
        root.filters[:], root.handlers[:] = filters, handlers


@contextmanager
def _without_torch(network: Any) -> Iterator[None]:
    """Keep OpenVINO from trying to load a file as a TorchScript or exported torch program: no file here is one.

    Where torch is installed, OpenVINO 2025.2 tries this with every file: it imports torch and torch prints a traceback.
    Only in this thread: others may convert torch programs with OpenVINO at the same time.
    """
    from openvino.tools.ovc import convert_impl

    if not isinstance(network, Path) or not hasattr(convert_impl, _LOADS_PROGRAMS):
        yield
        return
    thread = threading.get_ident()
    with _replacing:
        if not _converting:
            own = getattr(convert_impl, _LOADS_PROGRAMS)
            _replaced.append(own)
            setattr(
                convert_impl, _LOADS_PROGRAMS, lambda *given: threading.get_ident() not in _converting and own(*given)
            )
        _converting.add(thread)
    try:
        yield
    finally:
        with _replacing:
            _converting.discard(thread)
            if not _converting:
                setattr(convert_impl, _LOADS_PROGRAMS, _replaced.pop())


def _read_names(model: ov.Model) -> None:
    """Read all names once: OpenVINO accepts names that Python cannot read. Raises: UnicodeDecodeError."""
    for operation in model.get_ops():
        operation.get_friendly_name()
        for port in operation.outputs():
            port.get_names()


def unreadable(path: Path, error: BaseException) -> ConversionError:
    """An error with OpenVINO's reason in one line, including the operations that it cannot convert."""
    text = str(error)
    failed = sorted(set(re.findall(r"^-- (\S+) with a message", text, re.MULTILINE)))
    missing = re.findall(r"No conversion rule found for operations?:? ([^\n]+)", text)
    if failed or missing:
        reason = "operations that OpenVINO cannot convert: " + ", ".join(failed + missing)
    else:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        # The first lines are places in OpenVINO's sources; the last line is the reason.
        reason = (lines[-1] if lines else type(error).__name__)[:300]
    return ConversionError(f"OpenVINO cannot read the network ({reason})", where=path)
