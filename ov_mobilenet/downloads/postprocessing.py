"""The `postprocessing` of a description: unpack archives, and replace patterns in text files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ov_mobilenet.downloads import cache, events
from ov_mobilenet.downloads.archive import unpack
from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.model import ModelConfig, RegexReplace, UnpackArchive
from ov_mobilenet.zoo.patterns import replace

MAX_PATCHED_BYTES = 8 << 20
REPLACE_TIMEOUT_S = 5.0


def postprocess(config: ModelConfig, folder: Path, on_event: events.OnEvent) -> None:
    """Apply the steps of a description to the downloaded files.

    Args:
        folder: the model's download folder.
        on_event: called when the steps begin and end; not called if there are none.

    Raises:
        ArchiveError: an archive is broken or unsafe.
        ConfigError: a `regex_replace` does not match the file, or exceeds a limit of time or size.
        OSError: a file cannot be read or written.
    """
    if not config.postprocessing:
        return
    on_event(events.PostprocessingBegin(config.name))
    for step in config.postprocessing:
        if isinstance(step, UnpackArchive):
            _unpack(config, step, folder)
        else:
            _replace(step, folder)
    on_event(events.PostprocessingEnd(config.name))


def original_of(path: Path) -> Path:
    """The copy of a patched file as it was downloaded: `NAME.orig` beside it, as in the Open Model Zoo."""
    return path.with_name(path.name + ".orig")


def _unpack(config: ModelConfig, step: UnpackArchive, folder: Path) -> None:
    source = plan_conversion(config).source
    if source.root == "dl_dir" and source.path not in {file.name for file in config.files}:
        # Into the folder of the archive, as the Open Model Zoo does.
        beside = PurePosixPath(step.file).parent
        wanted = PurePosixPath(source.path)
        if wanted.is_relative_to(beside):
            unpack(folder / step.file, step.format, str(wanted.relative_to(beside)), folder / beside)


def _replace(step: RegexReplace, folder: Path) -> None:
    path = folder / step.file
    try:
        if path.stat().st_size > MAX_PATCHED_BYTES:
            raise ConfigError(
                "file too large for regex_replace", where=path, expected=f"at most {MAX_PATCHED_BYTES} bytes"
            )
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("regex_replace needs a UTF-8 text file", where=path, got=error) from error
    try:
        replaced, count = replace(step.pattern, step.replacement, text, count=step.count, timeout_s=REPLACE_TIMEOUT_S)
    except ValueError as error:
        raise ConfigError(f"regex_replace: {error}", where=path, got=f"pattern {step.pattern!r}") from error
    if count == 0 or (step.count and count != step.count):
        raise ConfigError(
            "regex_replace: wrong number of matches",
            where=path,
            expected=f"{step.count or 'at least 1'}",
            got=count,
        )
    original = original_of(path)
    with cache.replacing(path) as temporary:
        temporary.write_text(replaced, "utf-8", newline="\n")
        if not original.exists():
            original.write_bytes(path.read_bytes())
