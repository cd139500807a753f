"""The image of demos/edge/serve.Dockerfile: health, token, answers, SIGTERM, restart."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import threading
from pathlib import Path
from time import monotonic

from containers.edge_container import SAMPLES, wait_for
from containers.outcome import expect, report, step
from containers.podman import Podman

PORT = 8000
IMAGE = "stop_blue_01.jpg"


def check_serve(podman: Podman, image: str, folder: Path) -> None:
    """Start, ask, stop and start again. Raises: ExpectationError."""
    token = folder / "token"
    token.write_text(secrets.token_hex(32), "ascii")
    token.chmod(0o400)
    os.chown(token, 10001, 10001)
    secret = token.read_text("ascii")
    with step("serve: the health check turns healthy, with nothing that can be written"):
        started = monotonic()
        podman.start(
            "--name=serve", f"--publish=127.0.0.1:{PORT}:{PORT}", f"--volume={token}:/run/secrets/token:ro", image
        )  # fmt: skip
        wait_for(lambda: _status("/v2/health/ready") == 200, "the server is ready")
        first_s = monotonic() - started
        check = podman.call("healthcheck", "run", "serve")
        health = podman.inspect("container", "serve", ".State.Healthcheck.Status")
        expect((check.returncode, health) == (0, "healthy"), "healthy", (check.returncode, health, check.stderr))
    with step("serve: a request with the token is answered as by classify, without it refused"):
        body = (SAMPLES / IMAGE).read_bytes()
        refused = [_status("/v1/classify", body), _status("/v1/classify", body, token="0" * 64)]
        expect(refused == [401, 401], "401 without the token and with another", refused)
        status, answer = _post(body, secret)
        expect(status == 200, "200 with the token", (status, answer))
        told = podman.run(
            "--rm", "--network=none", f"--volume={SAMPLES}:/images:ro", "--entrypoint=ov-mobilenet", image,
            "classify", "mobilenet-v1-0.25-128-signs", f"/images/{IMAGE}", "--format", "jsonl",
        )  # fmt: skip
        expect(told.returncode == 0, "`ov-mobilenet classify` in the same image", told.stderr)
        expected = json.loads(told.stdout)["predictions"]
        expect(answer["predictions"] == expected, f"the predictions of classify: {expected}", answer)
    with step("serve: SIGTERM finishes the running request"):
        _stop_during_a_request(podman, body, secret, expected)
    # The model is in the image: where nothing can be written, a conversion would fail.
    with step("serve: the container starts again"):
        started = monotonic()
        podman.succeeds("start", "serve")
        wait_for(lambda: _status("/v2/health/ready") == 200, "the server is ready again")
        report(f"    serve: ready after {first_s:.1f} s, restarted after {monotonic() - started:.1f} s")
        podman.succeeds("stop", "--time=40", "serve")


def _connection() -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _status(path: str, body: bytes | None = None, token: str = "") -> int:
    """The status of an answer; 0 if the server cannot be reached."""
    connection = _connection()
    try:
        connection.request("GET" if body is None else "POST", path, body, _headers(token))
        return connection.getresponse().status
    except OSError:
        return 0
    except http.client.HTTPException:
        return 0
    finally:
        connection.close()


def _post(body: bytes, token: str) -> tuple[int, dict[str, object]]:
    connection = _connection()
    try:
        connection.request("POST", "/v1/classify", body, _headers(token))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _stop_during_a_request(podman: Podman, body: bytes, token: str, expected: object) -> None:
    """A request of which half has arrived when the container is stopped."""
    connection = _connection()
    connection.putrequest("POST", "/v1/classify")
    for name, value in {**_headers(token), "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body[: len(body) // 2])
    codes = list[int]()
    stopping = threading.Thread(target=lambda: codes.append(podman.call("stop", "--time=40", "serve").returncode))
    started = monotonic()
    stopping.start()
    try:
        wait_for(lambda: _status("/v2/health/ready") != 200, "the server takes no more requests after SIGTERM")
        connection.send(body[len(body) // 2 :])
        answer = connection.getresponse()
        told = answer.status, json.loads(answer.read())
    finally:
        connection.close()
        stopping.join()
    expect(told[0] == 200 and told[1]["predictions"] == expected, "the running request is answered", told)
    code = podman.inspect("container", "serve", ".State.ExitCode")
    expect((codes, code) == ([0], 0), "exit code 0 after SIGTERM", (codes, code))
    report(f"    serve: stopped {monotonic() - started:.1f} s after SIGTERM")
