"""Shows a page in a headless Chromium; returns its measured layout, its console output and its network requests."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

NAMES = ("chromium", "chromium-browser", "google-chrome")
Scheme = Literal["dark", "light"]

# Reads the page from outside its frame, because the page itself allows no script. Only visible text counts.
PROBE = """
const frame = document.querySelector("iframe"), inner = frame.contentDocument, view = frame.contentWindow;
const opaque = colour => !/, 0\\)$|^transparent$/.test(colour);
const behind = element => {
  for (let at = element; at; at = at.parentElement) {
    const colour = view.getComputedStyle(at).backgroundColor;
    if (opaque(colour)) return colour;
  }
  return "none";
};
const texts = [];
const walker = inner.createTreeWalker(inner.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
  const range = inner.createRange();
  range.selectNodeContents(walker.currentNode);
  const box = range.getBoundingClientRect();
  if (!text || !box.width) continue;
  const style = view.getComputedStyle(element), svg = element.closest("svg"), around = svg?.getBoundingClientRect();
  texts.push({
    text, colour: svg ? style.fill : style.color, behind: behind(element), left: box.left, right: box.right,
    top: box.top, bottom: box.bottom, scrolls: !!element.closest(".scroll"),
    pixels: svg ? box.height : parseFloat(style.fontSize),
    svg: svg && [around.left, around.top, around.right, around.bottom],
  });
}
const root = inner.documentElement;
document.body.append(Object.assign(document.createElement("pre"), {id: "probe", textContent: JSON.stringify({
  width: root.clientWidth, content: root.scrollWidth, paper: view.getComputedStyle(inner.body).backgroundColor, texts,
  scripts: inner.scripts.length,
})}));
"""


@dataclass(frozen=True)
class PageView:
    """Lines on the console, requested addresses, and what the probe measured."""

    console: list[str]
    requests: set[str]
    probe: dict[str, Any]


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


def look(browser: str, page: str, folder: Path, *, scheme: Scheme, width: int) -> PageView:
    """Show a page in a frame of this width in pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    file, log = folder / "page.html", folder / "net.json"
    frame = f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{html.escape(page)}"></iframe>'
    file.write_text(f"<!doctype html><body>{frame}<script>onload=()=>{{{PROBE}}}</script></body>", "utf-8")
    done = subprocess.run(
        [
            browser, "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-proxy-server",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--enable-logging=stderr", "--v=0",
            f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}", "--window-size=1400,1000",
            *(["--no-sandbox"] if os.getuid() == 0 else []), "--dump-dom", file.as_uri(),
        ],
        capture_output=True, encoding="utf-8", timeout=120, check=True,
    )  # fmt: skip
    match = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match, f"the page was not shown: {done.stderr[-2000:]}"
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return PageView(console, _requests(log.read_text("utf-8")), json.loads(html.unescape(match[1])))


def check_readable(seen: PageView, scheme: Scheme) -> None:
    """Assert that a page requests nothing, fits its width, has the colours of the scheme, and its texts are legible."""
    assert seen.console == []
    assert seen.requests == set()
    probe = seen.probe
    assert probe["content"] <= probe["width"], "the page scrolls sideways"
    assert (contrast(probe["paper"], "rgb(0, 0, 0)") < 2) == (scheme == "dark")
    for text in probe["texts"]:
        assert contrast(text["colour"], text["behind"]) >= 4.5, text
        assert text["pixels"] >= 10, text
        if text["svg"]:
            left, top, right, bottom = text["svg"]
            inside = left - 2 <= text["left"] and text["right"] <= right + 2
            assert inside and top - 2 <= text["top"] and text["bottom"] <= bottom + 2, text
        elif not text["scrolls"]:
            assert text["left"] >= 0 and text["right"] <= probe["width"] + 1, text


def _requests(net_log: str) -> set[str]:
    """Addresses that the page requested; requests of the browser itself have no origin."""
    asked = [event.get("params", {}) for event in json.loads(net_log)["events"]]
    started = [params for params in asked if params.get("initiator", "not an origin") != "not an origin"]
    return {params["url"] for params in started if params["url"].startswith(("http:", "https:", "ws:", "wss:", "ftp:"))}


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two `rgb(r, g, b)` by WCAG 2.2, from 1 to 21."""
    bright, dark = sorted(map(_luminance, (one, other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
