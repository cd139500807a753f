"""The loops on a fake device with a known service time, under a clock that only this device moves: all figures are
exact.
"""

from __future__ import annotations

from typing import Any

import pytest
from fake_classifier import fake
from fake_device import Behaviour, FakeClock

from ov_mobilenet.benchmarking.latency import summary
from ov_mobilenet.benchmarking.loops import Limit, TimedRun, closed_loop, open_loop
from ov_mobilenet.errors import DeviceError


def requests(behaviour: Behaviour, count: int, batch: int = 1) -> list[Any]:
    model = fake(batch, behaviour, count).model
    return [model.create_infer_request() for _ in range(count)]


def closed(service: Any, count: int, limit: Limit, *, streams: int = 1, batch: int = 1) -> TimedRun:
    clock = FakeClock()
    behaviour = Behaviour(clock=clock, service_s=service, streams=streams)
    return closed_loop(requests(behaviour, count, batch), limit, batch=batch, clock=clock)


def opened(service: Any, count: int, limit: Limit, rate: float, *, streams: int = 1, batch: int = 1) -> TimedRun:
    clock = FakeClock()
    behaviour = Behaviour(clock=clock, service_s=service, streams=streams)

    def pause(seconds: float) -> None:
        clock.advance_to(clock() + seconds)

    return open_loop(requests(behaviour, count, batch), limit, rate, batch=batch, clock=clock, pause=pause)


def test_every_percentile_is_exact() -> None:
    # The nth request takes n hundredths of a millisecond; 1000 of them.
    run = closed(lambda number: (number + 1) * 1e-5, 1, Limit(None, 1000))
    found = summary(run.latencies_ms)
    assert (found.p50, found.p90, found.p95, found.p99, found.p99_9, found.max) == pytest.approx(
        (5.00, 9.00, 9.50, 9.90, 9.99, 10.00), abs=1e-9
    )
    assert found.mean == pytest.approx(5.005)
    assert run.duration_s == pytest.approx(5.005)
    assert run.fps == pytest.approx(1000 / 5.005)


def test_a_closed_loop_counts_the_wait_for_a_free_stream() -> None:
    run = closed(0.010, 4, Limit(1.0), streams=2)
    assert run.fps == pytest.approx(200, rel=0.03)
    assert summary(run.latencies_ms).p50 == pytest.approx(20)


def test_every_started_request_is_counted() -> None:
    run = closed(0.010, 2, Limit(1.0))
    assert run.count == len(run.latencies_ms) == len(run.ends)
    assert run.duration_s == pytest.approx(run.count * 0.010)  # the device was never idle
    assert 1.0 <= run.duration_s < 1.03


@pytest.mark.parametrize("count", [1, 3, 50])
def test_the_number_of_requests_is_exact(count: int) -> None:
    assert closed(0.001, 4, Limit(None, count)).count == count


def test_every_image_of_a_batch_is_counted() -> None:
    run = closed(0.010, 2, Limit(None, 10), batch=4)
    assert (run.count, len(run.ends)) == (40, 10)
    assert run.fps == pytest.approx(400)


def test_latency_of_an_idle_device_is_its_service_time() -> None:
    run = opened(0.010, 2, Limit(2.0), 50)
    assert run.count == 100
    assert run.latencies_ms == pytest.approx([10.0] * 100)
    assert run.open_loop is not None
    assert (run.open_loop.saturated, run.open_loop.longest_queue, run.open_loop.left) == (False, 1, 0)


def test_latency_counts_from_the_arrival() -> None:
    # One every 10 ms, each 4 ms; the tenth takes 104: the next ones wait, by Lindley's recursion.
    service = [0.104 if number == 9 else 0.004 for number in range(100)]
    wait, wanted = 0.0, []
    for taken in service:
        wanted.append((wait + taken) * 1e3)
        wait = max(0.0, wait + taken - 0.010)
    run = opened(lambda number: service[number], 2, Limit(1.0), 100)
    assert sorted(run.latencies_ms) == pytest.approx(sorted(wanted), abs=1e-6)
    assert run.open_loop is not None
    assert not run.open_loop.saturated
    # The closed loop on the same device shows only the one slow request.
    assert summary(closed(lambda number: service[number], 1, Limit(None, 100)).latencies_ms).p95 == pytest.approx(4.0)
    assert summary(run.latencies_ms).p95 > 50


def test_a_rate_far_above_the_capacity_is_saturated() -> None:
    run = opened(0.010, 4, Limit(2.0), 150)
    assert run.open_loop is not None
    assert run.open_loop.saturated
    assert run.open_loop.left == pytest.approx(100, abs=6)  # 300 arrived, 100 per second were completed
    assert run.count + run.open_loop.left == 300
    assert run.duration_s < 2.1  # bounded by the time, not by the queue


def test_a_rate_just_above_the_capacity_is_saturated() -> None:
    run = opened(0.010, 4, Limit(20.0), 102)
    assert run.open_loop is not None
    assert run.open_loop.saturated


def test_a_rate_just_below_the_capacity_is_not_saturated() -> None:
    run = opened(0.010, 4, Limit(5.0), 99)
    assert run.open_loop is not None
    assert (run.open_loop.saturated, run.open_loop.left) == (False, 0)


def test_an_image_of_a_batch_waits_for_the_others() -> None:
    run = opened(0.010, 2, Limit(None, 3), 100, batch=4)
    assert sorted(run.latencies_ms) == pytest.approx(sorted([40, 30, 20, 10] * 3))


def test_a_device_failure_is_a_device_error() -> None:
    clock = FakeClock()
    failing = Behaviour(clock=clock, service_s=0.01, dies_after=5)
    with pytest.raises(DeviceError, match="device lost"):
        closed_loop(requests(failing, 2), Limit(10.0), batch=1, clock=clock)


def test_a_device_failure_in_an_open_loop_is_a_device_error() -> None:
    clock = FakeClock()
    failing = Behaviour(clock=clock, service_s=0.01, dies_after=5)

    def pause(seconds: float) -> None:
        clock.advance_to(clock() + seconds)

    with pytest.raises(DeviceError, match="device lost"):
        open_loop(requests(failing, 2), Limit(10.0), 10.0, batch=1, clock=clock, pause=pause)


def test_a_hanging_request_times_out() -> None:
    clock = FakeClock()
    made = requests(Behaviour(clock=clock, service_s=0.01, hangs={3}), 2)
    with pytest.raises(DeviceError, match="no answer within 60 s"):
        closed_loop(made, Limit(10.0), batch=1, clock=clock)
