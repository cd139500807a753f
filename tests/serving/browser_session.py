"""A tab of a headless Chromium, driven over the Chrome DevTools Protocol."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from benchmarking.browser import Scheme
from websockets.sync.client import ClientConnection, connect

if TYPE_CHECKING:
    from typing_extensions import Self

TIMEOUT_S = 60.0
KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " "), "ArrowRight": (39, ""), "ArrowDown": (40, "")}


class BrowserTab:
    """A tab.

    Attributes:
        problems: errors and warnings on the console, exceptions, and violations of the content security policy; not the
            lines that the browser writes for answers such as 401.
        requests: addresses that the page asked for, in order.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self._session = ""
        self.problems: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command; events that arrive before it are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps({**message, "sessionId": self._session} if self._session else message))
        while True:
            answer = json.loads(self._socket.recv(TIMEOUT_S))
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer.get("method", ""), answer.get("params", {}))

    def _note(self, method: str, event: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(event["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(event["exceptionDetails"])[:1000])
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning", "assert"):
            self.problems.append(json.dumps(event["args"])[:1000])
        elif method == "Log.entryAdded" and event["entry"]["source"] != "network":
            self.problems.append(event["entry"]["text"])

    def look_like(self, *, width: int = 1280, height: int = 900, scheme: Scheme = "light") -> None:
        """Set the size of the page in pixels and the colours that the user prefers."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )  # fmt: skip
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url: str) -> None:
        """Open an address and wait until its scripts have run."""
        self.call("Page.navigate", url=url)
        self.wait_for(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        done = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, (expression, done["exceptionDetails"])
        return done["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + TIMEOUT_S
        # A navigation ends the promise, so that each one waits for a short time only.
        promise = f"""new Promise(done => {{
          const started = performance.now();
          const check = () => ({condition}) ? done(true) : performance.now() - started > 500 ? done(false)
            : setTimeout(check, 10);
          check();
        }})"""
        while time.monotonic() < end:
            done = self.call("Runtime.evaluate", expression=promise, awaitPromise=True, returnByValue=True)
            if done["result"].get("value"):
                return
        raise AssertionError(f"never true: {condition}; the page says: {self.text('body')}")

    def text(self, selector: str) -> str:
        """The visible text of an element."""
        found: str = self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")
        return found

    def choose_file(self, selector: str, file: Path) -> None:
        """Choose a file in an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", files=[str(file)], nodeId=node)

    def give_file(self, event: str, data: bytes, name: str, media_type: str) -> None:
        """Drop or paste a file onto the page: `event` is `drop` or `paste`."""
        field, kind = {"drop": ("dataTransfer", "DragEvent"), "paste": ("clipboardData", "ClipboardEvent")}[event]
        self.evaluate(f"""{{
          const bytes = Uint8Array.from(atob({json.dumps(base64.b64encode(data).decode())}), c => c.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], {json.dumps(name)}, {{type: {json.dumps(media_type)}}}));
          document.body.dispatchEvent(new {kind}({json.dumps(event)},
            {{bubbles: true, cancelable: true, {field}: transfer}}));
        }}""")

    def press(self, key: str) -> None:
        """Press a key."""
        code, text = KEYS[key]
        for kind in ("keyDown", "keyUp"):
            pressed = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **pressed)

    def type_text(self, text: str) -> None:
        """Type into the element that has the focus."""
        self.call("Input.insertText", text=text)

    def screenshot(self, file: Path) -> None:
        """Save the whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(shot["data"]))


class HeadlessBrowser:
    """A headless Chromium with a camera that shows a test pattern; no request leaves the machine."""

    def __init__(self, program: str, folder: Path) -> None:
        self._folder = folder
        profile = folder / "profile"
        self._process = subprocess.Popen(
            [
                program, "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--no-proxy-server",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
                "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={profile}",
                *(["--no-sandbox"] if os.getuid() == 0 else []), "about:blank",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
        assert self._process.stderr is not None
        # The browser says where it listens, and nothing else is read from it.
        self._address = next(
            line.split()[-1] for line in self._process.stderr if line.startswith("DevTools listening on ")
        )

    @contextmanager
    def tab(self) -> Iterator[BrowserTab]:
        """A tab of its own, with storage that no other tab shares."""
        with connect(self._address, max_size=None, proxy=None, open_timeout=TIMEOUT_S) as socket:
            yield BrowserTab(socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stderr is not None
        self._process.terminate()
        self._process.stderr.read()
        self._process.stderr.close()
        self._process.wait(TIMEOUT_S)
