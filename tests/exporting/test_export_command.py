"""The command `export ovms`, and the client program that it writes, against a server that follows the rules."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from exporting.ovms_rules import Refused, Replay, files_in_body
from known_network import Known

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main


@contextmanager
def running(server: Replay) -> Iterator[str]:
    """A server of `POST /v2/models/NAME/infer` with binary data; yields its address."""

    class RestrictedServer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found = re.fullmatch("/v2/models/([^/]+)/infer", self.path)
            try:
                assert found is not None
                request, files = files_in_body(body, int(self.headers["Inference-Header-Content-Length"]))
                model = server.models[found[1]]
                assert request["inputs"][0]["name"] in model.inputs[0].get_names()
                probabilities = server.infer(found[1], files)
                code, answer = 200, {"outputs": [{"name": "x", "data": probabilities.ravel().tolist()}]}
            except Refused as error:
                code, answer = 400, {"error": str(error)}  # type: ignore[dict-item]
            text = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments: object) -> None: ...

    listening = ThreadingHTTPServer(("127.0.0.1", 0), RestrictedServer)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}"
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_shell_client_sends_what_the_server_reads(known: Known, tmp_path: Path) -> None:
    export = ovm.export_ovms(known.xml, tmp_path / "out")
    text = (export.folder / "README.md").read_text("utf-8")
    (line,) = (line for line in text.splitlines() if line.startswith("sh clients/classify.sh"))
    program = [*shlex.split(line)]
    grey = tmp_path / "grey.png"
    with running(Replay(export.config)) as url:
        for number, file in enumerate(known.files[:2]):
            program[2] = str(file)
            done = subprocess.run([*program, url], cwd=export.folder, capture_output=True, text=True, timeout=60)
            assert (done.returncode, done.stderr) == (0, "")
            (output,) = json.loads(done.stdout)["outputs"]
            assert np.abs(np.array(output["data"]) - known.answers[number]).max() < 1e-5
        import cv2

        cv2.imwrite(str(grey), known.frames[0][:, :, 0])
        program[2] = str(grey)
        done = subprocess.run([*program, url], cwd=export.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0
        assert json.loads(done.stdout) == {"error": "INVALID_NO_OF_CHANNELS"}


def test_json_and_one_bad_model(known: Known, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["export", "ovms", str(known.xml), "--name", "bad=no-such.xml", "-o", str(out), "--format", "json"]
    assert main([*arguments, "--batch", "1:4"]) == 1
    captured = capsys.readouterr()
    good, bad = json.loads(captured.out)
    assert good == {
        "schema_version": 1, "model": "small", "source": str(known.xml),
        "xml": str(out / "models" / "small" / "1" / "small.xml"), "config": str(out / "config.json"),
        "precision": "FP32", "batch": "1:4", "input_size": [32, 32], "geometry_baked": False,
    }  # fmt: skip
    assert (bad["schema_version"], bad["model"]) == (1, "bad")
    assert "no such IR" in bad["error"]
    assert "1 of 2 models failed and are not in config.json: bad" in captured.err
    assert Path(good["xml"]).is_file()
    assert main(["export", "ovms", "no-such.xml", "-o", str(tmp_path / "none"), "--format", "json"]) == 1
    assert capsys.readouterr().out == ""


def test_the_table_names_the_readme(known: Known, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "ovms", str(known.xml), "-o", str(tmp_path / "out"), "--bake-geometry"]) == 0
    captured = capsys.readouterr()
    head, row = (line.split() for line in captured.out.splitlines() if "─" not in line)
    assert head[:4] == ["model", "precision", "batch", "input"]
    assert row[:4] == ["small", "FP32", "1", "any"]
    assert f"{tmp_path / 'out' / 'README.md'}" in captured.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--output"),
        (["-o", "out", "--batch", "-1"], "the server does not resize images"),
        (["-o", "out", "--batch", "1:4", "--bake-geometry"], "runs one image per request"),
        (["-o", "out", "--geometry", "resize 32"], "expected --bake-geometry"),
        (["-o", "out", "--geometry", "resize x", "--bake-geometry"], "geometry"),
        (["-o", "out", "--name", "a b=x.xml"], "invalid name"),
        (["-o", "out", "--name", "small=x.xml"], "two models have the same name"),
        (["-o", "out", "--name", "Small=x.xml"], "differ only in upper and lower case"),
        (["-o", "out", "--name", "b=x.xml", "--profile", "p.yml"], "profile is for a single model"),
        (["-o", "out", "--device", "AUTO:"], "device"),
        (["-o", "."], "invalid output"),
    ],
)
def test_wrong_usage(
    options: list[str], message: str, known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["export", "ovms", str(known.xml), *options]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
