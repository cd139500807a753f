"""OpenVINO's settings for a CPU quota, which OpenVINO does not read."""

from __future__ import annotations

from ov_mobilenet.devices.processors import cpus_in_mask, usable_cpus


def cpu_settings(streams: int = 1) -> dict[str, str]:
    """Properties of the device CPU in a container whose CPU quota is lower than its number of CPUs; empty otherwise.

    OpenVINO starts one thread per CPU in the affinity mask. The threads then use up the quota together and are all
    stopped until the next period of 100 ms: with half a CPU on two CPUs, the p99 latency is 33 ms with two threads and
    11 ms with one, and one thread gives 1.4 times the throughput.

    It also pins its threads to the first CPUs of the mask: several containers with a quota of one CPU each would share
    one CPU while the others are idle.

    Args:
        streams: the requested number of streams, each of which needs a thread.
    """
    usable = usable_cpus()
    if usable >= cpus_in_mask():
        return {}
    return {"INFERENCE_NUM_THREADS": str(max(usable, streams)), "ENABLE_CPU_PINNING": "NO"}
