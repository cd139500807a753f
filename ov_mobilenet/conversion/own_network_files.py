"""Write the description of a network of the user's own, and its files, to a folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ov_mobilenet.conversion.local_network import LocalNetwork, find_network
from ov_mobilenet.conversion.own_network import LABELS_FILE, DraftDescription
from ov_mobilenet.downloads import cache
from ov_mobilenet.downloads.fetch import SourceFiles
from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.description import MARKERS, accuracy_check_yml, model_yml
from ov_mobilenet.zoo.geometry import geometry_of_dataset


def check_overwritable(folder: Path) -> None:
    """Check that a `model.yml` in the folder, if there is one, may be overwritten.

    Raises:
        ConfigError: it does not begin with the generated marker line, so it may have been written by hand. Edits
            below the marker line are lost.
    """
    path = folder / "model.yml"
    if path.is_file() and path.read_text("utf-8", errors="replace").partition("\n")[0] not in MARKERS:
        raise ConfigError(
            "the folder already has a description that was not generated", where=path,
            fix="Convert that description by its path, or choose another --name",
        )  # fmt: skip


@contextmanager
def described_network(draft: DraftDescription, source_folder: Path, folder: Path) -> Iterator[LocalNetwork]:
    """The network with its description read back from a temporary copy, to be converted before anything is written.

    Args:
        source_folder: the folder of the network's files.
        folder: where the description is to be written later; errors name it.

    Raises:
        ConfigError: the description cannot be read, or is read back with other values.
    """
    with tempfile.TemporaryDirectory(prefix="ov-mobilenet-") as temporary:
        copy = Path(temporary) / draft.description.name
        copy.mkdir()
        write_description(draft, copy)
        try:
            config = load_config(copy)
            digests = {
                file.name: f"{file.checksum.algorithm}:{file.checksum.value}" for file in config.files if file.checksum
            }
            network = find_network(SourceFiles(config, source_folder, digests))
            geometry = geometry_of_dataset(config.dataset) if config.dataset is not None else None
        except ConfigError as error:
            where = (error.where or "").replace(str(copy), str(folder))
            raise type(error)(error.what, where=where, expected=error.expected, got=error.got, fix=error.fix) from error
        _check_read_back(draft, network, geometry, folder)
        yield network


def _check_read_back(draft: DraftDescription, network: LocalNetwork, geometry: object, folder: Path) -> None:
    description, plan = draft.description, network.plan
    written = (
        description.network,
        description.input,
        description.output,
        description.normalisation,
        description.geometry,
    )
    read = (plan.source.path, plan.input, plan.output, plan.normalisation, geometry)
    if read != written:
        raise ConfigError(
            "the network cannot be described in a model.yml", where=folder / "model.yml",
            expected=", ".join(map(str, written)), got=", ".join(map(str, read)),
            fix="Use plain names for the file, the input and the output",
        )  # fmt: skip


def save_described_network(draft: DraftDescription, source_folder: Path, folder: Path) -> Path:
    """Copy the network's files to a folder and write its description there.

    Returns:
        The `model.yml`, which is written last.

    Raises:
        OSError: a file cannot be read or written.
    """
    for file in draft.description.files:
        target = folder / file.name
        if not cache.is_valid(target, file):
            cache.write_verified(cache.read_chunks(source_folder / file.name), target, file)
    return write_description(draft, folder)


def write_description(draft: DraftDescription, folder: Path) -> Path:
    """Write the description alone. Returns: the `model.yml`, which is written last. Raises: OSError."""
    if draft.labels_text is not None:
        _write_text(folder / LABELS_FILE, draft.labels_text)
    _write_text(folder / "accuracy-check.yml", accuracy_check_yml(draft.description))
    _write_text(folder / "model.yml", model_yml(draft.description))
    return folder / "model.yml"


def _write_text(path: Path, text: str) -> None:
    with cache.replacing(path) as temporary:
        temporary.write_text(text, "utf-8", newline="\n")
