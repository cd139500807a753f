"""`KserveSettings`: how exported models run on a cluster with KServe."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args

from ov_mobilenet.argument_types import checked
from ov_mobilenet.errors import UsageError
from ov_mobilenet.exporting.service_names import is_namespace, is_object_name

KserveRuntime = Literal["ovms", "ov-mobilenet"]
KserveProtocol = Literal["v2", "grpc-v2"]
KserveDevice = Literal["CPU", "GPU"]
GpuResource = Literal["gpu.intel.com/i915", "gpu.intel.com/xe"]

_CHOICES = {
    "runtime": get_args(KserveRuntime), "protocol": get_args(KserveProtocol), "device": get_args(KserveDevice),
    "gpu_resource": get_args(GpuResource),
}  # fmt: skip
_QUANTITY = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)([A-Za-z]{0,2})")
_CPU_UNITS = {"": Decimal(1), "m": Decimal("0.001")}
_MEMORY_UNITS = {
    "": Decimal(1), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
}  # fmt: skip
_IMAGE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._/:@-]{0,511}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


@checked
@dataclass(frozen=True, kw_only=True)
class KserveSettings:
    """How exported models run on a cluster with KServe.

    Attributes:
        runtime: `ovms` for OpenVINO Model Server, which KServe includes as the runtime `kserve-openvino`;
            `ov-mobilenet` for `ov-mobilenet serve`, which applies the model's own geometry to image files.
        protocol: `v2` for REST, `grpc-v2` for gRPC. A service has one port, as Knative requires.
        image: the container image. Required for `ov-mobilenet`; None for that of KServe's runtime.
        namespace: None for the current one of `kubectl`.
        service_account: gives KServe the credentials of the storage; None for the default one.
        device: CPU, or GPU for an Intel GPU.
        gpu_resource: the resource of Intel's device plugin, by the kernel driver of the nodes: i915 or xe.
        cpu_request, cpu_limit: CPUs as Kubernetes writes them, such as `2`, `0.5` or `500m`. Inference uses as many
            threads as the limit has whole CPUs, at least 1.
        memory_request, memory_limit: memory as Kubernetes writes it, such as `512Mi`.
        token_secret: the secret whose key `token` holds the token that clients must send to `ov-mobilenet`.
        insecure_no_auth: no token for `ov-mobilenet`: whoever reaches the service can use it.
        allowed_hosts: names in clients' addresses, needed without a token.

    Raises:
        UsageError: a value is invalid, values contradict each other, or the runtime does not take one.
    """

    runtime: KserveRuntime = "ovms"
    protocol: KserveProtocol = "v2"
    image: str | None = None
    namespace: str | None = None
    service_account: str | None = None
    device: KserveDevice = "CPU"
    gpu_resource: GpuResource = "gpu.intel.com/i915"
    cpu_request: str = "1"
    cpu_limit: str = "2"
    memory_request: str = "512Mi"
    memory_limit: str = "1Gi"
    token_secret: str = "ov-mobilenet-token"
    insecure_no_auth: bool = False
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, values in _CHOICES.items():
            if getattr(self, name) not in values:
                raise UsageError(f"invalid {name}", expected=" or ".join(values), got=repr(getattr(self, name))[:200])
        for kind, units in (("cpu", _CPU_UNITS), ("memory", _MEMORY_UNITS)):
            names = (f"{kind}_request", f"{kind}_limit")
            request, limit = (_quantity(name, getattr(self, name), units) for name in names)
            if request > limit:
                raise UsageError(
                    f"{names[0]} is above {names[1]}", expected=f"at most {getattr(self, names[1])}",
                    got=getattr(self, names[0]),
                )  # fmt: skip
        _check_names(self)
        _check_runtime(self)

    @property
    def threads(self) -> int:
        """Inference threads: more than the limit of CPUs would only be throttled."""
        return max(1, int(_quantity("cpu_limit", self.cpu_limit, _CPU_UNITS)))


def _quantity(name: str, text: str, units: dict[str, Decimal]) -> Decimal:
    found = _QUANTITY.fullmatch(text)
    if found is None or found[2] not in units or not Decimal(found[1]):
        example = "2, 0.5 or 500m" if "m" in units else "512Mi or 2Gi"
        raise UsageError(
            f"invalid {name}", expected=f"a quantity of Kubernetes, such as {example}", got=repr(text)[:200]
        )
    return Decimal(found[1]) * units[found[2]]


def _check_names(settings: KserveSettings) -> None:
    named = (
        ("namespace", settings.namespace, is_namespace(settings.namespace or "default"), "a name as of RFC 1123"),
        (
            "service_account", settings.service_account, is_object_name(settings.service_account or "default"),
            "a name as of RFC 1123",
        ),
        ("token_secret", settings.token_secret, is_object_name(settings.token_secret), "a name as of RFC 1123"),
        ("image", settings.image, _IMAGE.fullmatch(settings.image or "image") is not None, "REGISTRY/NAME:TAG"),
        *(
            ("allowed_hosts", host, _HOST.fullmatch(host) is not None, "the name of a host, without a port")
            for host in settings.allowed_hosts
        ),
    )  # fmt: skip
    for name, value, is_valid, expected in named:
        if value == "" or not is_valid:
            raise UsageError(f"invalid {name}", expected=expected, got=repr(value)[:200])


def _check_runtime(settings: KserveSettings) -> None:
    if settings.runtime == "ovms":
        if settings.insecure_no_auth or settings.allowed_hosts:
            raise UsageError(
                "a setting of the runtime ov-mobilenet", expected="no insecure_no_auth and no allowed_hosts with ovms",
                fix="OpenVINO Model Server checks neither a token nor the Host header; protect it by the ingress",
            )  # fmt: skip
        return
    if settings.image is None:
        raise UsageError(
            "the runtime ov-mobilenet needs an image", expected="the name of the image in your registry",
            fix="Build and push it: docker build -f demos/edge/serve.Dockerfile -t REGISTRY/ov-mobilenet-serve:TAG . "
            "&& docker push REGISTRY/ov-mobilenet-serve:TAG; then give --image REGISTRY/ov-mobilenet-serve:TAG",
        )  # fmt: skip
    if settings.insecure_no_auth and not settings.allowed_hosts:
        raise UsageError(
            "without a token the server accepts only known names in the Host header",
            expected="the names in clients' addresses (--allowed-host)", got="none",
            fix="Take the host of the service's URL, such as signs.default.example.com, and for calls inside the "
            "cluster signs-predictor.default.svc.cluster.local",
        )  # fmt: skip
