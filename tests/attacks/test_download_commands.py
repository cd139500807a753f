"""The commands `download` and `cache` with a real server."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any, Protocol

import pytest
from attacks.loopback_server import WATCHDOG_S, Behaviour, Exchange, describe, leftovers, run, says, serve
from attacks.served_model import ServedModel

from ov_mobilenet.cli.main import main
from ov_mobilenet.zoo.registry import model_names

SIGNS = "mobilenet-v1-0.25-128-signs"


class Command(Protocol):
    """Run the command line in this process. Returns: exit code, stdout, stderr."""

    def __call__(self, *arguments: object) -> tuple[int, str, str]: ...


@pytest.fixture
def command(served: ServedModel, capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([*map(str, arguments), "--cache-dir", str(served.cache)])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def fetch(served: ServedModel, command: Command) -> Command:
    return lambda *arguments: command("download", *arguments, "-o", served.root, "--allow-http")


def many(served: ServedModel, *names: str) -> dict[str, Path]:
    """Models with different files, each served at /NAME."""
    models = {}
    for name in names:
        content = served.content + name.encode()
        url = served.on(serve(content), path=f"/{name}")
        models[name] = describe(served.root / "configs" / name, {"net.onnx": (content, url)})
    return models


def done(served: ServedModel, name: str) -> bool:
    path = served.root / "public" / name / "net.onnx"
    return path.exists() and path.read_bytes() == served.content + name.encode()


def test_mirror_folder(served: ServedModel, fetch: Command) -> None:
    mirror = served.root / "mirror"
    (mirror / "net").mkdir(parents=True)
    (mirror / "net" / "net.onnx").write_bytes(served.content)
    assert fetch(served.describe(), "--mirror", mirror)[0] == 0
    assert served.is_right()
    assert served.server.exchanges == []


@pytest.mark.parametrize("slash", ["", "/"])
def test_mirror_url(slash: str, served: ServedModel, fetch: Command) -> None:
    served.on(serve(served.content), path="/zoo/net/net.onnx")
    assert fetch(served.describe(), "--mirror", served.server.url + "/zoo" + slash)[0] == 0
    assert served.is_right()
    assert [exchange.target for exchange in served.server.exchanges] == ["/zoo/net/net.onnx"]


@pytest.mark.parametrize("kind", ["folder", "url", "wrong folder", "wrong url"])
def test_mirror_that_fails(kind: str, served: ServedModel, fetch: Command) -> None:
    served.on(serve(served.content))
    mirror = served.root / "mirror"
    if kind == "wrong folder":
        (mirror / "net").mkdir(parents=True)
        (mirror / "net" / "net.onnx").write_bytes(b"x" * len(served.content))
    if kind == "wrong url":
        served.on(serve(b"x" * len(served.content)), path="/zoo/net/net.onnx")
    assert fetch(served.describe(), "--mirror", served.server.url + "/zoo" if "url" in kind else mirror)[0] == 0
    assert served.is_right()


def test_one_attempt(served: ServedModel, fetch: Command) -> None:
    served.on(says(503), serve(served.content))
    code, _, err = fetch(served.describe(), "--num_attempts", "1")
    assert (code, err.count("error:"), len(served.server.exchanges)) == (1, 1, 1)
    assert fetch(served.describe(), "--num_attempts", "1")[0] == 0
    assert served.is_right()


def test_wrong_bytes_exit_with_3(served: ServedModel, fetch: Command) -> None:
    served.on(serve(b"x" * len(served.content)))
    code, _, err = fetch(served.describe())
    assert (code, err.count("error:")) == (3, 1)
    assert "SHA384 differs" in err
    assert leftovers(served.root) == []


def test_http_needs_the_allow_http_option(served: ServedModel, command: Command) -> None:
    served.on(serve(served.content))
    code, _, err = command("download", served.describe(), "-o", served.root)
    assert code == 1
    assert "--allow-http" in err
    assert served.server.exchanges == []


def test_progress_events(served: ServedModel, fetch: Command) -> None:
    served.on(serve(served.content))
    code, out, _ = fetch(served.describe(), "--progress_format", "json")
    assert code == 0
    events = [json.loads(line) for line in out.splitlines()]
    file = {"model": "net", "model_file": "net.onnx"}
    assert events[:2] == [
        {"$type": "model_download_begin", "model": "net", "num_files": 1},
        {"$type": "model_file_download_begin", **file, "size": len(served.content)},
    ]
    assert events[-2:] == [
        {"$type": "model_file_download_end", **file, "successful": True},
        {"$type": "model_download_end", "model": "net", "successful": True},
    ]
    assert {(e["$type"], e["model_file"]) for e in events[2:-2]} == {("model_file_download_progress", "net.onnx")}
    sizes = [event["size"] for event in events[2:-2]]
    assert sizes == sorted(sizes)
    assert sizes[-1] == len(served.content)


def test_progress_events_of_a_failure(served: ServedModel, fetch: Command) -> None:
    served.on(says(404))
    code, out, _ = fetch(served.describe(), "--progress_format", "json")
    assert code == 1
    ends = [event for event in map(json.loads, out.splitlines()) if event["$type"].endswith("_end")]
    assert [(end["$type"], end["successful"]) for end in ends] == [
        ("model_file_download_end", False), ("model_download_end", False),
    ]  # fmt: skip


def test_progress_events_of_several_models(served: ServedModel, fetch: Command) -> None:
    """Every line is complete, and the events of each model are in order."""
    models = many(served, "a", "b", "c", "d")
    code, out, _ = fetch(*models.values(), "-j", "4", "--progress_format", "json")
    assert code == 0
    events = [json.loads(line) for line in out.splitlines()]
    for name in models:
        own = [event for event in events if event["model"] == name]
        assert [own[0]["$type"], own[-1]["$type"]] == ["model_download_begin", "model_download_end"]
        sizes = [event["size"] for event in own if event["$type"] == "model_file_download_progress"]
        assert sizes == sorted(sizes)


@pytest.mark.parametrize("flag", ["--dry_run", "--dry-run"])
def test_dry_run(flag: str, served: ServedModel, fetch: Command) -> None:
    model = served.describe()
    before = sorted(served.root.rglob("*"))
    code, out, _ = fetch(model, flag)
    assert code == 0
    assert f"{served.server.url}/net.onnx" in out
    assert "0.3 MB" in out
    assert served.server.exchanges == []
    assert sorted(served.root.rglob("*")) == before


def test_jobs_with_one_failure(served: ServedModel, fetch: Command) -> None:
    """Three files are sent only once all three are requested; the fourth does not exist."""
    models = many(served, "a", "b", "c", "d")
    meet = threading.Barrier(3, timeout=WATCHDOG_S / 2)

    def met(behave: Behaviour) -> Behaviour:
        def together(exchange: Exchange) -> None:
            meet.wait()
            behave(exchange)

        return together

    for name in "abc":
        served.server.behaviours[f"/{name}"] = [met(*served.server.behaviours[f"/{name}"])]
    served.on(says(404), path="/d")
    code, out, err = fetch(*models.values(), "-j", "4")
    assert code == 1
    assert [done(served, name) for name in models] == [True, True, True, False]
    assert err.count("error:") == 1
    assert "404" in err
    assert len([line for line in out.splitlines() if "public" in line]) == 3
    assert leftovers(served.root) == []


def test_jobs_that_share_a_file(served: ServedModel, fetch: Command) -> None:
    models = [served.describe(name=name) for name in ("net", "twin", "third")]
    served.on(serve(served.content, pause_s=0.001))
    assert fetch(*models, "-j", "3")[0] == 0
    assert served.server.sent() == [len(served.content)]


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_wrong_bytes_of_one_of_several_models(jobs: str, served: ServedModel, fetch: Command) -> None:
    models = many(served, "a", "b", "c")
    served.on(serve(b"x" * (len(served.content) + 1)), path="/b")
    code, _, err = fetch(*models.values(), "-j", jobs)
    assert (code, err.count("error:")) == (3, 1)
    assert [done(served, name) for name in models] == [True, False, True]


def test_names(served: ServedModel, fetch: Command) -> None:
    models = many(served, "a", "b")
    assert fetch("--name", ",".join(map(str, models.values())))[0] == 0
    assert all(done(served, name) for name in models)


def test_names_with_a_wildcard(served: ServedModel, fetch: Command) -> None:
    (model,) = many(served, "a").values()
    assert fetch("--name", f"*-signs,{model}", "-j", "2")[0] == 0
    assert done(served, "a")
    assert (served.root / "public" / SIGNS / "road-signs.onnx").is_file()
    assert [exchange.target for exchange in served.server.exchanges] == ["/a"]


def test_unknown_name_stops_before_the_first_request(served: ServedModel, fetch: Command) -> None:
    (model,) = many(served, "a").values()
    assert fetch("--name", f"{model},no-such-model*")[0] == 2
    assert served.server.exchanges == []


def test_list_file(served: ServedModel, fetch: Command) -> None:
    models = many(served, "a", "b", "c")
    entries = served.root / "some.lst"
    entries.write_text(f"# comment\n\n{models['a']}  # the first\n'{models['c']}' --precisions FP32\n*-signs\n")
    assert fetch("--list", entries)[0] == 0
    assert [done(served, name) for name in models] == [True, False, True]
    assert (served.root / "public" / SIGNS).is_dir()


def test_print_all(fetch: Command, served: ServedModel) -> None:
    code, out, _ = fetch("--print_all")
    assert (code, out.split()) == (0, model_names())
    assert served.server.exchanges == []


@pytest.mark.parametrize("ways", [[], ["--all", "--name", "a"], ["net", "--all"]])
def test_exactly_one_way_to_select_models(ways: list[str], fetch: Command) -> None:
    assert fetch(*ways)[0] == 2


def test_cache_list_and_prune(served: ServedModel, fetch: Command, command: Command) -> None:
    models = many(served, "a", "b")
    served.on(serve(served.content + b"b", stop_after=len(served.content) // 2), path="/b")
    assert fetch(*models.values(), "--num_attempts", "1")[0] == 1
    code, out, _ = command("cache", "list", "--format", "json")
    document = json.loads(out)
    assert (code, document["root"]) == (0, str(served.cache))
    sizes = {entry["kind"]: entry["size"] for entry in document["entries"]}
    assert sizes == {"file": len(served.content) + 1, "unfinished": len(served.content) // 2}
    code, out, _ = command("cache", "prune", "--older-than", "1")
    assert (code, out) == (0, "")
    _, said, _ = command("cache", "prune", "--dry-run")
    assert len(said.splitlines()) == 2
    assert served.part().exists()
    code, out, _ = command("cache", "prune")
    assert (code, out) == (0, said)
    assert [path for path in (served.cache / "files").rglob("*") if path.is_file()] == []
    assert json.loads(command("cache", "list", "--format", "json")[1])["entries"] == []
    assert done(served, "a")  # pruning the cache does not affect downloaded files


def test_cache_list_while_files_are_deleted(
    served: ServedModel, fetch: Command, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = many(served, "a", "b")
    assert fetch(*models.values())[0] == 0
    real = Path.stat

    def gone(path: Path, **options: Any) -> os.stat_result:
        if path.name == vanished.name:
            raise FileNotFoundError(path)
        return real(path, **options)

    vanished, stays = (path for path in (served.cache / "files").rglob("*") if path.is_file())
    monkeypatch.setattr(Path, "stat", gone)
    code, out, _ = command("cache", "list", "--format", "json")
    assert code == 0
    assert [entry["path"] for entry in json.loads(out)["entries"]] == [str(stays)]


def test_offline(served: ServedModel, fetch: Command) -> None:
    served.on(serve(served.content))
    code, _, err = fetch(served.describe(), "--offline")
    assert (code, served.server.exchanges) == (1, [])
    assert "cannot be downloaded in offline mode" in err
    assert fetch(served.describe())[0] == 0
    served.target.unlink()
    assert fetch(served.describe(), "--offline")[0] == 0
    assert served.is_right()


def test_corrupt_cache_entry(served: ServedModel, fetch: Command) -> None:
    served.on(serve(served.content))
    assert fetch(served.describe())[0] == 0
    served.target.unlink()
    (stored,) = (path for path in (served.cache / "files").rglob("*") if path.is_file())
    stored.write_bytes(b"rotted" + served.content[6:])
    assert fetch(served.describe())[0] == 0
    assert served.is_right()
    assert stored.read_bytes() == served.content


def test_terminal_codes_from_the_server_are_escaped(served: ServedModel) -> None:
    """Text from the server is printed in one line, without terminal control codes."""
    served.on(says(302, Location="http://127.0.0.1:1/\x1b[2J\x07"))
    arguments = ["download", served.describe(), "-o", served.root, "--cache-dir", served.cache, "--allow-http"]
    code, out, err = run(*arguments, "--num_attempts", "1")
    assert code == 1
    assert not set("\x1b\x07") & set(out + err)
