"""`diagnose`: which normalisation and channel order a network was trained with, told from unlabelled images.

Crop and resize are not told. On 200 photographs, mutual information prefers what suits the images, not what the
network was published with: V1 0.25 224 (TFLite) has 4.107 with its own centre crop 0.875 and 4.239, in all resamples,
with a short side of 256 (top-1 0.595 and 0.620), the quantised V1 3.759 and 3.894; V1 0.25 128 (TensorFlow) has 3.920
with its own, 3.957 and 3.958 with two others. V2 has 5.015 with its own, but is best in 53 % of the resamples only
(5.012 without antialiasing). The first batch norm of an exported V2 0.5 128 tells whether images were resized with
antialiasing (divergence 0.007 with, 0.052 to 0.065 without, in all resamples), but not the crop: a short side of 128,
one of 146 and the whole image are best in 57, 23 and 19 % of the resamples.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ov_mobilenet.argument_types import checked
from ov_mobilenet.diagnosis.candidates import RAW_PIXELS, Candidate, both_orders, candidates_with
from ov_mobilenet.diagnosis.conversion_command import conversion_command
from ov_mobilenet.diagnosis.diagnosis import Diagnosis
from ov_mobilenet.diagnosis.evidence import Answers, Evidence, EvidenceKind, LayerStatistics
from ov_mobilenet.diagnosis.ir_network import network_of_ir
from ov_mobilenet.diagnosis.layer_diagnosis import LayerDiagnosis
from ov_mobilenet.diagnosis.network import NetworkUnderTest
from ov_mobilenet.diagnosis.ranking import Ranking, rank
from ov_mobilenet.diagnosis.stages import OnStage, steps_of
from ov_mobilenet.errors import IrError, UsageError
from ov_mobilenet.inputs.image_subset import MIN_IMAGES, OnProgress, PreparedImages, read_subset
from ov_mobilenet.resolve import Lookup, LookupOptions, open_model
from ov_mobilenet.zoo.geometry import Geometry, parse_geometry
from ov_mobilenet.zoo.hub_reference import is_hub_reference
from ov_mobilenet.zoo.model import HEAD_ACTIVATIONS, HeadActivation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from ov_mobilenet.zoo.normalisation import Normalisation

DEFAULT_IMAGES = 100
_SAME_SCORE = 5e-3  # nats; readings whose scales are practically the same differ by 2e-3


@checked
def diagnose(
    model: str | Path,
    images: str | Path | Iterable[str | Path],
    *,
    limit: int = DEFAULT_IMAGES,
    seed: int = 0,
    geometry: str | Geometry | None = None,
    given: Normalisation | None = None,
    architecture: str | None = None,
    weights_key: str | None = None,
    head: HeadActivation | None = None,
    output: str | None = None,
    on_progress: OnStage | None = None,
    **options: Unpack[LookupOptions],
) -> Diagnosis:
    """Tell the normalisation of a network from unlabelled images; of PyTorch weights, the settings of the layers too.

        found = ovm.diagnose("mine.onnx", "photos/")
        print(found.verdict, found.best.name, found.best.channel_order)  # sure torchvision RGB

    Each candidate is applied to the images. With batch-norm statistics, the one is right under which what flows into
    the first batch norm is what it recorded in training. Without, it is the one with the highest mutual information
    between image and class. 20 photographs like those of the training often decide, 100 nearly always do.

    Args:
        model: a source network, a zoo name, a `model.yml` or an IR.
        images: as for `open_inputs`, except live sources.
        limit: use this many images, drawn at random, at least 10.
        seed: seed of the draw and of the bootstrap, at least 0.
        geometry: crop and resize in words, instead of those that the IR records or, for a source network, a resize of
            the whole image.
        given: a further candidate, tried in both channel orders.
        architecture, weights_key, head, output: of a source network, see `describe`.
        on_progress: called with the name of the stage, the number of its steps that are done and of all its steps.
        options: fields of `Lookup` (`config_dirs`, `cache_dir`, `offline`, `ir_dir`).

    Raises:
        UsageError: the model has crop, resize or colour conversion in its graph, or nothing tells its normalisation.
        ImageError: fewer than 10 images can be read.
        MissingDependencyError: the framework's package is not installed.
        UnknownModelError, DownloadError, ConversionError, IrError: the model cannot be found or read.
    """
    if limit < MIN_IMAGES:
        raise UsageError("invalid limit", expected=f"at least {MIN_IMAGES} images", got=limit)
    chosen = parse_geometry(geometry) if isinstance(geometry, str) else geometry
    if head not in (None, *HEAD_ACTIVATIONS):
        raise UsageError("invalid head", expected=" or ".join(HEAD_ACTIVATIONS), got=repr(head))
    inspected = {"architecture": architecture, "weights_key": weights_key, "head": head, "output": output}
    network = _open(model, chosen, inspected, Lookup.of(options))
    prepared = read_subset(images, network.geometry, limit, seed, steps_of(on_progress, "images"))
    found = diagnose_network(str(model), network, prepared, given=given, seed=seed, on_progress=on_progress)
    said = {**inspected, "geometry": chosen}
    return replace(found, options={name: str(value) for name, value in said.items() if value is not None})


def diagnose_network(
    name: str,
    network: NetworkUnderTest,
    images: PreparedImages,
    *,
    given: Normalisation | None = None,
    candidates: tuple[Candidate, ...] | None = None,
    seed: int = 0,
    on_progress: OnStage | None = None,
) -> Diagnosis:
    """`diagnose` for a prepared network and images of its input's size.

    Args:
        candidates: only these compete; None for all named ones, the given and the baked one.

    Raises:
        UsageError: the network has neither classes nor batch-norm statistics.
    """
    readings = (network, *network.other_readings)
    results = []
    for number, reading in enumerate(readings):

        def count(stage: str, done: int, total: int, before: int = number) -> None:
            if on_progress is not None:
                on_progress(stage, before * total + done, len(readings) * total)

        known = candidates
        if known is None:
            known = candidates_with(*both_orders(given, "given") if given is not None else (), _baked(reading))
        results.append(_diagnose_reading(name, reading, images, known, seed, count))
    # What is baked gives the same answers in each reading, so their scores are comparable; the first of equal ones.
    best = max(result.candidates[0].score for result in results)
    return next(result for result in results if result.candidates[0].score >= best - _SAME_SCORE)


def _baked(network: NetworkUnderTest) -> Candidate | None:
    """What is baked into an IR; what it is fed with if that is not known."""
    return network.baked or (RAW_PIXELS if network.is_ir else None)


def _diagnose_reading(
    name: str,
    network: NetworkUnderTest,
    images: PreparedImages,
    candidates: tuple[Candidate, ...],
    seed: int,
    on_progress: OnStage,
) -> Diagnosis:
    baked = _baked(network)

    @functools.cache
    def layers(normalisation: Candidate) -> LayerDiagnosis | None:
        if network.layers is None or network.batch_norm is None:
            return None
        return network.layers(images.pixels, normalisation, seed, steps_of(on_progress, "settings of the layers"))

    evidence, ranking = _strongest(network, candidates, images.pixels, baked, layers, seed, on_progress)
    best = ranking.candidates[0].candidate
    return Diagnosis(
        model=name, images=len(images.pixels), failures=images.failures, evidence=evidence,
        candidates=ranking.candidates, verdict=ranking.verdict, images_needed=ranking.images_needed,
        baked=network.baked, is_ir=network.is_ir, geometry=str(network.geometry), is_wrong=ranking.baked_is_wrong,
        note=ranking.note, command=conversion_command(network.origin, best) if ranking.baked_is_wrong else None,
        layers=layers(best),
    )  # fmt: skip


def _strongest(
    network: NetworkUnderTest,
    candidates: tuple[Candidate, ...],
    frames: NDArray[np.uint8],
    baked: Candidate | None,
    layers: Callable[[Candidate], LayerDiagnosis | None],
    seed: int,
    on_progress: OnStage | None,
) -> tuple[EvidenceKind, Ranking]:
    """The ranking by batch-norm statistics, unless only mutual information is sure."""
    by_statistics = None
    batch_norm = network.batch_norm
    if batch_norm is not None:

        def statistics(candidate: Candidate) -> Evidence:
            return LayerStatistics(batch_norm.moments(candidate.apply(frames)), batch_norm.stored)

        by_statistics = rank(
            _collect(statistics, candidates, steps_of(on_progress, "batch-norm statistics")),
            frames,
            baked=baked,
            seed=seed,
        )
        if by_statistics.verdict == "sure" or network.output_kind == "features":
            return "batch_norm", by_statistics
        settings = layers(by_statistics.candidates[0].candidate)
        if settings is not None and not settings.is_published:
            return "batch_norm", by_statistics  # the network's answers are those of another network
    if network.output_kind == "features":
        raise UsageError(
            "nothing in the network tells its normalisation", where=network.path,
            expected="classes as output, or batch norms that are not folded into convolutions",
            got="features, without batch norms",
        )  # fmt: skip
    is_multilabel = network.output_kind == "multilabel"

    def answers(candidate: Candidate) -> Evidence:
        return Answers(network.answers(candidate.apply(frames)).astype(np.float64), is_multilabel)

    by_answers = rank(
        _collect(answers, candidates, steps_of(on_progress, "mutual information")), frames, baked=baked, seed=seed
    )
    if by_statistics is None or by_answers.verdict == "sure":
        return "mutual_information", by_answers
    return "batch_norm", by_statistics


def _collect(
    observe: Callable[[Candidate], Evidence], candidates: tuple[Candidate, ...], on_progress: OnProgress | None
) -> dict[Candidate, Evidence]:
    found: dict[Candidate, Evidence] = {}
    for number, candidate in enumerate(candidates, 1):
        found[candidate] = observe(candidate)
        if on_progress is not None:
            on_progress(number, len(candidates))
    return found


def _open(
    model: str | Path, geometry: Geometry | None, inspected: Mapping[str, Any], lookup: Lookup
) -> NetworkUnderTest:
    from ov_mobilenet.conversion.inspection import is_network
    from ov_mobilenet.conversion.network_files import network_ending
    from ov_mobilenet.hub.source_inspection import is_repository

    if is_network(Path(model)):
        from ov_mobilenet.diagnosis.source_network import network_of_source

        return network_of_source(Path(model), geometry, **inspected)
    if is_repository(model) and (network := _open_repository(model, geometry, inspected, lookup)) is not None:
        return network
    if network_ending(Path(model)) is not None and not Path(model).exists() and not is_hub_reference(model):
        raise UsageError("no such file or folder", where=model)
    for name, value in inspected.items():
        if value is not None:
            raise UsageError(f"{name} is for source networks only", where=model, got=value)
    ir = open_model(model, lookup)
    try:
        return network_of_ir(ir, geometry)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise IrError(f"the IR cannot be run with values other than its own pixels ({reason})", where=ir.xml) from error


def _open_repository(
    model: str | Path, geometry: Geometry | None, inspected: Mapping[str, Any], lookup: Lookup
) -> NetworkUnderTest | None:
    """A network of a repository that does not say its normalisation; None if it does, and its IR is diagnosed."""
    from ov_mobilenet.diagnosis.source_network import network_of_inspected
    from ov_mobilenet.hub.declaration import SettledByUser
    from ov_mobilenet.hub.source_inspection import inspect_any_source

    settled = SettledByUser(geometry=geometry is not None)
    facts = inspect_any_source(model, size=lookup.size, settled=settled, offline=lookup.offline, **inspected)
    if facts.declared is not None and facts.declared.normalisation is not None:
        return None
    return network_of_inspected(facts, geometry)
