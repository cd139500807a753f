"""`convert`: from a MODEL, or from downloaded source files, to IRs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.argument_types import checked
from ov_mobilenet.conversion import converter
from ov_mobilenet.conversion.described_network import DescribedNetwork
from ov_mobilenet.conversion.inspection import is_network
from ov_mobilenet.conversion.own_network_files import check_overwritable, described_network, save_described_network
from ov_mobilenet.downloads.fetch import SourceFiles
from ov_mobilenet.errors import AlreadyNormalisedError, UsageError
from ov_mobilenet.ir.form import DESCRIBED_FORM, Form
from ov_mobilenet.resolve import Lookup, LookupOptions, find_description, source_files
from ov_mobilenet.zoo.hub_reference import is_hub_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from ov_mobilenet.conversion.converter import IrModel, WeightPrecision
    from ov_mobilenet.conversion.mo_program import ModelOptimizer
    from ov_mobilenet.ir.trial_reading import Isolation


@checked
def convert(
    model: str | Path | SourceFiles | DescribedNetwork,
    folder: str | Path,
    *,
    precisions: Sequence[WeightPrecision] | None = None,
    form: Form = DESCRIBED_FORM,
    optimizer: ModelOptimizer | None = None,
    **options: Unpack[LookupOptions],
) -> tuple[IrModel, ...]:
    """Convert a model to `folder/PRECISION/NAME.xml` with the normalisation baked in.

    The same sources, options and versions give the same bytes.

    Args:
        model: a zoo name, the path of a `model.yml`, or `hf:OWNER/NAME`, whose files are downloaded to the cache; the
            result of `download`; or the result of `describe`, which is written to `folder` as well.
        folder: output folder of the model, `OUT/public/NAME` in the Open Model Zoo's layout.
        precisions: weight precisions; by default the one in the description, or FP16 and FP32 if it has none.
        form: batch size, layout, element type, colour format, crop and resize of the input; by default as described
            in `model.yml`.
        optimizer: the classic Model Optimizer, to use it instead of this OpenVINO.
        options: fields of `Lookup` (`config_dirs`, `cache_dir`, `offline`, `size`, `isolate`); not with source files.

    Returns:
        One IR per precision.

    Raises:
        UnknownModelError: there is no such model.
        DownloadError: a source file cannot be downloaded.
        ConfigError: the description is invalid.
        ConversionError: the network cannot be converted as its description says.
        AlreadyNormalisedError: `model` is an IR.
        MissingDependencyError: the framework's package, or the Model Optimizer, is not installed.
        UsageError: fields of the form contradict each other or the network; `model` is a network without a
            description; lookup options are given together with source files; an option or a precision is unknown.
        OSError: the IR cannot be written.
    """
    if isinstance(model, SourceFiles | DescribedNetwork):
        if options:
            raise UsageError("lookup options are for a MODEL, not for source files", got=", ".join(options))
        if isinstance(model, DescribedNetwork):
            return _convert_described(model, Path(folder), precisions, form, optimizer)
        sources, isolate = model, None
    else:
        lookup = Lookup.of(options)
        check_convertible(model, lookup.isolation)
        isolate = lookup.isolate
        if lookup.ir_dir is not None:
            raise UsageError("ir_dir is for functions that run a MODEL", expected="no ir_dir", got=lookup.ir_dir)
        sources = source_files(find_description(model, lookup), lookup)
    return converter.convert_sources(
        sources, Path(folder), precisions=precisions, form=form, optimizer=optimizer, isolate=isolate
    )


def _convert_described(
    model: DescribedNetwork,
    folder: Path,
    precisions: Sequence[WeightPrecision] | None,
    form: Form,
    optimizer: ModelOptimizer | None,
) -> tuple[IrModel, ...]:
    check_overwritable(folder)
    with described_network(model.draft, model.source_folder, folder) as network:
        converted = converter.convert_network(network, folder, precisions=precisions, form=form, optimizer=optimizer)
    save_described_network(model.draft, model.source_folder, folder)
    return converted


def check_convertible(model: str | Path, isolation: Isolation) -> None:
    """Check that a MODEL is neither an IR nor a source network without a description.

    Args:
        isolation: whether an IR is read in a child process first.

    Raises:
        AlreadyNormalisedError: it is an IR; the message states the normalisation that the IR contains.
        IrError: it is an IR that cannot be read.
        UsageError: it is a source network.
    """
    path = Path(model)
    if is_hub_reference(model):
        return
    if path.suffix == ".xml":
        from ov_mobilenet.ir.files import read_ir
        from ov_mobilenet.ir.normalisation import baked_normalisation

        raise AlreadyNormalisedError(
            "the model is already an IR; converting it again would normalise twice",
            where=path,
            got=baked_normalisation(read_ir(path, isolation)) or "no record of a normalisation",
            fix="Convert the source network, or use the IR as it is",
        )
    if is_network(path):
        raise UsageError(
            "a source network without a description", where=path, expected="a zoo name, a model.yml or hf:OWNER/NAME",
            fix=f"Convert it: ov-mobilenet convert --source {shlex.quote(str(path))} --name NAME",
        )  # fmt: skip
