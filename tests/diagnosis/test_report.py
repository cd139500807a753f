"""The words and the HTML report of a diagnosis that is written by hand."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import pytest
from parsed_page import Page

from ov_mobilenet.diagnosis import summary
from ov_mobilenet.diagnosis.candidates import Candidate
from ov_mobilenet.diagnosis.diagnosis import Diagnosis
from ov_mobilenet.diagnosis.html_report import diagnosis_page
from ov_mobilenet.diagnosis.ranking import RankedCandidate
from ov_mobilenet.diagnosis.score_plot import score_plot
from ov_mobilenet.errors import MissingDependencyError
from ov_mobilenet.runtime.results import Failure

pytest.importorskip("jinja2")

HOSTILE = '<script>alert(1)</script>"><img src=http://example.invalid/x onerror=alert(1)>\x00\x1b[31m\udcff&amp;'
RIGHT = Candidate(name="tensorflow", channel_order="RGB", mean=(127.5,), scale=(127.5,))
ALIKE = Candidate(name="given", channel_order="RGB", mean=(127.0, 128.0, 127.25), scale=(127.5,))
BAKED = Candidate(name="caffe", channel_order="BGR", mean=(103.939, 116.779, 123.68))
WRONG_IR = Diagnosis(
    model="mine.xml", is_ir=True, geometry="resize 128", images=40, evidence="mutual_information",
    failures=(Failure("images/broken.jpg", "not an image"),),
    candidates=(
        RankedCandidate(RIGHT, 2.5, 0.97, True), RankedCandidate(ALIKE, 2.49, 0.97, True),
        RankedCandidate(BAKED, 1.0, 0.03, False),
    ),
    verdict="sure", images_needed=None, baked=BAKED, is_wrong=True,
)  # fmt: skip
BY_STATISTICS = replace(
    WRONG_IR, model="mine.pth", is_ir=False, evidence="batch_norm", baked=None, is_wrong=False, failures=(),
    candidates=(
        RankedCandidate(RIGHT, -0.0031, 0.9, True), RankedCandidate(BAKED, -0.031, 0.1, False),
        RankedCandidate(Candidate(name="0..255", channel_order="RGB"), -5174.0, 0.0, False),
    ),
    verdict="likely", images_needed=60,
)  # fmt: skip


def test_the_table_has_the_figures_of_every_candidate() -> None:
    head, *rows = Page(diagnosis_page(WRONG_IR)).rows[:4]
    named = [dict(zip(head, row, strict=True)) for row in rows]
    assert [row["normalisation"] for row in named] == ["tensorflow", "given", "caffe"]
    assert [row["mutual information"] for row in named] == ["2.500", "2.490", "1.000"]
    assert [row["best in"] for row in named] == ["97.0 %", "97.0 %", "3.0 %"]
    assert [row["note"] for row in named] == ["best", "same as the best", "baked"]
    assert named[2]["mean, in the network's order"] == "103.939, 116.779, 123.68"


def test_a_divergence_is_shown_as_a_positive_number_and_is_negative_in_json() -> None:
    rows = Page(diagnosis_page(BY_STATISTICS)).rows
    assert [row[rows[0].index("divergence")] for row in rows[1:4]] == ["0.0031", "0.0310", "5,174"]
    assert [row["score"] for row in BY_STATISTICS.to_dict()["candidates"]] == [-0.0031, -0.031, -5174.0]


def test_bars_of_information_begin_at_zero() -> None:
    plot = score_plot(WRONG_IR)
    lengths = [(bar.end or 0) - plot.axis.start for bar in plot.bars]
    assert lengths[2] / lengths[0] == pytest.approx(1.0 / 2.5, abs=0.01)
    assert [bar.is_best for bar in plot.bars] == [True, True, False]


def test_bars_of_divergence_are_logarithmic_and_say_so() -> None:
    plot = score_plot(BY_STATISTICS)
    ends = [bar.end or 0 for bar in plot.bars]
    decade = ends[1] - ends[0]  # 0.0031 to 0.031
    assert (ends[2] - ends[1]) / decade == pytest.approx(5.22, abs=0.05)  # log10(5174 / 0.031)
    assert "logarithmic" in diagnosis_page(BY_STATISTICS)


@pytest.mark.parametrize("score", [float("nan"), float("-inf"), 0.0, -1e-17, 1e30])
@pytest.mark.parametrize("found", [WRONG_IR, BY_STATISTICS])
def test_extreme_scores_are_drawn(found: Diagnosis, score: float) -> None:
    rows = tuple(replace(row, score=score) for row in found.candidates)
    for candidates in (rows, (*found.candidates[:2], rows[2])):
        page = diagnosis_page(replace(found, candidates=candidates))
        assert not re.search(r'd="[^"]*(nan|inf)', page)
        assert "-0.0" not in page


def test_what_is_baked_is_judged_in_words_with_the_command_that_corrects_it() -> None:
    wrong = Page(diagnosis_page(WRONG_IR)).all_text()
    assert "What is baked is wrong" in wrong
    assert "--preset tensorflow" in wrong
    right = replace(WRONG_IR, is_wrong=False, baked=ALIKE)
    text = Page(diagnosis_page(right)).all_text()
    assert "wrong" not in text and "--mean-values" not in text
    assert summary.baked_in_words(right) == "given RGB (mean 127, 128, 127.25; scale 127.5): the best"
    pixels = Candidate(name="0..255", channel_order="BGR")
    assert summary.baked_in_words(replace(WRONG_IR, baked=pixels)) == "nothing, so 0..255 BGR: wrong"
    raw = replace(WRONG_IR, is_wrong=False, baked=None)
    assert summary.baked_in_words(raw) == "not known, so 0..255 BGR: nothing is significantly better"


def test_a_verdict_that_is_not_sure_names_what_else_is_possible() -> None:
    assert summary.verdict_in_words(BY_STATISTICS).endswith("; also possible: caffe BGR")
    assert "also possible" not in summary.verdict_in_words(WRONG_IR)


def test_advice_for_a_source_network_is_the_conversion() -> None:
    more, convert = summary.advice(BY_STATISTICS)
    assert "60 images" in more.text
    assert "--limit" not in more.text
    assert summary.advice(replace(BY_STATISTICS, images_needed=300))[0].text.endswith(", with --limit 300.")
    assert convert.command is not None
    assert convert.command.startswith("ov-mobilenet convert --source mine.pth --name NAME --preset tensorflow")
    assert summary.advice(replace(BY_STATISTICS, verdict="undecided", images_needed=None))[0].command is None
    assert len(summary.advice(replace(BY_STATISTICS, verdict="undecided"))) == 1, "nothing is decided"
    spaced = summary.advice(replace(BY_STATISTICS, model="my net.pth"))[1].command
    assert "--source 'my net.pth' " in str(spaced)


def test_unreadable_images_are_listed_if_there_are_any() -> None:
    with_failures, without = Page(diagnosis_page(WRONG_IR)), Page(diagnosis_page(BY_STATISTICS))
    assert with_failures.headings() == ["Candidates", "Images that could not be read", "Details"]
    assert ["images/broken.jpg", "not an image"] in with_failures.rows
    assert without.headings() == ["Candidates", "Details"]


def test_texts_are_escaped() -> None:
    hostile = replace(WRONG_IR, model=HOSTILE, geometry=HOSTILE, failures=(Failure(HOSTILE, HOSTILE),))
    text = diagnosis_page(hostile)
    text.encode()
    page = Page(text)
    assert set(page.tags) == set(Page(diagnosis_page(WRONG_IR)).tags)
    assert not {"script", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not re.search("[\x00\x1b\ud800-\udfff]", page.all_text())


def test_the_page_makes_no_request_and_the_chart_has_a_text_alternative() -> None:
    page = Page(diagnosis_page(WRONG_IR))
    assert not [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "srcset", "data")]
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in page.attributes
    (label,) = [value for name, value in page.attributes if name == "aria-label" and "tensorflow RGB" in value]
    assert "2.500" in label and "97.0 %" in label


def test_the_same_diagnosis_gives_the_same_bytes() -> None:
    assert diagnosis_page(replace(WRONG_IR)) == diagnosis_page(WRONG_IR)


def test_without_jinja2_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingDependencyError, match=r"\[report\]"):
        diagnosis_page(WRONG_IR)
