"""What a user asks for on the command line, against a real server."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from attacks.loopback_server import WATCHDOG_S, describe, leftovers, run, says, serve

from ov_mobilenet.cli.main import main
from ov_mobilenet.zoo.registry import model_names

SIGNS = "mobilenet-v1-0.25-128-signs"


@pytest.fixture
def command(bench, capsys):
    """Run the command line here. Returns: exit code, stdout, stderr."""

    def call(*arguments):
        code = main([*map(str, arguments), "--cache-dir", str(bench.cache)])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def fetch(bench, command):
    return lambda *arguments: command("download", *arguments, "-o", bench.room, "--allow-http")


def many(bench, *names):
    """Models with bytes of their own, each served at /NAME."""
    models = {}
    for name in names:
        content = bench.content + name.encode()
        url = bench.on(serve(content), path=f"/{name}")
        models[name] = describe(bench.room / "configs" / name, {"net.onnx": (content, url)})
    return models


def done(bench, name):
    path = bench.room / "public" / name / "net.onnx"
    return path.exists() and path.read_bytes() == bench.content + name.encode()


def test_mirror_folder(bench, fetch):
    mirror = bench.room / "mirror"
    (mirror / "net").mkdir(parents=True)
    (mirror / "net" / "net.onnx").write_bytes(bench.content)
    assert fetch(bench.describe(), "--mirror", mirror)[0] == 0
    assert bench.is_right()
    assert bench.server.exchanges == []


@pytest.mark.parametrize("slash", ["", "/"])
def test_mirror_url(slash, bench, fetch):
    bench.on(serve(bench.content), path="/zoo/net/net.onnx")
    assert fetch(bench.describe(), "--mirror", bench.server.url + "/zoo" + slash)[0] == 0
    assert bench.is_right()
    assert [exchange.target for exchange in bench.server.exchanges] == ["/zoo/net/net.onnx"]


@pytest.mark.parametrize("kind", ["folder", "url", "wrong folder", "wrong url"])
def test_mirror_that_fails(kind, bench, fetch):
    bench.on(serve(bench.content))
    mirror = bench.room / "mirror"
    if kind == "wrong folder":
        (mirror / "net").mkdir(parents=True)
        (mirror / "net" / "net.onnx").write_bytes(b"x" * len(bench.content))
    if kind == "wrong url":
        bench.on(serve(b"x" * len(bench.content)), path="/zoo/net/net.onnx")
    assert fetch(bench.describe(), "--mirror", bench.server.url + "/zoo" if "url" in kind else mirror)[0] == 0
    assert bench.is_right()


def test_one_attempt(bench, fetch):
    bench.on(says(503), serve(bench.content))
    code, _, err = fetch(bench.describe(), "--num_attempts", "1")
    assert (code, err.count("error:"), len(bench.server.exchanges)) == (1, 1, 1)
    assert fetch(bench.describe(), "--num_attempts", "1")[0] == 0
    assert bench.is_right()


def test_wrong_bytes_exit_with_3(bench, fetch):
    bench.on(serve(b"x" * len(bench.content)))
    code, _, err = fetch(bench.describe())
    assert (code, err.count("error:")) == (3, 1)
    assert "SHA384 differs" in err
    assert leftovers(bench.room) == []


def test_http_needs_leave(bench, command):
    bench.on(serve(bench.content))
    code, _, err = command("download", bench.describe(), "-o", bench.room)
    assert code == 1
    assert "--allow-http" in err
    assert bench.server.exchanges == []


def test_progress_events(bench, fetch):
    bench.on(serve(bench.content))
    code, out, _ = fetch(bench.describe(), "--progress_format", "json")
    assert code == 0
    events = [json.loads(line) for line in out.splitlines()]
    file = {"model": "net", "model_file": "net.onnx"}
    assert events[:2] == [
        {"$type": "model_download_begin", "model": "net", "num_files": 1},
        {"$type": "model_file_download_begin", **file, "size": len(bench.content)},
    ]
    assert events[-2:] == [
        {"$type": "model_file_download_end", **file, "successful": True},
        {"$type": "model_download_end", "model": "net", "successful": True},
    ]
    assert {(e["$type"], e["model_file"]) for e in events[2:-2]} == {("model_file_download_progress", "net.onnx")}
    sizes = [event["size"] for event in events[2:-2]]
    assert sizes == sorted(sizes)
    assert sizes[-1] == len(bench.content)


def test_progress_events_of_a_failure(bench, fetch):
    bench.on(says(404))
    code, out, _ = fetch(bench.describe(), "--progress_format", "json")
    assert code == 1
    ends = [event for event in map(json.loads, out.splitlines()) if event["$type"].endswith("_end")]
    assert [(end["$type"], end["successful"]) for end in ends] == [
        ("model_file_download_end", False), ("model_download_end", False),
    ]  # fmt: skip


def test_progress_events_of_many(bench, fetch):
    """Each line is whole, and each model's events are in order."""
    models = many(bench, "a", "b", "c", "d")
    code, out, _ = fetch(*models.values(), "-j", "4", "--progress_format", "json")
    assert code == 0
    events = [json.loads(line) for line in out.splitlines()]
    for name in models:
        own = [event for event in events if event["model"] == name]
        assert [own[0]["$type"], own[-1]["$type"]] == ["model_download_begin", "model_download_end"]
        sizes = [event["size"] for event in own if event["$type"] == "model_file_download_progress"]
        assert sizes == sorted(sizes)


@pytest.mark.parametrize("flag", ["--dry_run", "--dry-run"])
def test_dry_run(flag, bench, fetch):
    model = bench.describe()
    before = sorted(bench.room.rglob("*"))
    code, out, _ = fetch(model, flag)
    assert code == 0
    assert f"{bench.server.url}/net.onnx" in out
    assert "0.3 MB" in out
    assert bench.server.exchanges == []
    assert sorted(bench.room.rglob("*")) == before


def test_jobs_with_one_failure(bench, fetch):
    """Three are sent only once all three are asked for; the fourth is not there."""
    models = many(bench, "a", "b", "c", "d")
    meet = threading.Barrier(3, timeout=WATCHDOG_S / 2)

    def met(behave):
        def together(exchange):
            meet.wait()
            behave(exchange)

        return together

    for name in "abc":
        bench.server.behaviours[f"/{name}"] = [met(*bench.server.behaviours[f"/{name}"])]
    bench.on(says(404), path="/d")
    code, out, err = fetch(*models.values(), "-j", "4")
    assert code == 1
    assert [done(bench, name) for name in models] == [True, True, True, False]
    assert err.count("error:") == 1
    assert "404" in err
    assert len([line for line in out.splitlines() if "public" in line]) == 3
    assert leftovers(bench.room) == []


def test_jobs_that_share_a_file(bench, fetch):
    models = [bench.describe(name=name) for name in ("net", "twin", "third")]
    bench.on(serve(bench.content, pause_s=0.001))
    assert fetch(*models, "-j", "3")[0] == 0
    assert bench.server.sent() == [len(bench.content)]


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_wrong_bytes_of_one_of_many(jobs, bench, fetch):
    models = many(bench, "a", "b", "c")
    bench.on(serve(b"x" * (len(bench.content) + 1)), path="/b")
    code, _, err = fetch(*models.values(), "-j", jobs)
    assert (code, err.count("error:")) == (3, 1)
    assert [done(bench, name) for name in models] == [True, False, True]


def test_names(bench, fetch):
    models = many(bench, "a", "b")
    assert fetch("--name", ",".join(map(str, models.values())))[0] == 0
    assert all(done(bench, name) for name in models)


def test_names_with_a_wildcard(bench, fetch):
    (model,) = many(bench, "a").values()
    assert fetch("--name", f"*-signs,{model}", "-j", "2")[0] == 0
    assert done(bench, "a")
    assert (bench.room / "public" / SIGNS / "road-signs.onnx").is_file()
    assert [exchange.target for exchange in bench.server.exchanges] == ["/a"]


def test_an_unknown_name_stops_before_anything(bench, fetch):
    (model,) = many(bench, "a").values()
    assert fetch("--name", f"{model},no-such-model*")[0] == 2
    assert bench.server.exchanges == []


def test_list_file(bench, fetch):
    models = many(bench, "a", "b", "c")
    entries = bench.room / "some.lst"
    entries.write_text(f"# comment\n\n{models['a']}  # the first\n'{models['c']}' --precisions FP32\n*-signs\n")
    assert fetch("--list", entries)[0] == 0
    assert [done(bench, name) for name in models] == [True, False, True]
    assert (bench.room / "public" / SIGNS).is_dir()


def test_print_all(fetch, bench):
    code, out, _ = fetch("--print_all")
    assert (code, out.split()) == (0, model_names())
    assert bench.server.exchanges == []


@pytest.mark.parametrize("ways", [[], ["--all", "--name", "a"], ["net", "--all"]])
def test_one_way_of_asking(ways, fetch):
    assert fetch(*ways)[0] == 2


def test_cache_list_and_prune(bench, fetch, command):
    models = many(bench, "a", "b")
    bench.on(serve(bench.content + b"b", stop_after=len(bench.content) // 2), path="/b")
    assert fetch(*models.values(), "--num_attempts", "1")[0] == 1
    code, out, _ = command("cache", "list", "--format", "json")
    document = json.loads(out)
    assert (code, document["root"]) == (0, str(bench.cache))
    sizes = {entry["kind"]: entry["size"] for entry in document["entries"]}
    assert sizes == {"file": len(bench.content) + 1, "unfinished": len(bench.content) // 2}
    code, out, _ = command("cache", "prune", "--older-than", "1")
    assert (code, out) == (0, "")
    _, said, _ = command("cache", "prune", "--dry-run")
    assert len(said.splitlines()) == 2
    assert bench.part().exists()
    code, out, _ = command("cache", "prune")
    assert (code, out) == (0, said)
    assert [path for path in (bench.cache / "files").rglob("*") if path.is_file()] == []
    assert json.loads(command("cache", "list", "--format", "json")[1])["entries"] == []
    assert done(bench, "a")  # what was downloaded is no business of the cache


def test_cache_list_while_files_come_and_go(bench, fetch, command, monkeypatch):
    models = many(bench, "a", "b")
    assert fetch(*models.values())[0] == 0
    real = Path.stat

    def gone(path, **options):
        if path.name == vanished.name:
            raise FileNotFoundError(path)
        return real(path, **options)

    vanished, stays = (path for path in (bench.cache / "files").rglob("*") if path.is_file())
    monkeypatch.setattr(Path, "stat", gone)
    code, out, _ = command("cache", "list", "--format", "json")
    assert code == 0
    assert [entry["path"] for entry in json.loads(out)["entries"]] == [str(stays)]


def test_offline(bench, fetch):
    bench.on(serve(bench.content))
    code, _, err = fetch(bench.describe(), "--offline")
    assert (code, bench.server.exchanges) == (1, [])
    assert "network is not to be used" in err
    assert fetch(bench.describe())[0] == 0
    bench.target.unlink()
    assert fetch(bench.describe(), "--offline")[0] == 0
    assert bench.is_right()


def test_rotted_cache_entry(bench, fetch):
    bench.on(serve(bench.content))
    assert fetch(bench.describe())[0] == 0
    bench.target.unlink()
    (stored,) = (path for path in (bench.cache / "files").rglob("*") if path.is_file())
    stored.write_bytes(b"rotted" + bench.content[6:])
    assert fetch(bench.describe())[0] == 0
    assert bench.is_right()
    assert stored.read_bytes() == bench.content


def test_a_hostile_server_writes_nothing_to_the_terminal(bench):
    """What a server says reaches the message in one line, without escapes that a terminal obeys."""
    bench.on(says(302, Location="http://127.0.0.1:1/\x1b[2J\x07"))
    arguments = ["download", bench.describe(), "-o", bench.room, "--cache-dir", bench.cache, "--allow-http"]
    code, out, err = run(*arguments, "--num_attempts", "1")
    assert code == 1
    assert not set("\x1b\x07") & set(out + err)
