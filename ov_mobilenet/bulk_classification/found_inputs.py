"""From INPUT arguments to shards, one after the other and in an order that does not change between runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from ov_mobilenet.bulk_classification.input_files import InputFile, find_files
from ov_mobilenet.bulk_classification.parquet_images import ParquetFacts, parquet_facts
from ov_mobilenet.bulk_classification.remote_files import is_remote, parse_url
from ov_mobilenet.bulk_classification.remote_inputs import kind_of
from ov_mobilenet.bulk_classification.remote_reading import in_order
from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.bulk_classification.shards import Shard, ShardReadError
from ov_mobilenet.errors import ImageError, UsageError
from ov_mobilenet.inputs.sources import masked


def find_shards(
    inputs: Iterable[str], settings: BulkSettings, is_own_part: Callable[[str], bool] | None = None
) -> Iterator[Shard]:
    """The shards of all inputs, in order; at most a few shards are in memory.

    Consecutive images form shards of `images_per_part` images, a tar is one shard, and a shard of a Parquet file is as
    many whole row groups as fit, at least one.

    Args:
        is_own_part: whether a Parquet file was written by this run or an earlier one; it is no input then.

    Raises:
        UsageError: there are no images; an input is a video, a camera, a stream or stdin; nothing matches a pattern; a
            folder has only tar or Parquet files; a Parquet file has no column with images; a URL is invalid.
        ImageError: a list, a bucket or a folder of a bucket cannot be read.
        MissingDependencyError: pyarrow is needed and not installed.
    """
    texts = list(inputs)

    def look_up(file: InputFile) -> tuple[InputFile, ParquetFacts | None]:
        return _look_up(file, settings)

    def files() -> Iterator[InputFile]:
        for file in find_files(texts):
            if file.kind != "parquet" or is_own_part is None or not is_own_part(file.path):
                yield file

    index = 0
    images: list[InputFile] = []
    for file, facts in in_order(files(), look_up, _needs_request):
        if file.kind == "image":
            images.append(file)
            if len(images) < settings.images_per_part:
                continue
        if images:
            yield _of_images(index, images)
            index, images = index + 1, []
        if file.kind == "tar":
            yield Shard(index, "tar", (file.path,), size=file.size)
            index += 1
        elif facts is not None:
            for row_groups, rows in _cut(facts.rows, settings.images_per_part):
                yield Shard(index, "parquet", (file.path,), size=facts.size, row_groups=row_groups, images=rows)
                index += 1
    if images:
        yield _of_images(index, images)
    elif index == 0:
        raise UsageError(
            "no images",
            expected="image files, folders with images, @LIST.txt, .tar or .parquet files, local or s3:// or gs://",
            got=", ".join(masked(text) for text in texts) or "nothing",
        )


def _needs_request(file: InputFile) -> bool:
    return is_remote(file.path) and (file.kind == "parquet" or (file.kind == "tar" and file.size is None))


def _look_up(file: InputFile, settings: BulkSettings) -> tuple[InputFile, ParquetFacts | None]:
    if file.kind == "tar" and file.size is None:
        return file._replace(size=_size(file.path)), None
    if file.kind != "parquet":
        return file, None
    try:
        return file, parquet_facts(file.path, settings.image_column, settings.source_column)
    except ImageError as error:  # a row in the results, as for a tar or an image that is damaged
        return InputFile("image", file.path, problem=str(error)), None
    except ShardReadError as error:
        raise ImageError(f"the Parquet file cannot be read now: {error}") from error


def _size(path: str) -> int | None:
    if is_remote(path):
        return kind_of(parse_url(path))[1]
    try:
        return os.stat(path).st_size  # noqa: PTH116 (many files)
    except (OSError, ValueError):
        return None


def _of_images(index: int, files: list[InputFile]) -> Shard:
    problems = tuple((place, file.problem) for place, file in enumerate(files) if file.problem is not None)
    return Shard(index, "images", tuple(file.path for file in files), images=len(files), problems=problems)


def _cut(rows: tuple[int, ...], limit: int) -> Iterator[tuple[tuple[int, int], int]]:
    """Row groups that form a shard, as the first and the one after the last, and their number of rows."""
    begin, total = 0, 0
    for group, count in enumerate(rows):
        if total and total + count > limit:
            yield (begin, group), total
            begin, total = group, 0
        total += count
    if total:
        yield (begin, len(rows)), total
