"""The events of a download. Encoded as JSON they are the Open Model Zoo's `--progress_format json` events."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


class ModelDownloadBegin(Struct, frozen=True, tag_field="$type", tag="model_download_begin"):
    """The download of a model begins."""

    model: str
    num_files: int


class FileDownloadBegin(Struct, frozen=True, tag_field="$type", tag="model_file_download_begin"):
    """The download of a file begins; `size` in bytes."""

    model: str
    model_file: str
    size: int


class FileDownloadProgress(Struct, frozen=True, tag_field="$type", tag="model_file_download_progress"):
    """The number of bytes received so far; it decreases when an attempt starts over."""

    model: str
    model_file: str
    size: int


class FileDownloadEnd(Struct, frozen=True, tag_field="$type", tag="model_file_download_end"):
    """The download of a file ended; `successful` if the file is complete and verified."""

    model: str
    model_file: str
    successful: bool


class ModelDownloadEnd(Struct, frozen=True, tag_field="$type", tag="model_download_end"):
    """The download of a model ended; `successful` if all files are complete and verified."""

    model: str
    successful: bool


class PostprocessingBegin(Struct, frozen=True, tag_field="$type", tag="model_postprocessing_begin"):
    """The postprocessing begins: archives are unpacked and patterns are replaced."""

    model: str


class PostprocessingEnd(Struct, frozen=True, tag_field="$type", tag="model_postprocessing_end"):
    """The postprocessing ended."""

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
    """Ignore the event."""
