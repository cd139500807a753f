"""`Server` in a thread and in an event loop: its start, its errors, its end."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import ov_mobilenet as ovm
from ov_mobilenet import Server, ServerSettings
from ov_mobilenet.serving import memory_need

SAMPLE = "mobilenet-v1-0.25-128-signs"
SIGN = ovm.find_config(SAMPLE).folder / "samples" / "stop_red_01.jpg"
FREE = ServerSettings(port=0, grpc_port=0)
ON_CPU: dict[str, Any] = {"device": "CPU", "inference_precision": "f32"}


def get(url: str, data: bytes | None = None) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("ov-mobilenet")}


def test_models_and_classifiers_by_name_give_the_answers_of_classify() -> None:
    classifier = ovm.load_classifier(SAMPLE, **ON_CPU)
    expected = classifier.classify(SIGN).to_dict()["predictions"]
    with Server({"mine": classifier, "zoo": SAMPLE}, FREE, **ON_CPU) as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert server.grpc_address == f"127.0.0.1:{server.grpc_port}"
        for name in ("mine", "zoo"):
            code, document = get(f"{server.url}/v1/classify?model={name}", SIGN.read_bytes())
            assert (code, document["predictions"]) == (200, expected)
        assert get(f"{server.url}/v2/health/ready") == (200, {"ready": True})
    assert threads() == set()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), 5)


@pytest.mark.full
def test_a_server_can_be_started_again_and_two_run_side_by_side() -> None:
    first, second = Server([SAMPLE], FREE, **ON_CPU), Server([SAMPLE], FREE, **ON_CPU)
    with first, second:
        assert first.port != second.port
    with first:
        assert get(f"{first.url}/v2/models/{SAMPLE}/ready")[0] == 200
        with pytest.raises(ovm.UsageError, match="the server runs already"):
            first.__enter__()


def test_without_grpc() -> None:
    with Server([SAMPLE], ServerSettings(port=0, grpc_port=None), **ON_CPU) as server:
        assert (server.grpc_address, server.grpc_port) == (None, None)
        assert get(f"{server.url}/v2/health/live")[0] == 200


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        ({"insecure_no_auth": True}, "every machine that can reach 0.0.0.0"),
        ({"token": "0123456789abcdef"}, "unencrypted"),
    ],
)
def test_what_an_open_server_risks_is_logged(
    settings: dict[str, Any], warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    open_to_all = ServerSettings(host="0.0.0.0", port=0, grpc_port=None, **settings)
    with Server([SAMPLE], open_to_all, **ON_CPU) as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
    assert warning in caplog.text


@pytest.mark.parametrize(("memory", "warns"), [(590 << 20, True), (600 << 20, False), (None, False)])
def test_images_that_may_not_fit_into_the_memory_are_logged(
    memory: int | None, warns: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(memory_need, "memory_limit", lambda: memory)
    settings = ServerSettings(port=0, grpc_port=None, decode_workers=2, max_pixels=10_000_000)
    with Server([SAMPLE], settings, **ON_CPU):
        pass
    need = "may take 599 MiB, and this process may use 590 MiB: lower --max-pixels"  # 2 * 10,000,000 * 18 + 256 MiB
    assert (need in caplog.text) == ("--max-pixels" in caplog.text) == warns


@pytest.mark.parametrize("name", ["port", "grpc_port"])
def test_a_port_in_use_is_one_clear_error(name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        ports: dict[str, Any] = {"port": 0, "grpc_port": 0, name: number}
        option = "--" + name.replace("_", "-")
        with pytest.raises(ovm.ServerError, match=f"{number}.*cannot listen.*{option}|{option}.*{number}") as raised:
            Server([SAMPLE], ServerSettings(**ports), **ON_CPU).__enter__()
    assert raised.value.exit_code == 1
    assert threads() == set()


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    settings = ServerSettings(host="192.0.2.1", port=0, grpc_port=None, insecure_no_auth=True)
    with pytest.raises(ovm.ServerError, match=r"192\.0\.2\.1 port 0: cannot listen .*Choose an address .*--host$"):
        Server([SAMPLE], settings, **ON_CPU).__enter__()


def test_errors_of_a_model_are_raised_by_the_start(tmp_path: Path) -> None:
    broken = tmp_path / "broken.xml"
    broken.write_text("<net")
    broken.with_suffix(".bin").touch()
    with pytest.raises(ovm.IrError):
        Server([broken], FREE, **ON_CPU).__enter__()
    with pytest.raises(ovm.UnknownModelError):
        Server(["no-such-model"], FREE, **ON_CPU).__enter__()
    with pytest.raises(ovm.DeviceError):
        Server([SAMPLE], FREE, device="GPU.7").__enter__()
    assert threads() == set()


def test_missing_packages_are_one_message_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("ov_mobilenet.serving.")]:
        if name.rpartition(".")[2] in ("transports", "http_server", "rest_app"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ovm.MissingDependencyError, match=r"uvicorn: a package that serves models.*\[serve\]"):
        Server([SAMPLE], FREE, **ON_CPU).__enter__()


def test_live_at_once_and_ready_when_the_models_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    may_load, load = threading.Event(), ovm.load_classifier

    def wait_and_load(*arguments: Any, **options: Any) -> Any:
        assert may_load.wait(60)
        return load(*arguments, **options)

    monkeypatch.setattr("ov_mobilenet.serving.server.load_classifier", wait_and_load)
    server = Server([SAMPLE], FREE, **ON_CPU)
    starting = threading.Thread(target=server.__enter__)
    starting.start()
    while not server.port:
        assert starting.is_alive()
        starting.join(0.01)
    assert get(f"{server.url}/v2/health/live")[0] == 200
    assert get(f"{server.url}/v2/health/ready")[0] == 503
    assert get(f"{server.url}/v2/models/{SAMPLE}/ready")[0] == 503
    code, document = get(f"{server.url}/v1/classify", SIGN.read_bytes())
    assert code == 503
    assert "not ready" in document["error"]
    may_load.set()
    starting.join(60)
    assert get(f"{server.url}/v2/health/ready")[0] == 200
    server.__exit__(None, None, None)


def test_a_stop_while_a_model_is_loaded_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    may_load, ended = threading.Event(), threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        may_load.wait(60)
        ended.set()
        raise OSError("too late")

    monkeypatch.setattr("ov_mobilenet.serving.server.load_classifier", hang)

    async def start_and_cancel() -> None:
        server = Server([SAMPLE], FREE, **ON_CPU)
        serving = asyncio.ensure_future(server.serve())
        while not server.port:
            assert not serving.done()
            await asyncio.sleep(0)
        server.stop()
        await asyncio.wait_for(serving, 30)

    asyncio.run(start_and_cancel())
    assert not ended.is_set()
    may_load.set()
    assert ended.wait(60)


def test_a_cancelled_task_ends_the_server() -> None:
    async def test() -> None:
        server, ready = Server([SAMPLE], FREE, **ON_CPU), asyncio.Event()
        serving = asyncio.ensure_future(server.serve(on_ready=ready.set))
        await asyncio.wait_for(ready.wait(), 60)
        code, _ = await asyncio.to_thread(get, f"{server.url}/v1/classify", SIGN.read_bytes())
        assert code == 200
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), 5)

    asyncio.run(test())
    assert threads() == set()


def test_settings_of_the_device_reach_the_model() -> None:
    with Server([SAMPLE], FREE, settings=ovm.DeviceSettings(**ON_CPU), batch_size=4, decode="exact") as server:
        classifier = server.repository.find(SAMPLE).classifier
        assert (classifier.device, classifier.inference_precision) == ("CPU", "f32")
        assert classifier.result_settings()["decode"] == "exact"


def test_each_model_runs_on_its_own_device() -> None:
    models = {"signs": SAMPLE, "more": SAMPLE}
    # The device of `settings` would be an error if a model ran on it.
    with Server(models, FREE, device="GPU.7", devices={"signs": "CPU", "more": "AUTO:CPU"}) as server:
        assert {name: server.repository.find(name).classifier.device for name in models} == {
            "signs": "CPU", "more": "CPU",
        }  # fmt: skip
    with pytest.raises(ovm.DeviceError, match="GPU"):
        Server(models, FREE, device="GPU.7", devices={"signs": "CPU"}).__enter__()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": {"other": "CPU"}}, "not loaded here: expected mobilenet-v1-0.25-128-signs, got other"),
        ({"profile": "tuned.yml", "devices": {SAMPLE: "CPU"}}, "twice"),
        ({"batch_size": 0}, "batch_size"), ({"decode": "slow"}, "decode"), ({"oflline": True}, "unknown option"),
        ({"settings": ovm.DeviceSettings(), "device": "CPU"}, "twice"), ({"device": "AUTO:"}, "device"),
        ({"geometry": "squeeze 3"}, "squeeze"),
        ({"profile": "tuned.yml", "device": "CPU"}, "twice"), ({"profile": "tuned.yml", "batch_size": 2}, "twice"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_errors_before_anything_starts(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ovm.UsageError, match=message):
        Server([SAMPLE], FREE, **options)


def test_a_device_for_a_classifier_is_an_error() -> None:
    loaded = ovm.load_classifier(SAMPLE, **ON_CPU)
    with pytest.raises(ovm.UsageError, match="not loaded here: expected no name, got signs"):
        Server({"signs": loaded}, FREE, devices={"signs": "CPU"})
