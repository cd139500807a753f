"""Reference accuracies: the published ones of a description, or those of an earlier measurement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from ov_mobilenet.accuracy.metrics import TOP_K
from ov_mobilenet.accuracy.report import AccuracyReport
from ov_mobilenet.errors import AccuracyError, DatasetError, UsageError
from ov_mobilenet.resolve import Lookup, find_description
from ov_mobilenet.zoo.hub_reference import is_hub_reference

if TYPE_CHECKING:
    from ov_mobilenet.ir.record import IrRecord
    from ov_mobilenet.zoo.model import ModelConfig

NO_OPTIONS = Lookup()
PUBLISHED = "published"
# Fractions of images differ by at least 1 / images, so 1e-9 allows for rounding errors only.
ROUNDING = 1e-9


class ReferenceAccuracy(NamedTuple):
    """Top-1 and top-5 accuracy as fractions in [0, 1]; None where unknown."""

    top1: float | None
    top5: float | None


class _StoredAccuracy(Struct, frozen=True):
    top1: float
    top5: float | None = None


def read_reference(path: Path) -> ReferenceAccuracy:
    """Read top-1 and top-5 from the JSON report of an earlier measurement.

    Raises:
        DatasetError: the file cannot be read, or holds no top-1.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_StoredAccuracy)
    except OSError as error:
        raise DatasetError("cannot read the reference", where=path, got=error.strerror or error) from error
    except msgspec.DecodeError as error:
        raise DatasetError(
            f"not an accuracy report ({error})", where=path, expected="the output of `accuracy --format json`"
        ) from error
    return ReferenceAccuracy(found.top1, found.top5)


def published_accuracy(model: str | Path, record: IrRecord | None, lookup: Lookup = NO_OPTIONS) -> ReferenceAccuracy:
    """Return the accuracy that the model's description publishes.

    The accuracy-check.yml takes precedence over the model.yml, because its figures were measured by the same protocol.
    An IR has the published accuracy of the description it was converted from, if that is in the zoo and unchanged.

    Args:
        record: the record of the model's IR.

    Raises:
        OvMobilenetError: the description cannot be read.
    """
    config = description_of(model, record, lookup)
    if config is None:
        return ReferenceAccuracy(None, None)
    check, details = config.accuracy_check, config.details.accuracy
    if check is not None:
        found = ReferenceAccuracy(check.reference(1), check.reference(TOP_K))
        if found != (None, None):
            return found
    return ReferenceAccuracy(None, None) if details is None else ReferenceAccuracy(details.top1, details.top5)


def description_of(model: str | Path, record: IrRecord | None, lookup: Lookup = NO_OPTIONS) -> ModelConfig | None:
    """Return the description of a MODEL; None for an IR whose description is not in the zoo, or has changed since.

    Args:
        record: the record of the model's IR.

    Raises:
        OvMobilenetError: the description cannot be read.
    """
    from ov_mobilenet.zoo.registry import find_config, find_folders

    if Path(model).suffix != ".xml" or is_hub_reference(model):
        return find_description(model, lookup)
    if record is None or record.config_name not in find_folders(config_dirs=lookup.config_dirs):
        return None
    config = find_config(record.config_name, config_dirs=lookup.config_dirs)
    return config if config.digest == record.config_digest else None


def required_published_accuracy(
    model: str | Path, record: IrRecord | None, lookup: Lookup = NO_OPTIONS
) -> ReferenceAccuracy:
    """Return the published accuracy. Raises: UsageError, if none is known; otherwise as `published_accuracy`."""
    found = published_accuracy(model, record, lookup)
    if found.top1 is None:
        raise UsageError(
            "no published accuracy is known", where=model,
            expected="a model whose description publishes one, or an IR converted from such a model of the zoo",
            fix="Give the zoo name or the model.yml, or the JSON report of an earlier measurement",
        )  # fmt: skip
    return found


def check_accuracy(
    report: AccuracyReport,
    *,
    min_top1: float | None = None,
    reference: tuple[float | None, float | None] | None = None,
    tolerance: float = 0.01,
) -> None:
    """Check a measured accuracy against a minimum and a reference.

    Args:
        min_top1: minimum top-1, a fraction.
        reference: expected top-1 and top-5; None is not checked.
        tolerance: allowed difference from the reference, up or down: an accuracy above the reference points to a wrong
            dataset or to a mistake, too.

    Raises:
        AccuracyError: a check fails; the message lists all that fail.
    """
    failed = []
    if min_top1 is not None and report.top1 < min_top1:
        failed.append((f"top-1 of at least {min_top1:.4f}", f"{report.top1:.4f}"))
    for name, measured, wanted in zip(("top-1", "top-5"), (report.top1, report.top5), reference or (), strict=False):
        if wanted is not None and abs(measured - wanted) > tolerance + ROUNDING:
            failed.append((f"{name} within {tolerance:g} of {wanted:.4f}", f"{measured:.4f}"))
    if failed:
        raise AccuracyError(
            "the accuracy check failed", where=report.model,
            expected=", ".join(text for text, _ in failed), got=", ".join(text for _, text in failed),
        )  # fmt: skip
