"""The command `serve`: wrong usage, and one process from its start to its end."""

from __future__ import annotations

import dataclasses
import json
import signal
import socket
import sys
import urllib.request
from pathlib import Path

import click
import pytest
from serving.server_process import SAMPLE, served, start

from ov_mobilenet import ServerSettings, export_ovms, find_config
from ov_mobilenet.cli.main import cli, main
from ov_mobilenet.cli.serve_options import ServerFlags

SIGN = find_config(SAMPLE).folder / "samples" / "stop_red_01.jpg"


def test_every_setting_has_an_option_with_its_default() -> None:
    command = cli.get_command(click.Context(cli), "serve")
    assert command is not None
    settings = {field.name for field in dataclasses.fields(ServerSettings)}
    flags = {field.name for field in dataclasses.fields(ServerFlags)}
    assert (settings - flags, flags - settings) == ({"token"}, {"token_file", "no_grpc"})
    given = {parameter.name for parameter in command.params}
    assert flags <= given
    context = command.make_context("serve", [SAMPLE])
    defaults = ServerSettings()
    for name in settings - {"token"}:
        assert context.params[name] == getattr(defaults, name), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no models"),
        ([SAMPLE, "--host", "0.0.0.0"], "--token-file"),
        ([SAMPLE, "--host", "not a host"], "invalid host"),
        ([SAMPLE, "--port", "70000"], "--port"),
        ([SAMPLE, "--max-queue", "0"], "--max-queue"),
        ([SAMPLE, "--drain-timeout", "-1"], "--drain-timeout"),
        ([SAMPLE, "--token-file", "no-such-file"], "--token-file"),
        ([SAMPLE, "--token-file", "empty"], "the token file holds no token"),
        ([SAMPLE, "--token-file", "short"], "invalid token: too short"),
        ([SAMPLE, "--tls-cert", "empty"], "TLS needs a certificate and its key"),
        ([SAMPLE, SAMPLE], "two models have the same name"),
        (["--name", SAMPLE], "NAME=MODEL"),
        (["--name", f"a b={SAMPLE}"], "invalid name"),
        ([SAMPLE, "--name", f"second={SAMPLE}", "--geometry", "resize 128"], "geometry is for a single model"),
        ([SAMPLE, "--profile", "short", "--batch-size", "2"], "device settings are given twice"),
        ([SAMPLE, "--model-device", "signs=CPU"], "not loaded here"),
        ([SAMPLE, "--model-device", "CPU"], "NAME=DEVICE"),
        ([SAMPLE, "--exact", "--decode", "fast"], "--exact contradicts"),
        ([SAMPLE, "--log-format", "xml"], "--log-format"),
        (["folder"], "the folder holds no models"),
        (["./folder"], "got cat.jpg"),
        (["--name", "signs=folder"], "NAME/VERSION/NAME.xml"),
        (["no-such-model", "--port", "0", "--grpc-port", "0"], "unknown model"),
    ],
)
def test_wrong_usage(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("empty").touch(0o600)
    Path("short").write_text("secret")
    Path("folder").mkdir()
    Path("folder/cat.jpg").touch()
    assert main(["serve", *arguments]) == 2
    printed = capfd.readouterr()
    assert message in printed.err
    assert "secret" not in printed.err
    assert printed.out == ""


def test_a_port_in_use_is_exit_code_1(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["serve", SAMPLE, "--port", port, "--no-grpc"]) == 1
    assert f"127.0.0.1 port {port}: cannot listen" in capfd.readouterr().err


def test_a_start_that_fails_prints_one_message(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "no-such-model", "--port", "0", "--no-grpc"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: unknown model 'no-such-model'")


def test_the_configuration_file_sets_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OV_MOBILENET_DEVICE", "AUTO:")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main(["serve", SAMPLE, "--port", "0", "--no-grpc"]) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_process_from_its_start_to_its_end(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123\n")
    token.chmod(0o600)
    repository = export_ovms({"any": SAMPLE}, tmp_path / "repository").folder
    with served(f"--name=signs={repository}", "--token-file", token, "--log-format", "json") as server:
        assert server.announced == {
            "schema_version": 1, "url": f"http://127.0.0.1:{server.port}", "grpc": server.announced["grpc"],
            "models": ["signs"],
        }  # fmt: skip
        request = urllib.request.Request(
            f"{server.announced['url']}/v1/classify", SIGN.read_bytes(),
            {"Authorization": "Bearer 0123456789abcdef0123"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as response:
            assert json.load(response)["predictions"][0]["label"] == "stop red"
        server.process.send_signal(signal.SIGHUP)
        assert server.process.stderr is not None
        lines: list[str] = []
        while not lines or "loaded again" not in lines[-1]:
            lines.append(server.process.stderr.readline())
            assert lines[-1], lines
        code, rest = server.end(signal.SIGTERM)
    assert code == 0, rest
    messages = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    assert [one["code"] for one in messages if one.get("operation") == "classify"] == ["200"]
    assert any("stopping" in one.get("message", "") for one in messages)


@pytest.mark.full
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_second_ctrl_c_ends_the_process_at_once() -> None:
    with (
        served(SAMPLE) as server,
        socket.create_connection(("127.0.0.1", server.port), 60) as endless,
    ):
        endless.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        server.process.send_signal(signal.SIGINT)
        assert server.process.stderr is not None
        while "stopping" not in server.process.stderr.readline():
            pass
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(10) == 130


@pytest.mark.full
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_quiet_prints_the_line_on_stdout_only() -> None:
    with served(SAMPLE, "-q") as server:
        assert server.end(signal.SIGINT) == (0, "")


def test_a_missing_file_ends_the_process_with_its_message() -> None:
    process = start("missing.xml", "--port", "0", "--grpc-port", "0")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "error: missing.xml: no such IR" in err
