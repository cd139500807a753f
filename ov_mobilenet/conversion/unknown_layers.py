"""Refuse a checkpoint whose keys do not tell which network it belongs to, unless the user says what its layers are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ov_mobilenet.conversion.architectures import complete_settings
from ov_mobilenet.errors import OvMobilenetError
from ov_mobilenet.zoo.layer_settings import ACTIVATIONS, LayerSettings

EXPORT = "or export the network to ONNX and convert that"
SHOWN = 2  # key pairs in the message


def check_layers_known(
    architecture: str,
    other_keys: Sequence[tuple[str, str]],
    settings: LayerSettings,
    error: type[OvMobilenetError],
    where: Path,
    *,
    is_described: bool,
) -> None:
    """Check that the activation is given if the keys were matched by shape and order.

    Networks of other libraries have the shapes of a MobileNet, but often another activation, padding or epsilon of the
    batch norms. Converted with the published ones, such a network had a top-1 of 0.012 instead of 0.56.

    Args:
        other_keys: pairs of a key of the architecture and the checkpoint's key, see `MatchedWeights.other_keys`.
        error: the class of the error.
        is_described: whether the network has a `model.yml`, so that the fix is an entry in it.

    Raises:
        OvMobilenetError: the activation is not given.
    """
    if not other_keys or settings.activation is not None:
        return
    published = complete_settings(architecture, LayerSettings())
    shown = ", ".join(f"{theirs} as {ours}" for ours, theirs in other_keys[:SHOWN])
    more = f" and {len(other_keys) - SHOWN} more" if len(other_keys) > SHOWN else ""
    defaults = f"{published.padding} and {published.batch_norm_epsilon:g}"
    if is_described:
        fix = (
            "Add `activation: NAME` to the block ov_mobilenet: of the model.yml, with `padding` and "
            f"`batch_norm_epsilon` unless they are {defaults}; {EXPORT}"
        )
    else:
        fix = (
            "Give images like those of the training, which decide it: --diagnose-images DIR; or insist with "
            f"--architecture {architecture} --activation NAME, with --padding and --batch-norm-epsilon unless they are "
            f"{defaults}; {EXPORT}"
        )
    raise error(
        f"the keys of the checkpoint match {architecture} only by shape and order, and a state dict does not hold the "
        "activation, the padding and the batch-norm epsilon of its network", where=where,
        expected=f"keys as in torchvision, or the activation: {', '.join(ACTIVATIONS)}",
        got=f"{shown}{more}", fix=fix,
    )  # fmt: skip
