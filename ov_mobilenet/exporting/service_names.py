"""Names that Kubernetes and KServe accept, made from the names of models."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ov_mobilenet.errors import UsageError

# KServe appends `-predictor` and Knative `-00001` to the name, and a label of DNS has 63 characters.
MAX_LENGTH = 63 - len("-predictor") - len("-00001")
_SERVICE = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?")
_FIX = "Choose another name with --name NAME=MODEL, or a mapping in Python"


def service_name(model: str) -> str:
    """The name of the InferenceService of a model.

    Letters become lower case, and every run of other characters than letters and digits becomes one hyphen:
    `mobilenet-v1-0.25-128` gives `mobilenet-v1-0-25-128`.

    Raises:
        UsageError: the result does not begin with a letter, or is too long.
    """
    name = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    if not _SERVICE.fullmatch(name):
        raise UsageError(
            "the name of a model gives no name of a service", where=model, expected="a letter first", got=repr(name),
            fix=_FIX,
        )  # fmt: skip
    if len(name) > MAX_LENGTH:
        raise UsageError(
            "the name of a model is too long for a service", where=model, expected=f"at most {MAX_LENGTH} characters",
            got=len(name), fix=_FIX,
        )  # fmt: skip
    return name


def service_names(models: Iterable[str]) -> dict[str, str]:
    """The names of the services by the names of the models.

    Raises:
        UsageError: two models have the same name of a service, or as `service_name`.
    """
    found: dict[str, str] = {}
    for model in models:
        name = service_name(model)
        if name in found:
            raise UsageError(
                "two models give the same name of a service", expected="different names",
                got=f"{name} from {found[name]} and {model}", fix=_FIX,
            )  # fmt: skip
        found[name] = model
    return {model: name for name, model in found.items()}


def is_namespace(text: str) -> bool:
    """Whether a text is a label as of RFC 1123, which namespaces are."""
    return _LABEL.fullmatch(text) is not None


def is_object_name(text: str) -> bool:
    """Whether a text is a subdomain as of RFC 1123, which the names of secrets and service accounts are."""
    return _SUBDOMAIN.fullmatch(text) is not None
