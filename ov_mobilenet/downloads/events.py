"""What happens during a download, as values; in JSON they are the Open Model Zoo's `--progress_format json` events."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


class ModelDownloadBegin(Struct, frozen=True, tag_field="$type", tag="model_download_begin"):
    """A model's files are about to be brought."""

    model: str
    num_files: int


class FileDownloadBegin(Struct, frozen=True, tag_field="$type", tag="model_file_download_begin"):
    """A file is about to be brought; `size` in bytes."""

    model: str
    model_file: str
    size: int


class FileDownloadProgress(Struct, frozen=True, tag_field="$type", tag="model_file_download_progress"):
    """So many bytes of the file are here; fewer than before when an attempt begins anew."""

    model: str
    model_file: str
    size: int


class FileDownloadEnd(Struct, frozen=True, tag_field="$type", tag="model_file_download_end"):
    """The file is there and verified, or is not."""

    model: str
    model_file: str
    successful: bool


class ModelDownloadEnd(Struct, frozen=True, tag_field="$type", tag="model_download_end"):
    """All files of the model are there and verified, or one is not."""

    model: str
    successful: bool


class PostprocessingBegin(Struct, frozen=True, tag_field="$type", tag="model_postprocessing_begin"):
    """Archives are about to be unpacked and texts replaced."""

    model: str


class PostprocessingEnd(Struct, frozen=True, tag_field="$type", tag="model_postprocessing_end"):
    """That is done."""

    model: str


Event = (
    ModelDownloadBegin
    | FileDownloadBegin
    | FileDownloadProgress
    | FileDownloadEnd
    | ModelDownloadEnd
    | PostprocessingBegin
    | PostprocessingEnd
)
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Nobody listens."""
