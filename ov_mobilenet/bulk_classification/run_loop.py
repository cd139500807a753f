"""The loop over the parts that an engine finishes: records them, counts images and errors, saves the manifest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, cast

from ov_mobilenet.bulk_classification.bulk_progress import BulkProgress, OnBulkProgress
from ov_mobilenet.bulk_classification.failed_shards import FailedShard
from ov_mobilenet.bulk_classification.part_failures import read_failures
from ov_mobilenet.bulk_classification.parts import PartFacts
from ov_mobilenet.errors import ImageError, OutputError, printable
from ov_mobilenet.runtime.results import Failure, NotRun, Result

if TYPE_CHECKING:
    from collections.abc import Generator

    from ov_mobilenet.bulk_classification.output_state import OutputState

log = logging.getLogger(__name__)

# The manifest is saved at most this often, in seconds, and in at most 1/50 of the time.
SAVE_S = 30.0
SAVE_INTERVAL_FACTOR = 50


@dataclass
class RunLoop:
    """One run of an engine.

    Attributes:
        images_now: images in the parts that were finished in this run.
    """

    state: OutputState
    max_errors: int | None = None
    on_progress: OnBulkProgress | None = None
    on_failure: Callable[[Failure], None] | None = None
    clock: Callable[[], float] = perf_counter
    images_now: int = 0

    def __post_init__(self) -> None:
        before = self.state.done.values()
        self._images = sum(part.images for part in before)
        self._errors = sum(part.errors for part in before)
        # In the part that is being classified now, if that is on this machine.
        self._open_images = self._open_errors = 0
        self._saved = self.clock()
        self._save_interval_s = SAVE_S

    def run(self, engine: Iterator[PartFacts | FailedShard]) -> None:
        """Take the parts of an engine, until it ends. The manifest is saved in any case.

        Raises:
            ImageError: more images failed than `max_errors`.
            OvMobilenetError: an error of the engine, or the manifest cannot be saved.
        """
        try:
            with closing(cast("Generator[PartFacts | FailedShard, None, None]", engine)):
                self._check_errors(None)
                self._report()
                for ended in engine:
                    self._open_images = self._open_errors = 0
                    if isinstance(ended, PartFacts):
                        self._add(ended)
                    elif not ended.again:
                        self.state.add_failed(ended)
                    self._report()
        except BaseException:
            # The first error is the one to report; parts that the manifest does not have are found by their files.
            try:
                self.state.save()
            except OutputError as error:
                log.warning("%s", error)
            raise
        self.state.save()

    def on_image(self, result: Result) -> None:
        """Count an image of a part that is not finished yet."""
        self._open_images += 1
        if isinstance(result, Failure) and not isinstance(result, NotRun):
            self._open_errors += 1
            self._check_errors(result)
        self._report()

    def _add(self, facts: PartFacts) -> None:
        self.state.add(facts)
        self.images_now += facts.images
        self._images += facts.images
        self._errors += facts.errors
        last = None
        if facts.errors and self.on_failure is not None:
            for last in read_failures(self.state.store, facts.name):
                self.on_failure(last)
        self._check_errors(last)
        now = self.clock()
        if now - self._saved >= self._save_interval_s:
            self.state.save()
            self._saved = self.clock()
            self._save_interval_s = max(SAVE_S, SAVE_INTERVAL_FACTOR * (self._saved - now))

    def _check_errors(self, last: Failure | None) -> None:
        check_errors(self._errors + self._open_errors, self.max_errors, self.state.store.text, last)

    def _report(self) -> None:
        if self.on_progress is None:
            return
        shards = self.state.shards
        self.on_progress(
            BulkProgress(
                parts=len(self.state.done), total_parts=len(shards.places), images=self._images + self._open_images,
                total_images=shards.images, images_now=self.images_now + self._open_images,
                errors=self._errors + self._open_errors, failed_parts=len(self.state.failed),
            )
        )  # fmt: skip


def check_errors(errors: int, max_errors: int | None, output: str, last: Failure | None) -> None:
    """Raises: ImageError, if more images failed than allowed; `last` is the last of them, if it is known."""
    if max_errors is None or errors <= max_errors:
        return
    shown = "" if last is None else f", the last one {printable(last.source)}: {printable(last.error)}"
    raise ImageError(
        "too many images failed, the run has ended", where=output, expected=f"at most {max_errors}",
        got=f"{errors}{shown}",
        fix="The parts that are done are kept. Repair the inputs and write them to another output, or run the same "
        "command again with a greater --max-errors",
    )  # fmt: skip
