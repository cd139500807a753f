"""Select the models of a command: MODEL arguments, or the Open Model Zoo's `--name`, `--all`, `--list`."""

from __future__ import annotations

import logging
import queue
import shlex
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.interruption import Gate
from ov_mobilenet.errors import ConfigError, OvMobilenetError, UnknownModelError, UsageError
from ov_mobilenet.resolve import Lookup, find_description
from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.hub_reference import SizeProtocol, check_size_protocol, is_hub_reference
from ov_mobilenet.zoo.model import ModelConfig
from ov_mobilenet.zoo.registry import matching_folders, model_names

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Selection:
    """The options that select models."""

    models: tuple[str, ...]
    names: str | None
    all_models: bool
    list_file: Path | None
    print_all: bool
    config_dirs: tuple[Path, ...]
    size: SizeProtocol = "train"

    @property
    def ways(self) -> int:
        """The number of ways in which models are selected."""
        return sum((bool(self.models), self.names is not None, self.all_models, self.list_file is not None))


@dataclass(frozen=True)
class SelectedConfigs:
    """The selected descriptions.

    Attributes:
        configs: the valid descriptions in order, each once.
        broken: the error of each invalid description, by the model as given on the command line.
    """

    configs: list[ModelConfig]
    broken: dict[str, OvMobilenetError]


def model_selection(function: F) -> F:
    """Add `MODEL…`, `--name`, `--all`, `--list`, `--print_all`, `--config-dir`, `--size` as one value `selection`."""
    function = options.collect_into(Selection, "selection")(function)
    for option in (
        click.option("--print_all", "--print-all", is_flag=True, help="Print the names of all models and exit."),
        click.option(
            "--list", "list_file", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE.lst",
            help="File with model names or wildcards, one per line; # starts a comment.",
        ),
        click.option("--all", "all_models", is_flag=True, help="Select all models of the zoo."),
        click.option("--name", "names", metavar="PAT[,PAT]", help="Names or wildcards of models."),
        options.config_dirs,
        options.size_protocol,
        click.argument("models", nargs=-1, metavar="[MODEL]…"),
    ):  # fmt: skip
        function = option(function)
    return function


def is_ir(model: str) -> bool:
    """Whether a MODEL is the path of an IR."""
    return model.endswith(".xml") and not is_hub_reference(model)


def selected(wanted: Selection, *, cache_dir: Path | None = None, offline: bool = False) -> SelectedConfigs:
    """Load the selected descriptions. An invalid description, or an unreadable repository, does not stop the others.

    Args:
        cache_dir, offline: for repositories, see `Lookup`.

    Raises:
        UsageError: models are selected in no way or in several ways, or two models have the same name.
        UnknownModelError: a name or wildcard matches nothing, or no line of a list does.
    """
    if wanted.ways != 1:
        raise UsageError(
            "no models selected" if not wanted.ways else "models selected in several ways",
            expected="one of MODEL…, --name, --all, --list", got=f"{wanted.ways} of them" if wanted.ways else None,
        )  # fmt: skip
    if wanted.all_models:
        check_size_protocol(wanted.size, "--all")
        return load_folders(matching_folders(config_dirs=wanted.config_dirs))
    models: Iterable[str] = wanted.models
    if wanted.names is not None:
        models = [name.strip() for name in wanted.names.split(",") if name.strip()]
    elif wanted.list_file is not None:
        models = _known_entries(wanted.list_file, wanted.config_dirs)
    found: dict[str, ModelConfig] = {}
    broken: dict[str, OvMobilenetError] = {}
    lookup = Lookup(config_dirs=wanted.config_dirs, cache_dir=cache_dir, offline=offline, size=wanted.size)
    for model in _expanded(models, wanted.config_dirs):
        try:
            config = find_description(model, lookup)
        except OvMobilenetError as error:
            if isinstance(error, UsageError) and not is_hub_reference(model):
                raise  # a wrong name; of a repository it may mean that its normalisation is not known
            broken[model] = error
            continue
        other = found.setdefault(config.name, config)
        if other.path.resolve() != config.path.resolve():
            raise UsageError(f"two models are called {config.name}", got=f"{other.path} and {config.path}")
    return SelectedConfigs(list(found.values()), broken)


def load_folders(folders: Iterable[Path]) -> SelectedConfigs:
    """Load the descriptions in these folders."""
    configs: list[ModelConfig] = []
    broken: dict[str, OvMobilenetError] = {}
    for folder in folders:
        try:
            configs.append(load_config(folder))
        except ConfigError as error:
            broken[folder.name] = error
    return SelectedConfigs(configs, broken)


def report_broken(found: SelectedConfigs) -> int:
    """Print the errors of invalid descriptions to stderr. Returns the exit code."""
    for error in found.broken.values():
        click.echo(f"error: {error}", err=True)
    return max((error.exit_code for error in found.broken.values()), default=0)


def print_names(config_dirs: tuple[Path, ...] = ()) -> None:
    """Print the names of all models of the zoo, one per line."""
    for name in model_names(config_dirs=config_dirs):
        click.echo(name)


def _expanded(models: Iterable[str], config_dirs: tuple[Path, ...]) -> Iterable[str]:
    """Replace wildcards by the names that match."""
    for model in models:
        yield from model_names(model, config_dirs=config_dirs) or [model]


def _known_entries(path: Path, config_dirs: tuple[Path, ...]) -> list[str]:
    """The entries of a list that name a model; the others are reported in one warning.

    The lists of the Open Model Zoo name many models that this zoo does not have.

    Raises:
        UsageError: the list cannot be read.
        UnknownModelError: no entry names a model.
    """
    entries = list(_list_entries(path))
    known = [
        entry
        for entry in entries
        if is_hub_reference(entry)
        or model_names(entry, config_dirs=config_dirs)
        or any(path.is_file() for path in (Path(entry), Path(entry, "model.yml"), Path(entry, "config.json")))
    ]
    unknown = [entry for entry in entries if entry not in known]
    if unknown and not known:
        raise UnknownModelError(
            "no model of the list is in the zoo", where=path, got=", ".join(unknown),
            fix="Run `ov-mobilenet list` to see all models",
        )  # fmt: skip
    if unknown:
        log.warning(
            "%s: %d of %d entries are not in the zoo and are skipped: %s", path, len(unknown), len(entries),
            ", ".join(unknown),
        )  # fmt: skip
    return known


def _list_entries(path: Path) -> Iterable[str]:
    """The first word of each line, as the Open Model Zoo reads such files."""
    try:
        lines = path.read_text("utf-8").splitlines()
        for line in lines:
            words = shlex.split(line, comments=True)
            if words:
                yield words[0]
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the list of models ({error})", where=path) from error


def each_model(
    found: SelectedConfigs, work: Callable[[ModelConfig], None], jobs: int = 1, gate: Gate | None = None
) -> int:
    """Call `work` for each model. A failure is printed and does not stop the others. Returns the exit code.

    Args:
        jobs: number of models processed in parallel.
        gate: closed when the command is interrupted; threads then start no further model and print nothing.
    """
    configs = found.configs
    gate = gate or Gate()

    def attempt(config: ModelConfig) -> int:
        try:
            work(config)
        except OvMobilenetError as error:
            if not gate.is_closed():
                click.echo(f"error: {error}", err=True)
            return error.exit_code
        except BrokenPipeError:  # stdout is closed: stop
            raise
        except OSError as error:
            if not gate.is_closed():
                click.echo(f"error: {config.name}: {' '.join(str(error).split())}", err=True)
            return 1
        return 0

    broken_code = report_broken(found)
    if jobs == 1 or len(configs) <= 1:
        codes = [attempt(config) for config in configs]
    else:
        codes = _in_threads(attempt, configs, jobs, gate)
    failed = [*found.broken, *(config.name for config, code in zip(configs, codes, strict=True) if code)]
    count = len(configs) + len(found.broken)
    if failed and count > 1:
        click.echo(f"{len(failed)} of {count} models failed: {', '.join(failed)}", err=True)
    return max(broken_code, *codes, 0)


def _in_threads(attempt: Callable[[ModelConfig], int], configs: list[ModelConfig], jobs: int, gate: Gate) -> list[int]:
    """The exit code of each model, in order.

    The threads are daemons, so that Ctrl-C does not wait for a server that does not respond. An interrupted download
    is resumed in the next run.
    """
    outcomes: list[Future[int]] = [Future() for _ in configs]
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(configs)):
        waiting.put(index)

    def work() -> None:
        while True:
            try:
                index = waiting.get_nowait()
            except queue.Empty:
                return
            if gate.is_closed():
                return
            _settle(outcomes[index], attempt, configs[index], gate)

    for _ in range(min(jobs, len(configs))):
        threading.Thread(target=work, daemon=True).start()
    try:
        return [outcome.result() for outcome in outcomes]
    except BaseException:
        gate.close()
        raise


def _settle(outcome: Future[int], attempt: Callable[[ModelConfig], int], config: ModelConfig, gate: Gate) -> None:
    try:
        outcome.set_result(attempt(config))
    except BaseException as error:  # noqa: BLE001 (raised again in the thread that waits for the outcome)
        gate.close()  # an unexpected error ends the command
        outcome.set_exception(error)
