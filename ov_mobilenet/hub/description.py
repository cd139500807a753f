"""The description of a network of a repository, or of a snapshot folder, as a `model.yml` in the cache.

    ROOT/hub/OWNER--NAME/COMMIT-KEY/MODEL/      of a repository; the description names its files, which are not here
    ROOT/hub/NAME/DIGEST/MODEL/                 of a snapshot folder, with a copy of the network

KEY depends on what else decides the content: the file, the size protocol, the version of ov-mobilenet and, offline, the
files that the cache holds. A description is written once and never changes: another commit has another folder.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ov_mobilenet._version import __version__
from ov_mobilenet.conversion.inspection import SourceFacts
from ov_mobilenet.conversion.network_files import network_ending
from ov_mobilenet.conversion.own_network import DraftDescription, UserChoices, draft_description
from ov_mobilenet.conversion.own_network_files import save_described_network, write_description
from ov_mobilenet.downloads.cache import locked
from ov_mobilenet.downloads.hub_client import read_repository
from ov_mobilenet.errors import UsageError
from ov_mobilenet.hub.repository import find_hub_network, inspect_hub_network, pinned_commit
from ov_mobilenet.hub.snapshot import inspect_snapshot
from ov_mobilenet.operating_system.replacing import replace_file
from ov_mobilenet.zoo.config import NAME, load_config
from ov_mobilenet.zoo.description import accuracy_check_yml, model_yml
from ov_mobilenet.zoo.hub_reference import HubReference, SizeProtocol
from ov_mobilenet.zoo.model import ModelConfig

log = logging.getLogger(__name__)


def reference_name(reference: HubReference) -> str:
    """The name of the model: that of the repository, with that of the file if the reference gives one.

    Raises:
        UsageError: it is not a name that a model can have.
    """
    name = reference.repository.partition("/")[2]
    if reference.file is not None:
        file = PurePosixPath(reference.file).name
        stem = file[: -len(network_ending(Path(file)) or PurePosixPath(file).suffix or ".")]
        name = name if stem == name else f"{name}-{stem}"
    return _checked_name("".join(letter if NAME.fullmatch(f"a{letter}") else "_" for letter in name), reference)


def _checked_name(name: str, where: object) -> str:
    if not NAME.fullmatch(name) or name.endswith(".xml"):
        raise UsageError(
            "the name cannot be that of a model", where=where,
            expected="letters, digits, '.', '_' or '-', not ending in .xml", got=repr(name),
            fix="Give it another: ov-mobilenet convert --source … --name NAME",
        )  # fmt: skip
    return name


def describe_reference(
    reference: HubReference, root: Path, *, size: SizeProtocol = "train", offline: bool = False
) -> ModelConfig:
    """The description of a network of a repository. PyTorch weights in large-file storage are not downloaded.

    Args:
        root: the root of the cache.
        size: the input size that timm trained or tested with.
        offline: use only caches.

    Raises:
        DownloadError, OfflineError, MissingDependencyError: see `read_repository`.
        UsageError: there is no network, or there are several; its normalisation is not known.
        ConfigError, ConversionError: see `inspect_snapshot`.
    """
    name = reference_name(reference)
    key = _key(reference, size)
    parent = root / "hub" / reference.repository.replace("/", "--")
    commit = pinned_commit(reference)
    if commit is not None and (known := _known(parent / f"{commit}-{key}" / name)) is not None:
        return known  # without asking the hub
    repository = read_repository(reference, offline=offline)
    if not repository.is_complete:
        if (known := _known(parent / f"{repository.commit}-{key}" / name)) is not None:
            return known
        # What some of the files say must not be taken for the description of the commit when all of them are there.
        key = _key(reference, size, *sorted(repository.files))
    entry = parent / f"{repository.commit}-{key}"
    with locked(root, entry):
        if (known := _known(entry / name)) is not None:
            return known
        network = find_hub_network(reference, repository, offline=offline)
        draft = _draft(name, reference, inspect_hub_network(network, size=size))
        return _write(entry / name, lambda folder: write_description(draft, folder))


def _key(reference: HubReference, size: SizeProtocol, *listed: str) -> str:
    return hashlib.sha256("\0".join((__version__, size, reference.file or "", *listed)).encode()).hexdigest()[:12]


def describe_folder(folder: Path, root: Path, *, size: SizeProtocol = "train") -> ModelConfig:
    """The description of the network in a snapshot folder; it is copied into the cache.

    Args:
        root, size: see `describe_reference`.

    Raises:
        UsageError, ConfigError, ConversionError, MissingDependencyError: see `inspect_snapshot`.
        OSError: the network cannot be copied.
    """
    name = _checked_name(_folder_name(folder), folder)
    facts = inspect_snapshot(folder, size=size)
    draft = _draft(name, folder, facts)
    texts = (__version__, model_yml(draft.description), accuracy_check_yml(draft.description), draft.labels_text or "")
    entry = root / "hub" / name / hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]
    with locked(root, entry):
        if (known := _known(entry / name)) is not None:
            return known
        return _write(entry / name, lambda target: save_described_network(draft, facts.folder, target))


def _folder_name(folder: Path) -> str:
    """The name of the folder, or of the repository if it is a commit in the cache of `huggingface_hub`."""
    path = folder.absolute()
    owner, repository = path.parent.name, path.parent.parent.name
    if owner == "snapshots" and repository.startswith("models--"):
        return repository.rpartition("--")[2]
    return path.name


def _draft(name: str, source: object, facts: SourceFacts) -> DraftDescription:
    """Describe a network without options of the user's. Raises: UsageError, with how options are given."""
    try:
        draft = draft_description(name, facts, UserChoices())
    except UsageError as error:
        options = f"ov-mobilenet convert --source {source} --name {name} takes options that say it"
        fix = f"{options}. {error.fix}" if error.fix else options
        raise type(error)(error.what, where=error.where, expected=error.expected, got=error.got, fix=fix) from error
    for guess in draft.guesses:
        log.log(logging.WARNING if guess.changes_answers else logging.INFO, "%s: %s: %s", name, guess.origin, guess)
    return draft


def _known(folder: Path) -> ModelConfig | None:
    """The description that is there; None without one. Raises: ConfigError."""
    return load_config(folder) if (folder / "model.yml").is_file() else None


def _write(folder: Path, write: Callable[[Path], Path]) -> ModelConfig:
    """Write a description beside its folder, and rename it: readers see all of it or nothing. Raises: OSError."""
    # One name, because the writer holds the lock: the remains of a killed run do not stay.
    part = folder.parent / ".part"
    shutil.rmtree(part, ignore_errors=True)
    copy = part / folder.name
    copy.mkdir(parents=True)
    try:
        write(copy)
        load_config(copy)
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
        replace_file(copy, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return load_config(folder)
