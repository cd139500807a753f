"""`RaySettings`: which Ray cluster runs the shards, and how many workers."""

from __future__ import annotations

from dataclasses import dataclass

from ov_mobilenet.argument_types import checked
from ov_mobilenet.errors import UsageError


@checked
@dataclass(frozen=True)
class RaySettings:
    """A Ray cluster, and the workers on it.

    Attributes:
        address: `local` starts Ray on this machine for this run, `auto` finds the running cluster of this machine;
            otherwise the address of a cluster, such as `10.0.0.1:6379`, from a machine that is part of it.
        workers: number of workers, at least 1; None for as many as the CPUs of the cluster allow.
        cpus_per_worker: CPUs of each worker, at least 1.

    Raises:
        UsageError: the address has another form, or a number is out of range.
    """

    address: str = "auto"
    workers: int | None = None
    cpus_per_worker: int = 1

    def __post_init__(self) -> None:
        if self.address.startswith("ray://"):
            raise UsageError(
                "Ray Data does not run through a Ray client", got=self.address,
                fix="Run on a machine of the cluster with the address auto, as `ray job submit` does",
            )  # fmt: skip
        host, colon, port = self.address.rpartition(":")
        if self.address not in ("local", "auto") and not (host and colon and port.isdecimal() and int(port) < 65536):
            raise UsageError("invalid Ray address", expected="local, auto or HOST:PORT", got=self.address)
        for name, value in (("workers", self.workers), ("cpus_per_worker", self.cpus_per_worker)):
            if value is not None and value < 1:
                raise UsageError(f"invalid {name}", expected="at least 1", got=value)
