"""`verify`: compare the outputs of an IR with those of its source network, on the same images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.accuracy.answer_difference import AnswerDifference, answer_difference
from ov_mobilenet.accuracy.protocol import OnProgress, ignore_progress
from ov_mobilenet.accuracy.reference import description_of
from ov_mobilenet.accuracy.sanity import are_constant, image_spread, unlabelled_warnings
from ov_mobilenet.accuracy.source_graph import as_probabilities, graph_facts, not_covered, pooled
from ov_mobilenet.accuracy.verification_limits import NOISE_WARNING, TOLERANCE, verification_limits
from ov_mobilenet.accuracy.verification_result import Verification
from ov_mobilenet.argument_types import checked
from ov_mobilenet.errors import ImageError, UsageError, VerificationError
from ov_mobilenet.ir.files import OpenedIr, open_ir
from ov_mobilenet.resolve import Lookup, LookupOptions, open_model, source_files
from ov_mobilenet.zoo.geometry import Geometry
from ov_mobilenet.zoo.output_kind import kind_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from ov_mobilenet.conversion.converter import IrModel
    from ov_mobilenet.downloads.fetch import SourceFiles
    from ov_mobilenet.runtime.classifier import Classifier

NOISE_IMAGES = 16
# Enough images to judge the answers by themselves, see `sanity`.
JUDGED_IMAGES = 200


@checked
def verify(
    model: str | Path | SourceFiles,
    ir: str | Path | IrModel | None = None,
    images: Iterable[str | Path] | None = None,
    *,
    on_progress: OnProgress = ignore_progress,
    **options: Unpack[LookupOptions],
) -> Verification:
    """Compare an IR (on the CPU, at f32) with its source network (in its own framework) on the same images.

    Args:
        model: a zoo name or the path of a `model.yml`; or the path of an IR `.xml` whose description is in the zoo or
            in `config_dirs`; or the `SourceFiles` of a download.
        ir: the converted model or the path of its `.xml`. None: `model` itself if it is an IR; otherwise the IR in
            `ir_dir`, or the FP32 IR in the cache, which is converted if it is missing.
        images: image files; None for coloured noise from a fixed seed.
        on_progress: called after each image.
        options: fields of `Lookup` (`config_dirs`, `cache_dir`, `offline`, `ir_dir`).

    Raises:
        UsageError: `SourceFiles` without an IR, or with lookup options; an IR whose description is unknown; `ir_dir`
            together with `ir`; an option is unknown.
        MissingDependencyError: the framework of the source network is not installed.
        ConversionError: the source network cannot be run in its framework.
        VerificationError: no image could be read, the IR does not take the same input as its source network, or it is
            INT8.
        OvMobilenetError: as `load_classifier`.
    """
    import numpy as np

    from ov_mobilenet.accuracy.isolated_oracle import isolated_oracle
    from ov_mobilenet.conversion.local_network import find_network

    sources, opened = _open_pair(model, ir, Lookup.of(options))
    config = sources.config
    network = find_network(sources)
    plan, path = network.plan, network.path
    content, quantised = graph_facts(config, plan, path)  # before the oracle: its errors say more of the file
    oracle = isolated_oracle(config, plan, path)
    precision = _weight_precision(opened)
    classifier, geometry, (height, width) = _plain_classifier(opened)
    paths = None if images is None else [Path(image) for image in images]
    total = NOISE_IMAGES if paths is None else len(paths)
    differences: list[AnswerDifference] = []
    skipped = 0
    answers: list[NDArray[np.float32]] = []
    samples: list[NDArray[np.uint8]] = []
    for frame in draw_noise(height, width) if paths is None else _read_frames(paths, geometry):
        if frame is None:
            skipped += 1
            on_progress(len(differences) + skipped, total)
            continue
        # First the source network: it runs in a child process with a time limit.
        expected = as_probabilities(oracle(frame), content)
        actual = classifier.probabilities(frame[None])[0]
        if content == "features" and expected.size > actual.size and expected.size % actual.size == 0:
            expected = pooled(expected, actual.size, network.layout)
        if actual.shape != expected.shape:
            raise VerificationError(
                "the IR differs from its source network", where=opened.xml,
                expected=f"{expected.size} values", got=f"{actual.size}",
            )  # fmt: skip
        if paths is not None and content != "features" and len(differences) < JUDGED_IMAGES:
            answers.append(actual)
            samples.append(frame[::8, ::8])
        differences.append(answer_difference(expected, actual, are_features=content == "features"))
        on_progress(len(differences) + skipped, total)
    count = len(differences)
    if not count:
        raise VerificationError("no image could be read", expected="at least one", got=f"{skipped} unreadable images")
    judged = np.stack(answers) if answers else np.zeros((0, 2), np.float32)
    spread = image_spread(np.stack(samples)) if samples else 0.0
    is_constant = are_constant(judged, spread)
    on_noise = paths is None
    limits = verification_limits(precision, kind_of(content), count, quantised=quantised, on_noise=on_noise)
    warnings = () if is_constant else unlabelled_warnings(judged, spread)
    return Verification(
        precision=precision,
        images=count,
        skipped=skipped,
        max_difference=float(np.max([each.largest for each in differences])),  # keeps a NaN; Python's max drops it
        top1_agreement=sum(each.same_top1 for each in differences) / count,
        tolerance=limits.tolerance,
        least_agreement=limits.least_agreement,
        quantised=quantised,
        mean_difference=sum(each.typical for each in differences) / count,
        near_agreement=sum(each.near_top1 for each in differences) / count,
        mean_tolerance=limits.mean_tolerance,
        least_near_agreement=limits.least_near_agreement,
        not_covered=not_covered(config, plan, path),
        constant_answers=is_constant,
        warnings=(*warnings, NOISE_WARNING) if quantised and on_noise else warnings,
    )


def _open_pair(
    model: str | Path | SourceFiles, ir: str | Path | IrModel | None, lookup: Lookup
) -> tuple[SourceFiles, OpenedIr]:
    """Return the verified source files and the IR to compare."""
    from ov_mobilenet.downloads.fetch import SourceFiles

    if isinstance(model, SourceFiles) and lookup != Lookup():
        raise UsageError("lookup options are for a MODEL, not for source files")
    if ir is not None and lookup.ir_dir is not None:
        raise UsageError("ir and ir_dir exclude each other", got=f"{ir} and {lookup.ir_dir}")
    if ir is not None:
        opened = open_ir(Path(ir) if isinstance(ir, str | Path) else ir.xml, lookup.isolation)
    elif isinstance(model, SourceFiles):
        raise UsageError("source files need an IR to verify", expected="verify(sources, ir)")
    else:
        opened = open_model(model, lookup)
    if isinstance(model, SourceFiles):
        return model, opened
    config = description_of(model, opened.record, lookup)
    if config is None:
        raise UsageError(
            "the description of this IR is unknown or has changed", where=model,
            expected="an IR converted from a model of the zoo or of config_dirs",
            fix="Give the description too: verify('path/to/model.yml', ir)",
        )  # fmt: skip
    return source_files(config, lookup), opened


def _weight_precision(opened: OpenedIr) -> str:
    precision = None if opened.record is None else opened.record.precision
    if precision not in TOLERANCE:
        raise VerificationError(
            "this IR cannot be verified against its source network", where=opened.xml,
            expected=f"an IR of ov-mobilenet with {' or '.join(TOLERANCE)} weights",
            got=precision or "no record of ov-mobilenet", fix="Measure it with ov-mobilenet compare",
        )  # fmt: skip
    return precision


def _plain_classifier(opened: OpenedIr) -> tuple[Classifier, Geometry, tuple[int, int]]:
    """Return a classifier at f32 that takes the frames of the source network, their geometry, and their size."""
    from ov_mobilenet.devices.compile import compile_model
    from ov_mobilenet.devices.settings import DeviceSettings
    from ov_mobilenet.runtime.runnable import make_runnable

    settings = DeviceSettings(device="CPU", inference_precision="f32")
    classifier = make_runnable(opened).compile(compile_model, settings)
    planes = None if opened.record is None else opened.record.planes
    if classifier.input_size is None or classifier.geometry is None or planes is not None:
        raise VerificationError(
            "the IR does not take the same input as its source network", where=opened.xml,
            expected="frames of the network's own size",
            got="frames of any size" if classifier.input_size is None else f"{planes} planes",
            fix="Verify the plain form: geometry and colour conversion come before the network and do not change it",
        )  # fmt: skip
    return classifier, classifier.geometry, classifier.input_size


def _read_frames(images: Iterable[Path], geometry: Geometry) -> Iterator[NDArray[np.uint8] | None]:
    """Yield frames at the network's size; None for an image that cannot be read."""
    from ov_mobilenet.images.decode import read_image
    from ov_mobilenet.images.geometry import apply_geometry

    for image in images:
        try:
            yield apply_geometry(geometry, read_image(image, geometry.reader))
        except ImageError:
            yield None


def draw_noise(height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """Yield `NOISE_IMAGES` frames of coloured noise, coarse enough to excite the network; always the same."""
    import numpy as np

    generator = np.random.default_rng(2018)
    for _ in range(NOISE_IMAGES):
        coarse = generator.integers(0, 256, (-(-height // 16), -(-width // 16), 3))
        fine = generator.integers(-20, 21, (height, width, 3))
        large = coarse.repeat(16, axis=0).repeat(16, axis=1)[:height, :width]
        yield np.clip(large + fine, 0, 255).astype(np.uint8)
