from __future__ import annotations

import functools
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from benchmarking import browser as browsers
from hypothesis import given
from hypothesis import strategies as st
from parsed_page import Page

from ov_mobilenet.benchmarking.html import labels, plots, tables
from ov_mobilenet.benchmarking.html_report import html_report
from ov_mobilenet.benchmarking.measurement import Histogram, Latency, Measurement, OpenLoop, Spread
from ov_mobilenet.benchmarking.report import Load, Report, read_report
from ov_mobilenet.errors import MissingDependencyError

pytest.importorskip("jinja2")
replace = msgspec.structs.replace

SAMPLE = Path(__file__).parent / "data" / "benchmark.json"
REPORT = read_report(SAMPLE)
HOSTILE = (
    '<script>alert(1)</script>"><img src=http://example.invalid/x onerror=alert(1)>$\\frac$ \x00\x1b[31m\udcff&amp;'
)


def many() -> Report:
    """24 measurements: those of the sample with other streams and batch sizes; one did not keep up with its rate."""
    measured = [
        replace(
            one, num_streams=streams, batch=batch, throughput_fps=one.throughput_fps * streams**0.5 * batch**0.2,
            latency_ms=replace(one.latency_ms, p50=one.latency_ms.p50 * batch, p95=one.latency_ms.p95 * batch),
        )
        for one in (REPORT.measurements[0], REPORT.measurements[1], REPORT.measurements[3])
        for streams in (1, 2) for batch in (1, 2, 4, 8)
    ]  # fmt: skip
    measured[5] = replace(measured[5], open_loop=OpenLoop(2000.0, True, 4431, 4021), failed=3)
    machine = replace(REPORT.machine, load=Load(3.1, 0.61, True))
    return replace(REPORT, measurements=tuple(measured), machine=machine)


@functools.cache
def page_of_many() -> str:
    return html_report(many())


def single() -> Report:
    return replace(REPORT, measurements=REPORT.measurements[:1], comparisons=(), failures=())


def hostile() -> Report:
    """The sample with an attack in place of every text."""

    def attack(value: object) -> object:
        if isinstance(value, dict):
            return {
                HOSTILE if key == "decode" and isinstance(inner, dict) else key: attack(inner)
                if key not in ("mode", "way")
                else inner
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [attack(inner) for inner in value]
        return HOSTILE if isinstance(value, str) else value

    return msgspec.convert(attack(msgspec.to_builtins(REPORT)), Report)


def test_the_table_contains_the_figures_of_every_measurement() -> None:
    rows = Page(html_report(REPORT)).rows
    head = next(row for row in rows if "FPS" in row and "p99 ms" in row)
    table = rows[rows.index(head) + 1 :][:4]
    named = [dict(zip(head, row, strict=True)) for row in table]
    assert [row["no."] for row in named] == ["1", "2", "3", "4"]
    assert [row["FPS"] for row in named] == ["1,043", "448.7", "600.1", "5,821"]
    assert [row["p50 ms"] for row in named] == ["3.81", "18.23", "0.409", "0.694"]
    assert [row["p99.9 ms"] for row in named] == ["5.54", "26.48", "0.583", "0.972"]
    assert [row["precision"] for row in named] == ["bf16", "bf16", "bf16", "f32"]
    assert [row["batch"] for row in named] == ["1", "4", "1", "1"]


def test_a_section_without_data_is_left_out() -> None:
    everything = ["Failures", "Measurements", "Throughput against latency", "Comparisons",
                  "Latency distribution and throughput over time", "Stages, end to end", "Images at a fixed rate",
                  "Start-up", "Layers", "Machine"]  # fmt: skip
    assert Page(html_report(REPORT)).headings() == everything
    only = replace(REPORT.measurements[0], layers=None, start_up_ms=None)
    left = ["Measurements", "Throughput against latency", "Latency distribution and throughput over time", "Machine"]
    assert Page(html_report(replace(single(), measurements=(only,)))).headings() == left
    nothing = replace(REPORT, measurements=(), comparisons=())
    assert Page(html_report(nothing)).headings() == ["Failures", "Machine"]


def test_warnings_are_written_in_words() -> None:
    without, with_all = Page(html_report(single())).all_text(), Page(page_of_many()).all_text()
    for words in ("was busy before", "saturated", "slower than allowed", "device NPU is not here"):
        assert words in with_all
        assert words not in without


def test_extreme_figures_are_drawn() -> None:
    """All latencies equal, all 0, no request completed, and nine decades on one axis."""
    usual = REPORT.measurements[0]
    names = Latency.__struct_fields__

    def measured(latency: float, longest: float, histogram: Histogram, fps: tuple[float, ...]) -> Measurement:
        low, high = min(fps, default=None), max(fps, default=None)
        return replace(
            usual, throughput_fps=high or 0.0, histogram=histogram, spread=Spread(1.0, fps, low, high, high, None),
            latency_ms=Latency(**{**dict.fromkeys(names, latency), "p99": longest, "max": longest}),
        )  # fmt: skip

    cases = (
        measured(2.5, 2.5, Histogram((2.5,) * 25, (0,) * 23 + (5,)), (5.0,)),
        measured(0.0, 0.0, Histogram((0.0, 0.0, 0.0), (0, 5)), (0.0, 0.0)),
        measured(0.0, 0.0, Histogram((), ()), ()),
        measured(1e-5, 1e4, Histogram((1e-5, 0.1, 1e4), (99_999, 1)), (1e5, 1.0)),
    )
    for case in (*((each,) for each in cases), cases):
        page = Page(html_report(replace(REPORT, measurements=case, comparisons=REPORT.comparisons[:1])))
        assert page.tags["svg"] >= 2
        assert not re.search(r"\b(nan|inf)\b", page.all_text())


def test_texts_are_escaped() -> None:
    text = html_report(hostile())
    text.encode()
    page = Page(text)
    assert set(page.tags) <= set(Page(html_report(REPORT)).tags)
    assert not {"script", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.all_text()
    assert not re.search("[\x00\x1b\ud800-\udfff]", page.all_text())


def test_the_page_makes_no_request() -> None:
    page = Page(page_of_many())
    addresses = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "srcset", "data")]
    assert addresses
    assert all(value.startswith("#") for value in addresses)
    assert "url(" not in page_of_many()
    assert "@import" not in page_of_many()
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in page.attributes


def test_ids_are_unique_and_every_reference_has_its_target() -> None:
    page = page_of_many()
    ids = [value for name, value in Page(page).attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)', page)) == set(ids) == {f"measurement-{n}" for n in range(1, 25)}


def test_the_same_report_gives_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib, pathlib, sys; from ov_mobilenet.benchmarking.html_report import html_report; "
        "from ov_mobilenet.benchmarking.report import read_report; "
        "page = html_report(read_report(pathlib.Path(sys.argv[1]))); "
        "print(hashlib.sha256(page.encode()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code, str(SAMPLE)], capture_output=True, env=environment, check=True)
    assert done.stdout.decode().strip() == hashlib.sha256(html_report(REPORT).encode()).hexdigest()


def test_without_jinja2_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingDependencyError, match=r"\[report\]"):
        html_report(REPORT)


def test_every_point_is_numbered() -> None:
    page = page_of_many()
    drawing = page[page.index('aria-label="Throughput against latency') :]
    drawing = drawing[: drawing.index("</svg>")]
    texts = [text for tag, text in Page(drawing).texts if tag == "text"]
    assert {str(number) for number in range(1, 25)} <= set(texts)
    titles = [text for tag, text in Page(drawing).texts if tag == "title"]
    assert len(titles) == 24


def test_times_of_layers_are_called_medians() -> None:
    text = Page(html_report(REPORT)).all_text()
    layers = text[text.index("As reported by the device") :]
    assert re.search(r"each time is the median of\s+200 requests", layers)
    assert "mean" not in layers


def test_stages_are_shown_relative_to_the_slowest_measurement() -> None:
    labelled = labels.label(REPORT.measurements)
    (row,) = tables.stage_rows(labelled, tables.stage_names(labelled))
    assert row.entry.key == "2"
    assert sum(row.shares) == pytest.approx(1)
    stages = REPORT.measurements[1].stages_ms
    assert stages is not None
    assert row.shares[2] / row.shares[0] == pytest.approx(stages["queue"].mean / stages["decode"].mean)
    assert row.cells[0] == "1.51 / 1.84"


def test_labels_name_only_what_differs() -> None:
    labelled = labels.label(REPORT.measurements)
    assert labelled.common["weights"] == "FP16"
    assert labelled.entries[0].label == "mobilenet-v2-pytorch · inference · bf16 · requests 4 · batch 1"
    int8 = replace(REPORT.measurements[0], network=replace(REPORT.measurements[0].network, precision="INT8"))
    both = labels.label((REPORT.measurements[0], int8))
    assert [entry.label for entry in both.entries] == ["mobilenet-v2-pytorch · FP16", "mobilenet-v2-pytorch · INT8"]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12))
def test_the_front_contains_what_no_other_measurement_beats(places: list[tuple[int, int]]) -> None:
    def at(latency: int, fps: int) -> Measurement:
        some = REPORT.measurements[0]
        return replace(some, throughput_fps=float(fps), latency_ms=replace(some.latency_ms, p50=float(latency)))

    expected = {
        (latency, fps)
        for latency, fps in places
        if not any(le <= latency and f >= fps and (le, f) != (latency, fps) for le, f in places)
    }
    kept = [(it.latency_ms.p50, it.throughput_fps) for it in plots.pareto_front([at(*place) for place in places])]
    assert kept == sorted(expected)


@pytest.fixture
def browser() -> str:
    path = browsers.find_browser()
    if path is None:
        pytest.skip(f"needs a browser: one of {', '.join(browsers.NAMES)}")
    return path


@pytest.mark.parametrize(
    ("report", "scheme", "width"),
    [
        (REPORT, "light", 390), (REPORT, "dark", 1280), (single(), "dark", 390), (many(), "light", 1280),
        (hostile(), "light", 390),
    ],
    ids=["phone", "dark", "one-phone-dark", "many", "hostile"],
)  # fmt: skip
def test_a_browser_shows_the_page(
    browser: str, report: Report, scheme: browsers.Scheme, width: int, tmp_path: Path
) -> None:
    seen = browsers.look(browser, html_report(report), tmp_path, scheme=scheme, width=width)
    browsers.check_readable(seen, scheme)
    probe = seen.probe
    assert probe["scripts"] == 0
    assert len(probe["texts"]) > 50


def test_on_paper_the_tables_fit_and_the_colours_are_light(browser: str, tmp_path: Path) -> None:
    assert page_of_many().count("@media print") == 1
    printed = page_of_many().replace("@media print", "@media all")
    across = 1031  # A4 landscape: 297 mm at 96 pixels per inch, less two margins of 12 mm
    probe = browsers.look(browser, printed, tmp_path, scheme="dark", width=across).probe
    assert probe["paper"] in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    assert max(text["right"] for text in probe["texts"]) <= across
    assert min(browsers.contrast(text["colour"], text["behind"]) for text in probe["texts"]) >= 4.5


def test_the_browser_detects_a_request_a_script_and_an_overflow(browser: str, tmp_path: Path) -> None:
    """The browser tests above can fail: each of these faults is detected."""
    wrong = '<p style="width:900px">x</p><img src="https://example.invalid/a.png"><script>nowhere()</script>'
    seen = browsers.look(browser, wrong, tmp_path, scheme="light", width=390)
    assert "https://example.invalid/a.png" in seen.requests
    assert any("nowhere" in line for line in seen.console)
    assert seen.probe["content"] > seen.probe["width"]
