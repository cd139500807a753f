"""What the output of a network holds: of a source network (`OutputContent`), and of an IR (`OutputKind`).

    content                    of the source network's output                          kind of the IR
    logits                     a score per class, of which one is right                classes
    probabilities              their softmax                                           classes
    logit                      one score: a binary classifier                          classes, [1 - p, p]
    probability                one sigmoid: a binary classifier                        classes, [1 - p, p]
    multilabel-logits          a score per class, each right or not by itself          multilabel
    multilabel-probabilities   their sigmoids                                          multilabel
    features                   a vector without classifier, or a feature map           features

An IR of kind `classes` gives probabilities that sum to 1, one of kind `multilabel` a probability per class that do not,
and one of kind `features` a vector; a feature map is averaged over height and width.
"""

from __future__ import annotations

from typing import Literal, get_args

OutputContent = Literal[
    "logits", "probabilities", "logit", "probability", "multilabel-logits", "multilabel-probabilities", "features"
]
OUTPUT_CONTENTS: tuple[OutputContent, ...] = get_args(OutputContent)
OutputKind = Literal["classes", "multilabel", "features"]
MULTILABEL_THRESHOLD = 0.5
"""A class of a multi-label network is listed if its probability is at least this, unless the user gives another."""


def kind_of(content: OutputContent) -> OutputKind:
    """The kind of the IR for a source network with this output."""
    if content == "features":
        return "features"
    return "multilabel" if content.startswith("multilabel") else "classes"


def describe_content(content: OutputContent, values: int, map_size: tuple[int, int] | None) -> str:
    """The content and what the conversion makes of it, in words.

    Args:
        values: number of values per image, or channels of a feature map.
        map_size: height and width of a feature map; None for a vector.
    """
    effects = {
        "logits": "a softmax is added",
        "probabilities": "no softmax is added",
        "logit": "a binary classifier with the classes [1 - p, p], p = sigmoid(output). A regression looks the same",
        "probability": "a binary classifier with the classes [1 - p, p]",
        "multilabel-logits": f"{values} independent classes, a sigmoid is added",
        "multilabel-probabilities": f"{values} independent classes, the probabilities do not sum to 1",
        "features": f"a vector of {values} values without a classifier",
    }
    if map_size is not None:
        height, width = map_size
        return f"{content}, a map of {height}x{width} without a classifier, averaged to a vector of {values} values"
    return f"{content}, {effects[content]}"
