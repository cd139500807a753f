from __future__ import annotations

import sys
from typing import Any

import pytest

from ov_mobilenet.bulk_classification.ray_cluster import worker_count
from ov_mobilenet.bulk_classification.ray_settings import RaySettings
from ov_mobilenet.bulk_classification.ray_worker import worker_class
from ov_mobilenet.errors import OvMobilenetError, UsageError


@pytest.mark.parametrize("address", ["local", "auto", "10.0.0.1:6379", "[::1]:6379"])
def test_addresses(address: str) -> None:
    assert RaySettings(address).address == address


@pytest.mark.parametrize("address", ["", "head", "head:", ":6379", "head:x", "head:65536"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(UsageError, match="invalid Ray address"):
        RaySettings(address)


def test_the_client_of_ray_is_refused() -> None:
    with pytest.raises(UsageError, match="does not run through a Ray client: got ray://head:10001. Run on a machine"):
        RaySettings("ray://head:10001")


class FakeRay:
    """Stands in for the module `ray`: nodes as Ray lists them."""

    def __init__(self, *cpus: float | None) -> None:
        self.cpus = cpus

    def nodes(self) -> list[dict[str, Any]]:
        dead = {"Alive": False, "Resources": {"CPU": 64.0}}
        return [dead, *({"Alive": True, "Resources": {} if cpus is None else {"CPU": cpus}} for cpus in self.cpus)]


@pytest.mark.parametrize(
    ("cpus", "settings", "shards", "workers"),
    [
        ((None, 8.0, 3.0), RaySettings(cpus_per_worker=2), 100, 5),  # 4 and 1: a worker is on one node
        ((8.0,), RaySettings(), 3, 3),
        ((8.0,), RaySettings(workers=20), 100, 20),  # more nodes may join
        ((8.0,), RaySettings(workers=2), 100, 2),
    ],
)
def test_the_number_of_workers(
    cpus: tuple[float | None, ...], settings: RaySettings, shards: int, workers: int
) -> None:
    assert worker_count(FakeRay(*cpus), settings, shards) == workers  # type: ignore[arg-type]


def test_a_worker_that_no_node_has_room_for_is_an_error() -> None:
    with pytest.raises(OvMobilenetError, match="at least 4 on one node, got at most 3"):
        worker_count(FakeRay(None, 3.0, 3.0), RaySettings(cpus_per_worker=4), 10)  # type: ignore[arg-type]


def test_a_node_with_another_version_says_so() -> None:
    worker = worker_class()({"ov_mobilenet": "0.0.1", "openvino": "1"}, None, None, {})
    assert "a node of the Ray cluster has another ov_mobilenet: expected 0.0.1, got " in worker({})["problem"][0]


def test_a_node_without_a_package_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ov_mobilenet._version", None)
    worker = worker_class()({"ov_mobilenet": "0.0.1", "openvino": "1"}, None, None, {})
    assert "a node of the Ray cluster cannot import ov_mobilenet._version" in worker({})["problem"][0]
