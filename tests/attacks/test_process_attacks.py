"""Killed, interrupted, many at once, without space: real processes of the command line."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile

import pytest
from attacks.loopback_server import WATCHDOG_S, Exchange, describe, finish, leftovers, run, says, serve, start

from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import DownloadError

KILLS = 20


def arguments(bench, *models, out=None):
    return ["download", *models, "-o", out or bench.room, "--cache-dir", bench.cache, "--allow-http"]


@pytest.fixture
def archived(bench):
    """A model of two files: one that is there already, and an archive with the network, sent slowly."""
    network = random.Random(1).randbytes(600_000)
    inside, packed = bench.room / "net.onnx", bench.room / "net.tgz"
    inside.write_bytes(network)
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(inside, "deep/net.onnx")
    content = packed.read_bytes()
    inside.unlink()
    packed.unlink()
    files = {
        "earlier.bin": (b"earlier", bench.on(says(404), path="/earlier.bin")),
        "net.tgz": (content, bench.on(serve(content, pause_s=0.002), path="/net.tgz")),
    }
    steps = [{"$type": "unpack_archive", "format": "gztar", "file": "net.tgz"}]
    model = describe(bench.room / "configs" / "net", files, "deep/net.onnx", postprocessing=steps)
    bench.folder.mkdir(parents=True)
    (bench.folder / "earlier.bin").write_bytes(b"earlier")
    return model, {bench.folder / "net.tgz": content, bench.folder / "deep" / "net.onnx": network}


def test_kill_at_random_moments(bench, archived):
    signal.alarm(3 * WATCHDOG_S)  # forty processes one after the other
    model, right = archived
    earlier = (bench.folder / "earlier.bin").stat()
    rng = random.Random(20)
    size = len(right[bench.folder / "net.tgz"])

    def spoil():
        for path in [*right, *(bench.cache / "files").rglob("*")]:
            if path.is_file():
                path.unlink()

    killed = resumed = 0
    for i in range(KILLS):
        bench.server.reached.clear()
        # Most while the archive comes in, the others while it is copied and unpacked.
        late = i % 4 == 3
        bench.server.reach = size if late else rng.randrange(size)
        process = start(*arguments(bench, model))
        assert bench.server.reached.wait(WATCHDOG_S)
        try:
            process.wait(timeout=rng.uniform(0, 0.1) if late else 0)
        except subprocess.TimeoutExpired:
            killed += 1
        process.kill()
        process.communicate()
        for path, content in right.items():  # the right file or none
            assert not path.exists() or path.read_bytes() == content
        before = len(bench.server.exchanges)
        code, _, err = run(*arguments(bench, model))
        assert code == 0, err
        assert all(path.read_bytes() == content for path, content in right.items())
        assert leftovers(bench.room) == []
        resumed += any(bench.server.ranges()[before:])
        spoil()
    after = (bench.folder / "earlier.bin").stat()
    assert (after.st_ino, after.st_mtime_ns) == (earlier.st_ino, earlier.st_mtime_ns)
    assert killed >= KILLS // 2
    assert resumed


def test_kill_while_unpacking(bench, archived):
    """What a run that was killed left beside the network goes away with the next one."""
    model, right = archived
    *_, network = right
    network.parent.mkdir(parents=True)
    (network.parent / ".net.onnx.part").write_bytes(b"half")
    (bench.folder / ".net.tgz.part").write_bytes(b"half")
    assert run(*arguments(bench, model))[0] == 0
    assert network.read_bytes() == right[network]
    assert leftovers(bench.room) == []


KILLED_IN = """
import os, signal, sys
from pathlib import Path
real, count = getattr(Path, sys.argv[1]), int(sys.argv[2])
def then_die(path, *args, **kwargs):
    global count
    result = real(path, *args, **kwargs)
    if path.name.startswith(sys.argv[3]) or ".part" in path.name:
        count -= 1
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(Path, sys.argv[1], then_die)
sys.argv[1:] = sys.argv[4:]
from ov_mobilenet.cli.main import run
run()
"""


@pytest.mark.parametrize("step", ["unlink 1", "unlink 2", "replace 1", "replace 2", "write_text 1", "open 1", "open 2"])
def test_kill_between_two_steps(step, bench):
    """Right after the note is dropped, the part renamed, the copy made: moments too short to hit by chance."""
    bench.on(serve(bench.content))
    model = bench.describe()
    command = [sys.executable, "-c", KILLED_IN, *step.split(), "net.onnx", *map(str, arguments(bench, model))]
    killed = subprocess.run(command, capture_output=True, timeout=WATCHDOG_S, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not bench.target.exists() or bench.target.read_bytes() == bench.content
    assert run(*arguments(bench, model))[0] == 0
    assert bench.is_right()


def test_sigterm_keeps_what_came(bench):
    process, held = held_in_the_middle(bench)
    process.terminate()
    code, _, err = finish(process)
    assert (code, err.splitlines()[-1]) == (143, "error: terminated")
    goes_on(bench, held)


def held_in_the_middle(bench):
    """A process whose server sent one half and holds the connection."""

    def hold(exchange):
        serve(bench.content, stop_after=len(bench.content) // 2)(exchange)
        exchange.hold()

    bench.on(hold, serve(bench.content))
    process = start(*arguments(bench, bench.describe()), "--progress_format", "json")
    for line in process.stdout:  # until all that was sent has come in
        if json.loads(line).get("size") == len(bench.content) // 2:
            break
    return process, len(bench.content) // 2


def goes_on(bench, kept):
    assert not bench.target.exists()
    assert bench.part().stat().st_size <= kept
    assert run(*arguments(bench, bench.describe()))[0] == 0
    assert bench.is_right()
    assert bench.server.ranges()[-1]


def test_ctrl_c_while_the_server_holds(bench):
    process, held = held_in_the_middle(bench)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, err.splitlines()[-1]) == (130, "error: interrupted")
    goes_on(bench, held)


def test_ctrl_c_before_anything_came(bench):
    bench.on(Exchange.hold)
    process = start(*arguments(bench, bench.describe()))
    assert bench.server.held.wait(WATCHDOG_S)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, err.splitlines()[-1]) == (130, "error: interrupted")
    assert leftovers(bench.room) == []


def test_ctrl_c_with_several_jobs(bench, tmp_path):
    """Both connections are held: nobody may wait for them."""
    bench.on(Exchange.hold)
    one = bench.describe()
    two = tmp_path / "other"
    shutil.copytree(one, two)
    process = start(*arguments(bench, one, two), "-j", "2")
    assert bench.server.held.wait(WATCHDOG_S)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, err.splitlines()[-1]) == (130, "error: interrupted")


# At once


@pytest.mark.parametrize(("count", "apart"), [(2, False), (10, False), (2, True), (10, True)])
def test_many_at_once(count, apart, bench):
    """Nothing is sent before all of them run; one fetches, the others take what it brought."""

    def whole(exchange):
        exchange.hold()
        serve(bench.content, pause_s=0.001)(exchange)

    bench.on(whole)
    model = bench.describe()
    outs = [bench.room / f"out{i if apart else 0}" for i in range(count)]
    processes = [start(*arguments(bench, model, out=out)) for out in outs]
    for process in processes:
        assert "weights under" in process.stderr.readline()
    bench.server.released.set()
    for process in processes:
        code, _, err = finish(process)
        assert code == 0, err
    assert bench.server.sent() == [len(bench.content)]
    for out in outs:
        assert (out / "public" / "net" / "net.onnx").read_bytes() == bench.content
    assert leftovers(bench.room) == []


def test_many_at_once_unpack(bench, archived):
    model, right = archived
    processes = [start(*arguments(bench, model)) for _ in range(5)]
    for process in processes:
        code, _, err = finish(process)
        assert code == 0, err
    assert all(path.read_bytes() == content for path, content in right.items())
    assert sum(bench.server.sent()) == len(right[bench.folder / "net.tgz"])
    assert leftovers(bench.room) == []


def test_the_holder_of_the_lock_is_killed(bench):
    first, _ = held_in_the_middle(bench)
    second = start(*arguments(bench, bench.describe()))
    assert "weights under" in second.stderr.readline()
    first.kill()
    first.communicate()
    code, _, err = finish(second)
    assert code == 0, err
    assert bench.is_right()
    assert sum(bench.server.sent()) <= 2 * len(bench.content)


def test_prune_leaves_what_is_held(bench, capsys):
    process, _ = held_in_the_middle(bench)
    assert main(["cache", "prune", "--cache-dir", str(bench.cache)]) == 0
    assert capsys.readouterr().out == ""
    assert bench.part().exists()
    process.kill()
    process.communicate()
    assert main(["cache", "prune", "--cache-dir", str(bench.cache)]) == 0
    assert leftovers(bench.room) == []


# The disk


@pytest.mark.parametrize("limit", [4096, 200_000])
def test_disk_full(limit, bench):
    bench.folder.mkdir(parents=True)
    bench.target.write_bytes(b"earlier")
    bench.on(serve(bench.content))
    model = bench.describe()
    code, _, err = run(*arguments(bench, model), file_limit=limit)
    assert code == 1
    assert err.count("error:") == 1
    assert "File too large" in err
    assert bench.target.read_bytes() == b"earlier"
    assert leftovers(bench.folder) == []
    assert run(*arguments(bench, model))[0] == 0
    assert bench.is_right()


def test_disk_full_while_copying_from_the_cache(bench):
    bench.on(serve(bench.content))
    bench.download()
    bench.target.unlink()
    code, _, err = run(*arguments(bench, bench.describe()), file_limit=4096)
    assert (code, err.count("error:")) == (1, 1)
    assert not bench.target.exists()
    assert leftovers(bench.room) == []
    assert run(*arguments(bench, bench.describe()))[0] == 0
    assert bench.is_right()


def test_disk_full_while_unpacking(bench, archived):
    model, right = archived
    content = right[bench.folder / "net.tgz"]
    (bench.folder / "net.tgz").write_bytes(content)
    code, _, err = run(*arguments(bench, model), file_limit=4096)
    assert (code, err.count("error:")) == (1, 1)
    assert leftovers(bench.room) == []
    assert run(*arguments(bench, model))[0] == 0
    assert all(path.read_bytes() == content for path, content in right.items())


@pytest.mark.parametrize("what", ["cache", "files", "locks"])
def test_cache_that_cannot_be_written(what, bench):
    """A file in the place of a folder: what a read-only cache is to root too."""
    place = bench.cache if what == "cache" else bench.cache / what
    place.parent.mkdir(exist_ok=True)
    place.write_text("no folder")
    bench.on(serve(bench.content))
    code, _, err = run(*arguments(bench, bench.describe()))
    assert code == (2 if what == "cache" else 0), err
    if what == "cache":  # said before anything is done
        assert err.count("Error:") == 1
        assert bench.server.exchanges == []
        bench.download()
    assert bench.is_right()
    assert place.read_text() == "no folder"


def test_part_beside_the_target_goes_when_the_cache_is_back(bench):
    """Without a cache the part lies beside the target; with one again it is not forgotten there."""
    (bench.cache / "files").parent.mkdir()
    (bench.cache / "files").write_text("no folder")
    bench.on(serve(bench.content, stop_after=len(bench.content) // 2), serve(bench.content, stop_after=0))
    with pytest.raises(DownloadError):
        bench.download(attempts=1)
    bench.target.with_name("net.onnx.part").write_bytes(b"kept")
    (bench.cache / "files").unlink()
    bench.on(serve(bench.content))
    bench.download()
    assert bench.is_right()


def test_folder_that_cannot_be_written(bench):
    bench.on(serve(bench.content))
    (bench.room / "public").write_text("no folder")
    code, _, err = run(*arguments(bench, bench.describe()))
    assert (code, err.count("error:")) == (1, 1)
    assert leftovers(bench.room) == []
    assert (bench.room / "public").read_text() == "no folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_read_only_folder(bench):
    bench.on(serve(bench.content))
    bench.folder.mkdir(parents=True)
    bench.folder.chmod(0o500)
    try:
        code, _, err = run(*arguments(bench, bench.describe()))
    finally:
        bench.folder.chmod(0o700)
    assert (code, err.count("error:")) == (1, 1)
