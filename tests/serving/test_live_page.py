"""The live page: its files over HTTP, and in a real headless Chromium what a user does and sees."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
import requests
from benchmarking.browser import Scheme, contrast, find_browser
from serving.browser_session import BrowserTab, HeadlessBrowser
from serving.sample_server import SAMPLE, sample_server

import ov_mobilenet as ovm
from ov_mobilenet import Classifier
from ov_mobilenet.serving.server import Server
from ov_mobilenet.serving.settings import ServerSettings

SAMPLES = ovm.find_config(SAMPLE).folder / "samples"
SIGN = SAMPLES / "stop_red_01.jpg"
TOKEN = "a token with 24 characters".replace(" ", "-")
HOSTILE = "<img src=x onerror=alert(1)>\"'&<script>alert(2)</script>"


def test_every_file_that_the_page_names_is_served(server: Server) -> None:
    page = requests.get(f"{server.url}/", timeout=60)
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    wanted, seen = re.findall(r'(?:href|src)="(/[^"]+)"', page.text), set()
    while wanted:
        path = wanted.pop()
        answer = requests.get(server.url + path, timeout=60)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"].startswith("text/css" if path.endswith(".css") else "text/javascript")
        assert answer.headers["content-security-policy"] == policy
        seen.add(path)
        wanted += [f"/assets/{name}" for name in re.findall(r'from "\./([a-z]+\.js)"', answer.text)]
        wanted = [path for path in wanted if path not in seen]
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", answer.text), path  # nothing from elsewhere
    assert len(seen) == 9


def test_an_unchanged_file_is_not_sent_again(server: Server) -> None:
    first = requests.get(f"{server.url}/", timeout=60)
    again = requests.get(f"{server.url}/", headers={"If-None-Match": first.headers["etag"]}, timeout=60)
    assert (again.status_code, again.content) == (304, b"")


def test_the_status_counts_what_was_answered(signs_classifier: Classifier) -> None:
    with sample_server(signs_classifier) as server:
        described = requests.get(f"{server.url}/v1/models", timeout=60).json()["models"][0]
        assert (described["name"], described["classes"], described["input_size"]) == ("signs", 16, [128, 128])
        assert "127.5" in described["facts"]["Normalisation"]
        for data in (SIGN.read_bytes(), b"no image"):
            requests.post(f"{server.url}/v1/classify", data=data, timeout=60)
        status = requests.get(f"{server.url}/v1/status", timeout=60).json()
        end = monotonic() + 60
        while not any(status["last_minute"]["images"]) and monotonic() < end:  # has whole seconds only
            status = requests.get(f"{server.url}/v1/status", timeout=60).json()
    (model,) = status["models"]
    assert (model["name"], model["ready"], model["images"], model["errors"]) == ("signs", True, 1, 1)
    assert sum(status["last_minute"]["images"]) == 1
    assert len(status["last_minute"]["p50_ms"]) == 60


def test_the_page_needs_no_token_and_what_it_asks_for_does(signs_classifier: Classifier) -> None:
    with sample_server(signs_classifier, token=TOKEN) as server:
        assert requests.get(f"{server.url}/", timeout=60).status_code == 200
        assert requests.get(f"{server.url}/assets/page.js", timeout=60).status_code == 200
        for path in ("/v1/status", "/v1/models", "/metrics"):
            assert requests.get(server.url + path, timeout=60).status_code == 401
            allowed = requests.get(server.url + path, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
            assert allowed.status_code == 200


# In a browser.


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadlessBrowser]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium on the PATH")
    with HeadlessBrowser(program, tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture
def tab(browser: HeadlessBrowser) -> Iterator[BrowserTab]:
    with browser.tab() as opened:
        yield opened


def show(tab: BrowserTab, server: Server) -> None:
    tab.open(f"{server.url}/")
    tab.wait_for("document.querySelector('#server').textContent.startsWith('Ready')")


def check(tab: BrowserTab, server: Server) -> None:
    """No errors, no violations of the policy, no request to another address."""
    assert tab.problems == []
    assert [url for url in tab.requests if not url.startswith((server.url, "data:", "blob:"))] == []


def best(tab: BrowserTab) -> tuple[str, str]:
    tab.wait_for("document.querySelectorAll('#predictions li').length === 5")
    return tab.text("#predictions li .label"), tab.text("#predictions li .percent")


@pytest.fixture(scope="module")
def expected(signs_classifier: Classifier) -> tuple[str, str]:
    found = signs_classifier.classify(SIGN).best
    return found.label, f"{found.probability * 100:.1f} %"


@pytest.mark.full
@pytest.mark.parametrize("way", ["choose", "drop", "paste"])
def test_an_image_of_the_user_is_classified(
    tab: BrowserTab, server: Server, expected: tuple[str, str], way: str
) -> None:
    show(tab, server)
    if way == "choose":
        tab.choose_file("#file", SIGN)
    else:
        tab.give_file(way, SIGN.read_bytes(), "sign.jpg", "image/jpeg")
    assert best(tab) == expected
    tab.wait_for("document.querySelector('#preview').naturalWidth > 0")
    stages = tab.text("#latency-stages")
    assert all(stage in stages for stage in ("Decode", "Geometry", "Queue", "Inference"))
    tab.wait_for("!document.querySelector('#throughput .values').textContent.includes('0 images/s')"
                 " || document.querySelector('.card .badge').textContent.match(/[1-9]\\d* images/)")  # fmt: skip
    check(tab, server)


@pytest.mark.full
def test_frames_of_the_webcam_are_classified_one_after_the_other(tab: BrowserTab, server: Server) -> None:
    show(tab, server)
    tab.evaluate("document.querySelector('#webcam').click()")
    best(tab)
    # Each frame replaces the classes of the one before, which are not shown as outdated meanwhile: it would flicker.
    tab.evaluate("""{
      window.busy = 0;
      new MutationObserver(() => { window.busy += document.querySelector('#predictions').ariaBusy === 'true'; })
        .observe(document.querySelector('#predictions'), {attributes: true});
    }""")
    tab.wait_for("document.querySelector('#source').textContent.includes('frames/s')")
    assert tab.evaluate("window.busy") == 0
    tab.evaluate("document.querySelector('#webcam').click()")
    tab.wait_for("document.querySelector('#webcam').textContent === 'Start webcam'")
    assert not tab.evaluate("document.querySelector('#video').srcObject")
    check(tab, server)


@pytest.mark.full
def test_the_keyboard_reaches_everything(tab: BrowserTab, server: Server) -> None:
    show(tab, server)
    reached = set()
    for _ in range(12):
        tab.press("Tab")
        reached.add(tab.evaluate("document.activeElement.id || document.activeElement.name || "
                                 "document.activeElement.getAttribute('aria-label')"))  # fmt: skip
    assert {"file", "webcam", f"Selected: {'signs'}", "example", "copy"} <= reached


@pytest.mark.full
def test_the_server_says_why_an_image_cannot_be_read(tab: BrowserTab, server: Server) -> None:
    show(tab, server)
    tab.give_file("drop", b"no image at all", HOSTILE, "image/png")
    tab.wait_for("!document.querySelector('#error').hidden")
    refused = requests.post(f"{server.url}/v1/classify", data=b"no image at all", timeout=60)
    assert tab.text("#error") == refused.json()["error"]
    assert tab.text("#source") == HOSTILE  # shown, not run
    assert tab.evaluate("document.querySelectorAll('main script, #source *').length") == 0
    check(tab, server)


@pytest.mark.full
def test_hostile_labels_are_shown_as_text(browser: HeadlessBrowser) -> None:
    labels = tuple(f"{number} {HOSTILE}" for number in range(16))
    classifier = ovm.load_classifier(SAMPLE, device="CPU", labels=labels)
    with sample_server(classifier) as server, browser.tab() as tab:
        show(tab, server)
        tab.choose_file("#file", SIGN)
        label, _ = best(tab)
        assert label in labels
        check(tab, server)


@pytest.mark.full
def test_a_token_is_asked_for_and_kept(
    browser: HeadlessBrowser, signs_classifier: Classifier, expected: tuple[str, str]
) -> None:
    with sample_server(signs_classifier, token=TOKEN) as server, browser.tab() as tab:
        tab.open(f"{server.url}/")
        tab.wait_for("!document.querySelector('#login').hidden")
        assert tab.evaluate("document.activeElement.id") == "token"
        tab.type_text("x" * 24)
        tab.press("Enter")
        tab.wait_for("document.querySelector('#login-error').textContent !== ''")
        tab.type_text(TOKEN)
        tab.press("Enter")
        tab.wait_for("document.querySelector('#server').textContent.startsWith('Ready')")
        tab.choose_file("#file", SIGN)
        assert best(tab) == expected
        assert "$TOKEN" in tab.text("#example")
        assert TOKEN not in tab.text("body")
        show(tab, server)  # opened again: the token is kept for this tab
        check(tab, server)


@pytest.mark.full
def test_another_model_is_chosen_by_its_card_and_in_the_list(
    browser: HeadlessBrowser, signs_classifier: Classifier, expected: tuple[str, str]
) -> None:
    other = ovm.load_classifier(SAMPLE, device="CPU", labels=tuple(f"thing {number}" for number in range(16)))
    settings = ServerSettings(port=0, grpc_port=0)
    with Server({"signs": signs_classifier, "things": other}, settings) as server, browser.tab() as tab:
        show(tab, server)
        tab.choose_file("#file", SIGN)
        assert best(tab) == expected
        tab.evaluate("document.querySelector('[data-model=things] button').focus()")
        tab.press("Enter")
        tab.wait_for("document.querySelector('#predictions li .label').textContent.startsWith('thing')")
        assert tab.evaluate("document.querySelector('#model').value") == "things"
        assert "model=things" in tab.text("#example")
        assert tab.evaluate("document.activeElement.closest('.card').dataset.model") == "things"  # keeps the focus
        tab.evaluate("document.querySelector('#model').focus()")
        tab.evaluate("{const list = document.querySelector('#model'); list.value = 'signs';"
                     " list.dispatchEvent(new Event('change', {bubbles: true}))}")  # fmt: skip
        tab.wait_for(f"document.querySelector('#predictions li .label').textContent === {json.dumps(expected[0])}")
        check(tab, server)


@pytest.mark.full
def test_a_model_that_is_not_ready_says_why(browser: HeadlessBrowser, signs_classifier: Classifier) -> None:
    with sample_server(signs_classifier, allow_model_control=True) as server, browser.tab() as tab:
        show(tab, server)
        requests.post(f"{server.url}/v2/repository/models/signs/unload", json={}, timeout=60).raise_for_status()
        tab.wait_for("document.querySelector('#model-state').textContent.includes('unloaded')")
        tab.choose_file("#file", SIGN)
        tab.wait_for("document.querySelector('#error').textContent.includes('not ready')")
        requests.post(f"{server.url}/v2/repository/models/signs/load", json={}, timeout=60).raise_for_status()
        tab.wait_for("document.querySelector('#model-state').hidden")
        tab.choose_file("#file", SIGN)
        best(tab)
        check(tab, server)


# Every visible text with its colour, what is behind it, and its place.
TEXTS = """[...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && !e.closest('.visually-hidden')
  && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())).map(e => {
    const opaque = at => !/, 0\\)$|^transparent$/.test(getComputedStyle(at).backgroundColor);
    let at = e;
    while (at.parentElement && !opaque(at)) at = at.parentElement;
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    return {text: e.textContent.trim().slice(0, 40), colour: e.closest('svg') ? style.fill : style.color,
      behind: getComputedStyle(at).backgroundColor, right: box.right, left: box.left, pre: !!e.closest('pre'),
      disabled: !!e.closest(':disabled')};
  })"""


@pytest.mark.full
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_is_legible_and_fits(
    tab: BrowserTab, server: Server, width: int, scheme: Scheme, tmp_path: Path
) -> None:
    tab.look_like(width=width, scheme=scheme)
    show(tab, server)
    tab.choose_file("#file", SIGN)
    best(tab)
    tab.screenshot(tmp_path / f"{width}-{scheme}.png")
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (contrast(paper, "rgb(0, 0, 0)") < 2) == (scheme == "dark")
    texts = tab.evaluate(TEXTS)
    assert len(texts) > 30
    for text in texts:
        if not text["disabled"]:
            assert contrast(text["colour"], text["behind"]) >= 4.5, text
        assert text["pre"] or (text["left"] >= 0 and text["right"] <= width + 1), text
    check(tab, server)


@pytest.mark.full
def test_a_server_that_is_gone_is_said(browser: HeadlessBrowser, signs_classifier: Classifier) -> None:
    with browser.tab() as tab:
        with sample_server(signs_classifier) as server:
            show(tab, server)
        tab.wait_for("document.querySelector('#server').textContent.includes('cannot be reached')")


@pytest.mark.full
def test_the_examples_run(tab: BrowserTab, server: Server) -> None:
    show(tab, server)
    tab.evaluate("document.querySelector('input[value=python]').click()")
    program = tab.text("#example").replace('"image.jpg"', json.dumps(str(SIGN)))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines()[0].endswith("stop red")
    tab.evaluate("document.querySelector('input[value=curl]').click()")
    assert f"{server.url}/v1/classify?model=signs&top_k=5" in tab.text("#example")
