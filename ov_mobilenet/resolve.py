"""Find the IR of a MODEL: at its path, in a folder of converted models, or in the cache, converted first if missing."""

from __future__ import annotations

import glob
import hashlib
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from ov_mobilenet._version import __version__
from ov_mobilenet.argument_types import check_types, checked
from ov_mobilenet.errors import DownloadError, IrError, UnknownModelError, UsageError
from ov_mobilenet.ir.files import OpenedIr, open_ir
from ov_mobilenet.ir.trial_reading import Isolation
from ov_mobilenet.zoo.hub_reference import (
    SIZE_PROTOCOLS,
    SizeProtocol,
    check_size_protocol,
    is_hub_reference,
    parse_hub_reference,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ov_mobilenet.downloads.fetch import SourceFiles
    from ov_mobilenet.zoo.model import ModelConfig

log = logging.getLogger(__name__)

# If `ir_dir` holds several IRs of a model, the first of these runs: the one closest to the source network.
PRECISION_ORDER = ("FP32", "FP16", "FP16-INT8")


class LookupOptions(TypedDict, total=False):
    """The fields of `Lookup` as keyword arguments; every function that takes a MODEL accepts them."""

    config_dirs: Iterable[str | Path]
    cache_dir: str | Path | None
    offline: bool
    ir_dir: str | Path | None
    mirror: str | Iterable[str] | None
    size: SizeProtocol
    isolate: bool | None


def lookup_options(options: Mapping[str, Any]) -> LookupOptions:
    """Those of the keyword arguments that are fields of `Lookup`."""
    known = LookupOptions.__annotations__
    return cast(LookupOptions, {name: value for name, value in options.items() if name in known})


def check_option_names(options: Mapping[str, object], known: type) -> None:
    """Check the names and types of keyword arguments; Python does not check those of `**options`.

    Args:
        known: the TypedDict that declares them.

    Raises:
        UsageError: a name is not one of its keys, or a value has another type.
    """
    names = known.__annotations__  # those that it inherits too
    if unknown := [name for name in options if name not in names]:
        raise UsageError("unknown option", expected=", ".join(names), got=", ".join(unknown))
    check_types(options, names)


@dataclass(frozen=True)
class Lookup:
    """Where to look for a MODEL.

    Attributes:
        config_dirs: folders with your own descriptions, `NAME/model.yml` each.
        cache_dir: cache of downloads and converted models; None for the user's cache folder.
        offline: do not use the network.
        mirror: folders or https URLs with the source files as NAME/FILE, tried before all other sources.
        size: `train` or `test`: the input size, and the share of the crop, that timm trained or tested with, for a
            network of a Hugging Face repository in timm's format.
        ir_dir: run the IR that `convert` or `quantize` wrote below this folder, `public/NAME/PRECISION/NAME.xml`, for
            a MODEL that is not the path of an IR; None to convert into the cache. See `find_irs`.
        isolate: whether files are read in a child process first, because OpenVINO crashes on some that are damaged:
            True for all, False for none; None for those of unknown origin, which are IRs with other contents than
            ov-mobilenet wrote, and source networks without a digest. Linux only.
    """

    config_dirs: tuple[Path, ...] = ()
    cache_dir: Path | None = None
    offline: bool = False
    ir_dir: Path | None = None
    mirror: tuple[str, ...] = ()
    size: SizeProtocol = "train"
    isolate: bool | None = None

    @property
    def isolation(self) -> Isolation:
        """Which IRs are read in a child process first."""
        return Isolation(self.isolate, self.cache_dir)

    @classmethod
    def of(cls, options: LookupOptions) -> Lookup:
        """The lookup that keyword arguments describe.

        Raises:
            UsageError: a keyword argument is not a field of `Lookup`, or its value is invalid.
        """
        check_option_names(options, LookupOptions)
        if options.get("size", "train") not in SIZE_PROTOCOLS:
            raise UsageError("invalid size", expected=" or ".join(SIZE_PROTOCOLS), got=repr(options["size"]))
        mirror = options.get("mirror") or ()
        return cls(
            config_dirs=tuple(_path("config_dirs", one) for one in options.get("config_dirs", ())),
            cache_dir=_path_or_none("cache_dir", options.get("cache_dir")),
            offline=options.get("offline", False),
            ir_dir=_path_or_none("ir_dir", options.get("ir_dir")),
            mirror=(mirror,) if isinstance(mirror, str) else tuple(mirror),
            size=options.get("size", "train"),
            isolate=options.get("isolate"),
        )

    def as_options(self) -> LookupOptions:
        """The keyword arguments that give this lookup."""
        return LookupOptions(
            config_dirs=self.config_dirs,
            cache_dir=self.cache_dir,
            offline=self.offline,
            ir_dir=self.ir_dir,
            mirror=self.mirror,
            size=self.size,
            isolate=self.isolate,
        )


def _path(name: str, given: str | Path) -> Path:
    """The path of a folder. Raises: UsageError, for an empty text, such as that of a variable that is not set."""
    if given == "":
        raise UsageError(f"invalid {name}", expected="a folder; '.' is the current one", got="''")
    return Path(given)


def _path_or_none(name: str, given: str | Path | None) -> Path | None:
    return None if given is None else _path(name, given)


@checked
def find_config(model: str | Path, **options: Unpack[LookupOptions]) -> ModelConfig:
    """The description of a MODEL: a zoo name, a `model.yml` or its folder, or a network of a Hugging Face repository.

    The description of a repository, `hf:OWNER/NAME[@REVISION][/FILE]`, or of a folder with its files, is written to the
    cache. Its weights are not downloaded, unless they are in a file that must be read to describe it.

    Args:
        options: fields of `Lookup` (`config_dirs`, `cache_dir`, `offline`, `size`).

    Raises:
        UnknownModelError: there is no such name and no such file.
        ConfigError: the description, or the configuration in the repository, is invalid, or two models have this name.
        UsageError: the repository has no network, or several; its normalisation is not known.
        ConversionError: the repository holds a network that is not supported.
        DownloadError: the repository cannot be read.
        MissingDependencyError: huggingface_hub is not installed.
    """
    return find_description(model, Lookup.of(options))


def find_description(model: str | Path, lookup: Lookup) -> ModelConfig:
    """`find_config` with a `Lookup`."""
    from ov_mobilenet.downloads.cache import default_root
    from ov_mobilenet.zoo import registry

    root = lookup.cache_dir or default_root()
    if is_hub_reference(model):
        from ov_mobilenet.hub.description import describe_reference

        return describe_reference(parse_hub_reference(str(model)), root, size=lookup.size, offline=lookup.offline)
    folder = Path(model)
    # A zoo name comes before a folder of the same name.
    if (folder / "config.json").is_file() and not registry.find_folders(
        glob.escape(str(model)), config_dirs=lookup.config_dirs
    ):
        from ov_mobilenet.hub.description import describe_folder
        from ov_mobilenet.hub.snapshot import is_snapshot

        if is_snapshot(folder):
            return describe_folder(folder, root, size=lookup.size)
    check_size_protocol(lookup.size, model)
    return registry.find_config(model, config_dirs=lookup.config_dirs)


@dataclass(frozen=True)
class IrChoice:
    """The IR that runs for a MODEL that is a zoo name or a description; attribute `ir_choice` of a log record.

    Attributes:
        name: name of the model.
        origin: `cached` or `converted` in the cache, or found in `ir_dir`.
        others: IRs of other precisions in `ir_dir`.
    """

    name: str
    xml: Path
    origin: Literal["cached", "converted", "ir_dir"]
    others: tuple[Path, ...] = ()


def open_model(model: str | Path, lookup: Lookup = Lookup()) -> OpenedIr:
    """Read the IR of a MODEL. For a zoo name or a description, it is converted into the cache or found in `ir_dir`.

    The IR that runs for a name is logged at level INFO, with an `IrChoice`.

    Raises:
        UnknownModelError: there is no model of this name or path.
        UsageError: `ir_dir` holds no IR of the model.
        DownloadError, ConversionError, ConfigError: the IR cannot be created.
        IrError: the IR cannot be read.
    """
    path = Path(model)
    is_reference = is_hub_reference(model)
    if path.suffix == ".xml" and not is_reference:
        check_size_protocol(lookup.size, path)
        return open_ir(path, lookup.isolation)
    from ov_mobilenet.conversion.network_files import network_ending

    ending = None if is_reference else network_ending(path)
    if ending is not None:
        raise UnknownModelError(
            "a source network must be converted before it can run", where=path,
            expected="an IR, a model.yml, a zoo name or hf:OWNER/NAME",
            fix=f"Convert it: ov-mobilenet convert --source {path} --name {path.name[: -len(ending)]}",
        )  # fmt: skip
    if lookup.ir_dir is None:
        return _open_converted(find_description(model, lookup), lookup)
    name = str(model)
    if is_reference:
        from ov_mobilenet.hub.description import reference_name

        name = reference_name(parse_hub_reference(name))
    elif not find_irs(lookup.ir_dir, name):  # an IR found by its name needs no description
        name = find_description(model, lookup).name
    return _open_found(name, lookup.ir_dir, lookup.isolation)


def find_irs(folder: Path, name: str) -> list[Path]:
    """The IRs of a model below the output folder of `convert`, FP32 before FP16 before FP16-INT8.

    Looks for `public/NAME/PRECISION/NAME.xml`, `NAME/PRECISION/NAME.xml` and `PRECISION/NAME.xml`, and returns the IRs
    of the first of these layouts that exists.
    """
    if Path(name).name != name:
        return []
    for parent in (folder / "public" / name, folder / name, folder):
        found = [parent / precision / f"{name}.xml" for precision in PRECISION_ORDER]
        if existing := [xml for xml in found if xml.is_file()]:
            return existing
    return []


def _open_found(name: str, folder: Path, isolation: Isolation) -> OpenedIr:
    found = find_irs(folder, name)
    if not found:
        raise UsageError(
            f"no IR of {name}", where=folder,
            expected=f"public/{name}/PRECISION/{name}.xml, {name}/PRECISION/{name}.xml or PRECISION/{name}.xml in it, "
            f"with PRECISION one of {', '.join(PRECISION_ORDER)}",
            fix=f"Convert it: ov-mobilenet convert {name} -o {folder}",
        )  # fmt: skip
    ir = open_ir(found[0], isolation)
    _report(IrChoice(name, found[0], "ir_dir", tuple(found[1:])))
    return ir


def _report(choice: IrChoice) -> None:
    log.info("%s: using IR %s (%s)", choice.name, choice.xml, choice.origin, extra={"ir_choice": choice})


def source_files(config: ModelConfig, lookup: Lookup = Lookup()) -> SourceFiles:
    """The verified source files of a description, in the cache beside the IR that is converted from them.

    Raises:
        DownloadError: a file cannot be downloaded.
    """
    with _locked_folder(config, lookup) as folder:
        return _download(config, folder, lookup)


def _open_converted(config: ModelConfig, lookup: Lookup) -> OpenedIr:
    """The FP32 IR of a description from the cache, converted if it is missing; one process converts, others wait."""
    from ov_mobilenet.conversion.converter import convert_sources

    with _locked_folder(config, lookup) as folder:
        xml = folder / "FP32" / f"{config.name}.xml"
        if (cached := _open_cached(xml, lookup.isolation)) is not None:
            _report(IrChoice(config.name, xml, "cached"))
            return cached
        log.info("%s: not in the cache, converting into %s", config.name, folder)
        convert_sources(_download(config, folder, lookup), folder, precisions=("FP32",), isolate=lookup.isolate)
        _report(IrChoice(config.name, xml, "converted"))
        return open_ir(xml, lookup.isolation)


def _open_cached(xml: Path, isolation: Isolation) -> OpenedIr | None:
    """The cached IR; None if it is missing or damaged. A damaged one is deleted."""
    if not xml.exists():
        return None
    try:
        return open_ir(xml, isolation)
    except IrError as error:
        log.warning("%s: cached IR: %s; converting again", xml, error.what)
        xml.unlink(missing_ok=True)
        return None


def _download(config: ModelConfig, folder: Path, lookup: Lookup) -> SourceFiles:
    from ov_mobilenet.downloads.cache import default_root
    from ov_mobilenet.downloads.fetch import download

    # Beside the IR, under its lock and digest: another description of this name has its own sources.
    return download(
        config, folder / "sources", cache_root=lookup.cache_dir or default_root(), offline=lookup.offline,
        mirror=lookup.mirror,
    )  # fmt: skip


@contextmanager
def _locked_folder(config: ModelConfig, lookup: Lookup) -> Iterator[Path]:
    """The cache folder of a description for this version of the toolkit and of OpenVINO, locked in the `with` block."""
    # Before OpenVINO, whose telemetry forks soon after its import: a fork while filelock is being imported makes
    # filelock print an exception.
    import filelock  # noqa: F401
    import openvino as ov

    from ov_mobilenet.downloads.cache import default_root, locked

    # The digest of the description covers the digests of its files.
    identity = "\0".join((config.name, config.digest, __version__, ov.get_version()))
    root = lookup.cache_dir or default_root()
    folder = root / "ir" / hashlib.sha256(identity.encode()).hexdigest()[:24]
    with locked(root, folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DownloadError(
                "the cache of converted models cannot be written", where=error.filename or folder,
                got=error.strerror or error,
                fix="Give a folder that can be written (--cache-dir, OV_MOBILENET_CACHE_DIR, cache_dir=), in a "
                "container a volume, or run a converted model by the path of its .xml",
            ) from error  # fmt: skip
        try:
            yield folder
        finally:
            if not any(path.is_file() for path in folder.rglob("*")):  # nothing could be downloaded or converted
                shutil.rmtree(folder, ignore_errors=True)
