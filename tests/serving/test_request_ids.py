from __future__ import annotations

import re

import pytest

from ov_mobilenet.serving.request_ids import request_id_of, trace_id_of

# The example of the W3C recommendation.
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("value", ["a", "job-17/image.3", "x" * 128, "{!~}"])
def test_the_id_of_the_client_is_taken(value: str) -> None:
    assert request_id_of(value) == value


@pytest.mark.parametrize(
    "value", [None, "", "two words", "line\nbreak", "tail\n", "\x1b[31m", "x" * 129, "é", "٣", "\x7f", "a\x00"]
)
def test_any_other_id_is_replaced_by_a_new_one(value: str | None) -> None:
    new = [request_id_of(value) for _ in range(100)]
    assert len(set(new)) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in new)


@pytest.mark.parametrize(
    "value",
    [
        f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00", f" 00-{TRACE}-{PARENT}-01\t",
        f"cc-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-what-comes-later", f"01-{TRACE}-{PARENT}-ff-",
    ],
)  # fmt: skip
def test_the_trace_id_of_a_valid_header_is_taken(value: str) -> None:
    assert trace_id_of(value) == TRACE


@pytest.mark.parametrize(
    "value",
    [
        None, "", TRACE, f"00-{TRACE}-{PARENT}", f"00-{TRACE}-{PARENT}-1", f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01.", f"cc-{TRACE}-{PARENT}-01.", f"cc-{TRACE}-{PARENT}-01what",
        f"ff-{TRACE}-{PARENT}-01", f"00-{TRACE.upper()}-{PARENT}-01", f"00-{TRACE}-{PARENT.upper()}-01",
        f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}0-{PARENT}-01", f"0x-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01\n",
        f"00_{TRACE}_{PARENT}_01", f"00-{'٣' * 32}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-{'x' * 5000}",
    ],
)  # fmt: skip
def test_an_invalid_trace_header_is_ignored(value: str | None) -> None:
    assert trace_id_of(value) == ""
