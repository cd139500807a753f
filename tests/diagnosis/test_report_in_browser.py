"""The HTML report of a diagnosis as a browser shows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from benchmarking import browser as browsers

from ov_mobilenet.diagnosis.candidates import named_candidates
from ov_mobilenet.diagnosis.diagnosis import Diagnosis
from ov_mobilenet.diagnosis.html_report import diagnosis_page
from ov_mobilenet.diagnosis.ranking import RankedCandidate
from ov_mobilenet.runtime.results import Failure

pytest.importorskip("jinja2")

_ROWS = tuple(
    RankedCandidate(one, 4.465 - 0.3 * number, 0.96 if number < 2 else 0.0, number < 2)
    for number, one in enumerate(named_candidates())
)
IR = Diagnosis(
    model="/a/long/path/without/a/place/to/break/it/mobilenet-v1-0.25-128-of-the-second-training.xml", is_ir=True,
    geometry="resize 256 greater pillow, crop 224", images=100, failures=(Failure("broken.jpg", "not an image"),),
    evidence="mutual_information", candidates=_ROWS, verdict="sure", images_needed=None, baked=_ROWS[3].candidate,
    is_wrong=True,
)  # fmt: skip
SOURCE = replace(
    IR, model="mine.pth", is_ir=False, failures=(), evidence="batch_norm", verdict="likely", images_needed=160,
    candidates=tuple(replace(row, score=-0.003 * 3**number) for number, row in enumerate(_ROWS)),
    baked=None, is_wrong=False,
)  # fmt: skip


@pytest.mark.parametrize(
    ("found", "scheme", "width"), [(IR, "light", 390), (SOURCE, "dark", 1280)], ids=["phone", "dark"]
)
def test_a_browser_shows_the_page(found: Diagnosis, scheme: browsers.Scheme, width: int, tmp_path: Path) -> None:
    browser = browsers.find_browser()
    if browser is None:
        pytest.skip(f"needs a browser: one of {', '.join(browsers.NAMES)}")
    seen = browsers.look(browser, diagnosis_page(found), tmp_path, scheme=scheme, width=width)
    browsers.check_readable(seen, scheme)
    probe = seen.probe
    shown = {text["text"] for text in probe["texts"]}
    assert {f"{row.candidate.name} {row.candidate.channel_order}" for row in _ROWS[4:]} <= shown
    labels = [text for text in probe["texts"] if text["svg"]]
    for one in labels:
        for other in labels:
            apart = one["right"] <= other["left"] + 1 or other["right"] <= one["left"] + 1
            above = one["bottom"] <= other["top"] + 1 or other["bottom"] <= one["top"] + 1
            assert one is other or apart or above, f"{one['text']} covers {other['text']}"
