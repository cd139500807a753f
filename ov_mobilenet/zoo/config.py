"""Load a `model.yml`, and the `accuracy-check.yml` beside it, as a `ModelConfig`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from ov_mobilenet.argument_types import checked
from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo.accuracy_check import AccuracyCheck
from ov_mobilenet.zoo.argument_list import Argument
from ov_mobilenet.zoo.document import Document, Key, load_document, shortened
from ov_mobilenet.zoo.geometry import check_steps
from ov_mobilenet.zoo.labels import MAX_LABELS_BYTES
from ov_mobilenet.zoo.model import (
    CONVERTIBLE_FRAMEWORKS,
    REFUSED_FRAMEWORKS,
    Checksum,
    Details,
    DownloadSource,
    FileSource,
    HttpSource,
    HubSource,
    InputInfo,
    ModelConfig,
    ModelFile,
    ModelInfo,
    Postprocessing,
    RegexReplace,
)
from ov_mobilenet.zoo.patterns import MAX_REPLACEMENT, compile_pattern
from ov_mobilenet.zoo.text_files import read_limited

NAME = re.compile(r"(?!\.+$)[0-9a-zA-Z._-]+")
HEX_DIGITS = {"sha384": 96, "sha256": 64}
LAYOUT_LETTERS = "NCHW"
MAX_FILE_BYTES = 1 << 40
MAX_DIMENSION = 9_999_999
MAX_STEPS = 50  # of postprocessing

T = TypeVar("T")


class _RawChecksum(Struct, frozen=True, forbid_unknown_fields=True, rename={"algorithm": "$type"}):
    algorithm: str
    value: str


_RawSource = str | HttpSource | FileSource | HubSource


class _RawFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    size: Annotated[int, Meta(ge=0, le=MAX_FILE_BYTES)]
    checksum: str | _RawChecksum | None = None
    sha256: str | None = None  # the Open Model Zoo's spelling before 2021.4
    source: _RawSource | list[_RawSource]
    original_source: _RawSource | None = None


class _RawModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    description: str
    task_type: str
    framework: str
    license: str
    files: Annotated[list[_RawFile], Meta(min_length=1)]
    postprocessing: tuple[Postprocessing, ...] = ()
    conversion_to_onnx_args: tuple[str, ...] = ()
    input_info: tuple[InputInfo, ...] = ()
    model_optimizer_args: tuple[str, ...] = ()
    model_info: ModelInfo | None = None
    quantizable: bool = False  # read by the Open Model Zoo's quantizer until 2023, unused since
    ov_mobilenet: Details = Details()


@checked
def load_config(path: Path | str) -> ModelConfig:
    """Read a description.

    Args:
        path: a `model.yml`, or the folder that holds one. The name of the folder is the name of the model.

    Raises:
        ConfigError: the description is invalid. The message gives file, line and key, the expected and the found value.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "model.yml"
    # `absolute`, so that a relative `model.yml` has a folder name; not `resolve`, so that links keep their own name.
    name = path.absolute().parent.name
    if not NAME.fullmatch(name):
        raise ConfigError(
            "invalid model name: it is the name of the folder",
            where=path,
            expected="letters, digits, '.', '_' or '-' and not only dots",
            got=repr(name),
        )
    document = load_document(path)
    raw = convert_document(document, _RawModel)
    check_path = path.with_name("accuracy-check.yml")
    check_document = load_document(check_path) if check_path.is_file() else None
    digest = hashlib.sha256(document.text)
    if check_document is not None:
        digest.update(b"\0" + check_document.text)
    _check(raw, document)
    labels = raw.ov_mobilenet.labels
    if labels is not None and labels.endswith(".txt"):
        # The labels are written to the IR. A file that cannot be read is reported when the labels are needed.
        with suppress(ConfigError):
            digest.update(b"\0" + read_limited(path.parent / labels, MAX_LABELS_BYTES))
    return ModelConfig(
        name=name,
        path=path,
        digest=digest.hexdigest(),
        description=raw.description.strip(),
        task_type=raw.task_type,
        framework=raw.framework,
        license=raw.license,
        files=tuple(_file(file, document, ("files", i)) for i, file in enumerate(raw.files)),
        postprocessing=raw.postprocessing,
        conversion_to_onnx_args=_arguments(raw.conversion_to_onnx_args, document, "conversion_to_onnx_args"),
        input_info=raw.input_info,
        model_optimizer_args=_arguments(raw.model_optimizer_args, document, "model_optimizer_args"),
        model_info=raw.model_info,
        details=raw.ov_mobilenet,
        accuracy_check=None if check_document is None else _accuracy_check(check_document),
    )


def _arguments(texts: tuple[str, ...], document: Document, name: str) -> tuple[Argument, ...]:
    return tuple(Argument(text, document.lines.get((name, index))) for index, text in enumerate(texts))


def convert_document(document: Document, kind: type[T]) -> T:
    """The document as a struct. Raises: ConfigError, naming the first invalid key."""
    try:
        return msgspec.convert(document.data, kind)
    except msgspec.ValidationError as error:
        raise _explain(str(error), document) from error


_EXPECTED = re.compile(r"Expected (?P<expected>.+?)(?:, got (?P<got>.+))?")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`")


def _explain(message: str, document: Document) -> ConfigError:
    """Turn msgspec's "... - at `$.files[0].size`" into file, line, key, expected and got."""
    text, _, path = message.rpartition(" - at `")
    if not text:
        text, path = message, "$"
    key = _parse_path(path.removesuffix("`"))
    if match := _UNKNOWN.fullmatch(text):
        return document.error("unknown key", (*key, match["name"]), expected="a key of the schema")
    if match := _MISSING.fullmatch(text):
        return document.error("missing key", (*key, match["name"]))
    if match := _EXPECTED.fullmatch(text):
        got = match["got"] or repr(_value_at(document, key))
        return document.error("wrong type or value", key, expected=match["expected"], got=got)
    return document.error(shortened(text), key, got=repr(_value_at(document, key)))


def _parse_path(path: str) -> Key:
    parts = re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", path)
    return tuple(int(index) if index else name for name, index in parts)


def _value_at(document: Document, key: Key) -> Any:
    value: Any = document.data
    for part in key:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _check(raw: _RawModel, document: Document) -> None:
    if raw.task_type != "classification":
        raise document.error("unsupported task", ("task_type",), expected="classification", got=raw.task_type)
    if raw.framework not in CONVERTIBLE_FRAMEWORKS and raw.framework not in REFUSED_FRAMEWORKS:
        raise document.error(
            "unknown framework",
            ("framework",),
            expected=", ".join(CONVERTIBLE_FRAMEWORKS),
            got=repr(raw.framework),
        )
    if raw.framework == "pytorch" and not raw.conversion_to_onnx_args:
        raise document.error(
            "missing key", ("conversion_to_onnx_args",), expected="--model-name and --weights for pytorch"
        )
    if raw.framework != "pytorch" and raw.conversion_to_onnx_args:
        raise document.error("only allowed for pytorch", ("conversion_to_onnx_args",), got=f"framework {raw.framework}")
    names: set[str] = set()
    for index, file in enumerate(raw.files):
        if file.name in names:
            raise document.error("duplicate file name", ("files", index, "name"), got=repr(file.name))
        names.add(file.name)
    for index, info in enumerate(raw.input_info):
        _check_input(info, document, ("input_info", index))
    if len(raw.postprocessing) > MAX_STEPS:
        expected = f"at most {MAX_STEPS}"
        raise document.error("too many steps", ("postprocessing",), expected=expected, got=len(raw.postprocessing))
    for index, step in enumerate(raw.postprocessing):
        _check_postprocessing(step, document, ("postprocessing", index))
    details = raw.ov_mobilenet
    if details.labels is not None:
        _relative(details.labels, document, ("ov_mobilenet", "labels"))
    if raw.framework != "pytorch":
        for name, value in msgspec.structs.asdict(details.settings).items():
            if value is not None:
                raise document.error(
                    "only allowed for pytorch", ("ov_mobilenet", name), got=f"framework {raw.framework}"
                )
    if details.background_class is not None and details.background_class >= (details.classes or 1 << 30):
        raise document.error(
            "class index out of range", ("ov_mobilenet", "background_class"),
            expected=f"below {details.classes}", got=details.background_class,
        )  # fmt: skip


def _check_input(info: InputInfo, document: Document, key: Key) -> None:
    for index, size in enumerate(info.shape):
        if not 1 <= size <= MAX_DIMENSION:
            expected = f"a positive number, at most {MAX_DIMENSION}"
            raise document.error("invalid dimension", (*key, "shape", index), expected=expected, got=size)
    if not info.layout:
        return
    letters = info.layout.upper()
    if len(set(letters)) != len(letters) or set(letters) - set(LAYOUT_LETTERS):
        raise document.error(
            "invalid layout", (*key, "layout"), expected="each of N, C, H, W at most once", got=repr(info.layout)
        )
    if info.shape and len(letters) != len(info.shape):
        raise document.error(
            "layout does not match the shape", (*key, "layout"),
            expected=f"{len(info.shape)} letters", got=repr(info.layout),
        )  # fmt: skip
    if info.shape and "C" in letters and info.shape[letters.index("C")] != 3:
        raise document.error(
            "layout does not match the shape", (*key, "layout"),
            expected="3 channels (C)", got=f"{info.layout} for {list(info.shape)}",
        )  # fmt: skip


def _check_postprocessing(step: Postprocessing, document: Document, key: Key) -> None:
    _relative(step.file, document, (*key, "file"))
    if isinstance(step, RegexReplace):
        try:
            compile_pattern(step.pattern)
        except ValueError as error:
            raise document.error(f"invalid pattern ({error})", (*key, "pattern"), got=_short(step.pattern)) from error
        if len(step.replacement) > MAX_REPLACEMENT:
            expected = f"at most {MAX_REPLACEMENT} characters"
            raise document.error("replacement too long", (*key, "replacement"), expected=expected)


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def _relative(name: str, document: Document, key: Key) -> str:
    """Check that a path, with `/` as separator, stays below its folder on every platform. Returns the path."""
    path = PurePosixPath(name)
    bad = not name or name != name.strip() or path.is_absolute() or str(path) != name or ".." in path.parts
    if bad or re.search(r'[\\:*?"<>|\x00-\x1f]', name):
        raise document.error(
            "invalid path",
            key,
            expected="a relative path with '/', without '..', ':' or control characters",
            got=repr(name),
        )
    return name


def _file(raw: _RawFile, document: Document, key: Key) -> ModelFile:
    sources = list(_sources(raw.source, document, (*key, "source")))
    if raw.original_source is not None:
        sources += [
            source
            for source in _sources(raw.original_source, document, (*key, "original_source"))
            if source not in sources
        ]
    if not sources:
        raise document.error("no source", (*key, "source"), expected="at least one", got="an empty list")
    return ModelFile(
        name=_relative(raw.name, document, (*key, "name")),
        size=raw.size,
        checksum=_checksum(raw, document, key),
        sources=tuple(sources),
    )


def _sources(raw: _RawSource | list[_RawSource], document: Document, key: Key) -> Iterator[DownloadSource]:
    if isinstance(raw, list):
        for index, source in enumerate(raw):
            yield from _sources(source, document, (*key, index))
        return
    source = HttpSource(raw) if isinstance(raw, str) else raw
    if isinstance(source, FileSource | HubSource):
        _relative(source.path, document, key if isinstance(raw, str) else (*key, "path"))
    elif not _is_url(source.url):
        raise document.error("invalid URL", key, expected="https://host/path", got=repr(source.url))
    yield source


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:  # an unbalanced bracket, a port that is not a number
        return False
    return valid and parts.scheme in ("http", "https") and not re.search(r"[\s\x00-\x1f]", text)


def _checksum(raw: _RawFile, document: Document, key: Key) -> Checksum | None:
    if raw.checksum is None and raw.sha256 is None:
        return None  # download() refuses such a file unless the user allows it
    name = "checksum" if raw.checksum is not None else "sha256"
    if raw.checksum is None:
        algorithm, value = "sha256", raw.sha256 or ""
    elif isinstance(raw.checksum, str):
        algorithm, value = "sha384", raw.checksum
    else:
        algorithm, value = raw.checksum.algorithm, raw.checksum.value
    if algorithm not in HEX_DIGITS:
        raise document.error(
            "unknown digest algorithm",
            (*key, name, "$type"),
            expected=" or ".join(sorted(HEX_DIGITS)),
            got=repr(algorithm),
        )
    if not re.fullmatch(rf"[0-9a-fA-F]{{{HEX_DIGITS[algorithm]}}}", value):
        raise document.error(
            f"not a {algorithm.upper()} digest", (*key, name),
            expected=f"{HEX_DIGITS[algorithm]} hexadecimal digits", got=f"{len(value)} characters",
        )  # fmt: skip
    return Checksum("sha256" if algorithm == "sha256" else "sha384", value.lower())


def _accuracy_check(document: Document) -> AccuracyCheck:
    check = convert_document(document, AccuracyCheck)
    for m, model in enumerate(check.models):
        for d, dataset in enumerate(model.datasets):
            key: Key = ("models", m, "datasets", d, "preprocessing")
            problem = check_steps(dataset.preprocessing)
            if problem is not None:
                index, what = problem
                raise document.error(what, (*key, index))
    return check
