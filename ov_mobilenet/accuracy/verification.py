"""Compare an IR with its source network on images, in probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from ov_mobilenet.errors import ImageError, VerificationError
from ov_mobilenet.zoo.geometry import Geometry

if TYPE_CHECKING:
    import numpy as np
    import openvino as ov
    from numpy.typing import NDArray

    from ov_mobilenet.conversion.converter import IrModel
    from ov_mobilenet.downloads.fetch import SourceFiles
    from ov_mobilenet.zoo.arguments import ConversionPlan
    from ov_mobilenet.zoo.model import ModelConfig

# What a converted model promises (the README's table): largest difference of any probability, and the least
# fraction of images on which the first class is the same.
TOLERANCE = {"FP32": (3e-5, 1.0), "FP16": (4e-2, 0.98)}
# A quantised network: its own framework computes in integers, OpenVINO in floats; LiteRT may round the output to 1/256.
QUANTISED_TOLERANCE = (0.1, 0.93)
DRAWN_IMAGES = 16


class Verification(Struct, frozen=True, kw_only=True):
    """What a comparison found.

    Attributes:
        max_difference: the largest difference of a probability; not a number if either side gave one that is none.
        top1_agreement: fraction of images with the same first class, in [0, 1].
        skipped: images that could not be read.
        not_covered: what both sides have from the same hand, so that a mistake in it would not show.
    """

    precision: str
    images: int
    skipped: int
    max_difference: float
    top1_agreement: float
    tolerance: float
    least_agreement: float
    not_covered: str | None = None

    @property
    def holds(self) -> bool:
        """Whether both figures are within tolerance."""
        return self.max_difference <= self.tolerance and self.top1_agreement >= self.least_agreement


def verify(
    sources: SourceFiles,
    model: IrModel,
    images: Iterable[Path] | None = None,
    *,
    on_progress: Callable[[], None] = lambda: None,
) -> Verification:
    """Run the IR (CPU, f32) and the source network on the same images.

    Args:
        images: image files; None for coloured noise drawn from a fixed seed.
        on_progress: called after each image.

    Raises:
        MissingDependencyError: the source network's framework is not installed.
        ConversionError: the source network cannot be run in its framework.
        VerificationError: images are given and not one could be read; or the IR crops by itself, or takes planes.
    """
    import numpy as np

    from ov_mobilenet.accuracy.source_networks import source_oracle
    from ov_mobilenet.conversion.sources import network_path
    from ov_mobilenet.load import load_classifier
    from ov_mobilenet.zoo.arguments import plan_conversion

    plan = plan_conversion(sources.config)
    path = network_path(sources.config, plan, sources.folder)
    oracle = source_oracle(sources.config, plan, path)
    gives_probabilities, quantised = graph_facts(sources.config, plan, path)
    classifier = load_classifier(model.xml, device="CPU", inference_precision="f32")
    tolerance, agreement = QUANTISED_TOLERANCE if quantised else TOLERANCE[model.precision]
    if classifier.input_size is None or classifier.geometry is None or model.record.planes is not None:
        raise VerificationError(
            "the IR cannot be fed what its source network is fed", where=model.xml,
            expected="frames of the network's own size",
            got="frames of any size" if classifier.input_size is None else f"{model.record.planes} planes",
            fix="Verify the plain form; geometry and planes come before the network and change nothing in it",
        )  # fmt: skip
    height, width = classifier.input_size
    difference, same, count, skipped = 0.0, 0, 0, 0
    frames = draw_noise(height, width) if images is None else _read(images, classifier.geometry)
    for frame in frames:
        if frame is None:
            skipped += 1
            continue
        ours = classifier.probabilities(frame[None])[0]
        theirs = as_probabilities(oracle(frame), probabilities=gives_probabilities)
        if ours.shape != theirs.shape:
            raise VerificationError(
                "the IR differs from its source network", where=model.xml,
                expected=f"{theirs.size} classes", got=f"{ours.size}",
            )  # fmt: skip
        difference = float(np.maximum(difference, np.abs(ours - theirs).max()))  # Python's max would drop a NaN
        same += int(ours.argmax() == theirs.argmax())
        count += 1
        on_progress()
    if not count:
        raise VerificationError("no image could be read", expected="at least one", got=f"{skipped} unreadable ones")
    return Verification(
        precision=model.precision,
        images=count,
        skipped=skipped,
        max_difference=difference,
        top1_agreement=same / count,
        tolerance=tolerance,
        least_agreement=agreement,
        not_covered=_not_covered(sources.config, plan, path),
    )


def check(result: Verification, xml: Path) -> None:
    """Raise if a verification does not hold. Raises: VerificationError."""
    if not result.holds:
        difference = "no numbers (NaN)" if math.isnan(result.max_difference) else f"{result.max_difference:.3g}"
        raise VerificationError(
            "the IR differs from its source network", where=xml,
            expected=f"probabilities within {result.tolerance:g}, the same top-1 on {result.least_agreement:.0%}",
            got=f"{difference}, {result.top1_agreement:.1%} of {result.images}",
        )  # fmt: skip


def _read(images: Iterable[Path], geometry: Geometry) -> Iterator[NDArray[np.uint8] | None]:
    """Frames at the network's size; None for an image that cannot be read."""
    from ov_mobilenet.images.decode import read_image
    from ov_mobilenet.images.geometry import apply

    for image in images:
        try:
            yield apply(geometry, read_image(image, geometry.reader))
        except ImageError:
            yield None


def draw_noise(height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """Coloured noise, coarse enough for a network to see something in it; always the same."""
    import numpy as np

    generator = np.random.default_rng(2018)
    for _ in range(DRAWN_IMAGES):
        coarse = generator.integers(0, 256, (-(-height // 16), -(-width // 16), 3))
        fine = generator.integers(-20, 21, (height, width, 3))
        large = coarse.repeat(16, axis=0).repeat(16, axis=1)[:height, :width]
        yield np.clip(large + fine, 0, 255).astype(np.uint8)


def graph_facts(config: ModelConfig, plan: ConversionPlan, path: Path) -> tuple[bool, bool]:
    """Whether the graph ends in softmax, which its values do not say (logits can lie in [0, 1]); if it is quantised."""
    from ov_mobilenet.conversion.sources import network_framework, read_network
    from ov_mobilenet.ir.ports import find_output
    from ov_mobilenet.ir.probabilities import ends_in_softmax

    if config.framework == "pytorch":
        return False, False  # our own modules, all of which end in logits
    network = read_network(network_framework(config, path), plan, path)
    return ends_in_softmax(find_output(network, plan.output, path)), _holds_integers(network)


def _not_covered(config: ModelConfig, plan: ConversionPlan, path: Path) -> str | None:
    """A state dict is run in our own module; whose padding that is only its keys can tell."""
    from ov_mobilenet.conversion.sources.pytorch import match_plan

    if config.framework != "pytorch" or not match_plan(plan, path).key_mapping:
        return None
    return "padding, activations and batch-norm epsilon: the weights were run in our own module"


def _holds_integers(network: ov.Model) -> bool:
    """Whether activations are quantised, or weights alone: LiteRT then quantises the activations as it runs."""
    import openvino as ov

    small = (ov.Type.i8, ov.Type.u8, ov.Type.i4, ov.Type.u4)
    for operation in network.get_ops():
        kind = operation.get_type_name()
        if kind == "FakeQuantize":
            return True
        if kind == "Constant" and operation.get_element_type() in small and len(operation.get_output_shape(0)) > 1:
            return True
    return False


def as_probabilities(answer: NDArray[np.float32], *, probabilities: bool) -> NDArray[np.float32]:
    """The source network's answer, through a softmax if it is not one already."""
    import numpy as np

    values = answer.astype(np.float64)
    # A softmax that the conversion overlooks would be applied twice in the IR, and here as well: the same error on
    # both sides would go unseen. So values that sum to 1 are never turned, whatever the graph seems to be.
    sums_to_one = values.min() >= 0.0 and abs(values.sum() - 1.0) < 1e-3
    if not probabilities and not sums_to_one:
        exponentials = np.exp(values - values.max())
        values = exponentials / exponentials.sum()
    return values.astype(np.float32)
