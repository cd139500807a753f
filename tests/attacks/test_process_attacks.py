"""Real processes of the command line: killed, interrupted, concurrent, on a full disk."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from attacks.loopback_server import WATCHDOG_S, Exchange, describe, finish, leftovers, run, says, serve, start
from attacks.served_model import ServedModel

from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import DownloadError

KILLS = (4, pytest.param(12, marks=pytest.mark.full))
Archived = tuple[Path, dict[Path, bytes]]


def arguments(served: ServedModel, *models: Path, out: Path | None = None) -> list[object]:
    return ["download", *models, "-o", out or served.root, "--cache-dir", served.cache, "--allow-http"]


@pytest.fixture
def archived(served: ServedModel) -> Archived:
    """A model of two files: one that exists already, and an archive with the network, sent slowly."""
    network = random.Random(1).randbytes(600_000)
    inside, packed = served.root / "net.onnx", served.root / "net.tgz"
    inside.write_bytes(network)
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(inside, "deep/net.onnx")
    content = packed.read_bytes()
    inside.unlink()
    packed.unlink()
    files = {
        "earlier.bin": (b"earlier", served.on(says(404), path="/earlier.bin")),
        "net.tgz": (content, served.on(serve(content, pause_s=0.002), path="/net.tgz")),
    }
    steps = [{"$type": "unpack_archive", "format": "gztar", "file": "net.tgz"}]
    model = describe(served.root / "configs" / "net", files, "deep/net.onnx", postprocessing=steps)
    served.folder.mkdir(parents=True)
    (served.folder / "earlier.bin").write_bytes(b"earlier")
    return model, {served.folder / "net.tgz": content, served.folder / "deep" / "net.onnx": network}


@pytest.mark.parametrize("kills", KILLS)
def test_kill_at_random_moments(kills: int, served: ServedModel, archived: Archived) -> None:
    signal.alarm(3 * WATCHDOG_S)  # many processes one after the other
    model, right = archived
    earlier = (served.folder / "earlier.bin").stat()
    rng = random.Random(20)
    size = len(right[served.folder / "net.tgz"])

    def spoil() -> None:
        for path in [*right, *(served.cache / "files").rglob("*")]:
            if path.is_file():
                path.unlink()

    killed = resumed = 0
    for i in range(kills):
        served.server.reached.clear()
        # Most of them during the transfer, the others while the archive is copied and unpacked.
        late = i % 4 == 3
        served.server.reach = size if late else rng.randrange(size)
        process = start(*arguments(served, model))
        assert served.server.reached.wait(WATCHDOG_S)
        try:
            process.wait(timeout=rng.uniform(0, 0.1) if late else 0)
        except subprocess.TimeoutExpired:
            killed += 1
        process.kill()
        process.communicate()
        for path, content in right.items():  # the correct file or none
            assert not path.exists() or path.read_bytes() == content
        before = len(served.server.exchanges)
        code, _, err = run(*arguments(served, model))
        assert code == 0, err
        assert all(path.read_bytes() == content for path, content in right.items())
        assert leftovers(served.root) == []
        resumed += any(served.server.ranges()[before:])
        spoil()
    after = (served.folder / "earlier.bin").stat()
    assert (after.st_ino, after.st_mtime_ns) == (earlier.st_ino, earlier.st_mtime_ns)
    assert killed >= kills // 2
    assert resumed


def test_kill_while_unpacking(served: ServedModel, archived: Archived) -> None:
    """The next run removes the temporary files that a killed run left beside the network."""
    model, right = archived
    *_, network = right
    network.parent.mkdir(parents=True)
    (network.parent / ".net.onnx.part").write_bytes(b"half")
    (served.folder / ".net.tgz.part").write_bytes(b"half")
    assert run(*arguments(served, model))[0] == 0
    assert network.read_bytes() == right[network]
    assert leftovers(served.root) == []


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
def test_kill_between_two_file_operations(step: str, served: ServedModel) -> None:
    """Right after the metadata is deleted, the part renamed, or the copy made: too short to hit at random."""
    served.on(serve(served.content))
    model = served.describe()
    command = [sys.executable, "-c", KILLED_IN, *step.split(), "net.onnx", *map(str, arguments(served, model))]
    killed = subprocess.run(command, capture_output=True, timeout=WATCHDOG_S, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not served.target.exists() or served.target.read_bytes() == served.content
    assert run(*arguments(served, model))[0] == 0
    assert served.is_right()


def test_sigterm_keeps_the_part(served: ServedModel) -> None:
    process, held = held_in_the_middle(served)
    process.terminate()
    code, _, err = finish(process)
    assert (code, err.splitlines()[-1]) == (143, "error: terminated")
    assert_resumed(served, held)


def held_in_the_middle(served: ServedModel) -> tuple[subprocess.Popen[str], int]:
    """A process whose server has sent one half of the file and then stalls."""

    def hold(exchange: Exchange) -> None:
        serve(served.content, stop_after=len(served.content) // 2)(exchange)
        exchange.hold()

    served.on(hold, serve(served.content))
    process = start(*arguments(served, served.describe()), "--progress_format", "json")
    assert process.stdout is not None
    for line in process.stdout:  # until all bytes that were sent have arrived
        if json.loads(line).get("size") == len(served.content) // 2:
            break
    return process, len(served.content) // 2


def assert_resumed(served: ServedModel, kept: int) -> None:
    assert not served.target.exists()
    assert served.part().stat().st_size <= kept
    assert run(*arguments(served, served.describe()))[0] == 0
    assert served.is_right()
    assert served.server.ranges()[-1]


def test_ctrl_c_during_a_stalled_transfer(served: ServedModel) -> None:
    process, held = held_in_the_middle(served)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, err.splitlines()[-1]) == (130, "error: interrupted")
    assert_resumed(served, held)


def test_ctrl_c_before_the_first_byte(served: ServedModel) -> None:
    served.on(Exchange.hold)
    process = start(*arguments(served, served.describe()))
    assert served.server.held.wait(WATCHDOG_S)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, err.splitlines()[-1]) == (130, "error: interrupted")
    assert leftovers(served.root) == []


def test_ctrl_c_with_several_jobs(served: ServedModel, tmp_path: Path) -> None:
    """Both connections stall, and the command does not wait for them."""
    served.on(Exchange.hold)
    one = served.describe()
    two = tmp_path / "other"
    shutil.copytree(one, two)
    process = start(*arguments(served, one, two), "-j", "2")
    assert served.server.held.wait(WATCHDOG_S)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, err.splitlines()[-1]) == (130, "error: interrupted")


# Concurrent processes


def wait_for_licence_line(process: subprocess.Popen[str]) -> None:
    """Wait until the command has begun: the licence is its first line."""
    assert process.stderr is not None
    assert "weights under" in process.stderr.readline()


@pytest.mark.parametrize(("count", "apart"), [(2, False), (10, False), (2, True), (10, True)])
def test_concurrent_processes_transfer_once(count: int, apart: bool, served: ServedModel) -> None:
    """Nothing is sent before all processes run; one fetches the file, the others use it."""

    def whole(exchange: Exchange) -> None:
        exchange.hold()
        serve(served.content, pause_s=0.001)(exchange)

    served.on(whole)
    model = served.describe()
    outs = [served.root / f"out{i if apart else 0}" for i in range(count)]
    processes = [start(*arguments(served, model, out=out)) for out in outs]
    for process in processes:
        wait_for_licence_line(process)
    served.server.released.set()
    for process in processes:
        code, _, err = finish(process)
        assert code == 0, err
    assert served.server.sent() == [len(served.content)]
    for out in outs:
        assert (out / "public" / "net" / "net.onnx").read_bytes() == served.content
    assert leftovers(served.root) == []


def test_concurrent_processes_unpack(served: ServedModel, archived: Archived) -> None:
    model, right = archived
    processes = [start(*arguments(served, model)) for _ in range(5)]
    for process in processes:
        code, _, err = finish(process)
        assert code == 0, err
    assert all(path.read_bytes() == content for path, content in right.items())
    assert sum(served.server.sent()) == len(right[served.folder / "net.tgz"])
    assert leftovers(served.root) == []


def test_lock_holder_is_killed(served: ServedModel) -> None:
    first, _ = held_in_the_middle(served)
    second = start(*arguments(served, served.describe()))
    wait_for_licence_line(second)
    first.kill()
    first.communicate()
    code, _, err = finish(second)
    assert code == 0, err
    assert served.is_right()
    assert sum(served.server.sent()) <= 2 * len(served.content)


def test_prune_skips_locked_files(served: ServedModel, capsys: pytest.CaptureFixture[str]) -> None:
    process, _ = held_in_the_middle(served)
    assert main(["cache", "prune", "--cache-dir", str(served.cache)]) == 0
    assert capsys.readouterr().out == ""
    assert served.part().exists()
    process.kill()
    process.communicate()
    assert main(["cache", "prune", "--cache-dir", str(served.cache)]) == 0
    assert leftovers(served.root) == []


# The disk


@pytest.mark.parametrize("limit", [4096, 200_000])
def test_disk_full(limit: int, served: ServedModel) -> None:
    served.folder.mkdir(parents=True)
    served.target.write_bytes(b"earlier")
    served.on(serve(served.content))
    model = served.describe()
    code, _, err = run(*arguments(served, model), file_limit=limit)
    assert code == 1
    assert err.count("error:") == 1
    assert "File too large" in err
    assert served.target.read_bytes() == b"earlier"
    assert leftovers(served.folder) == []
    assert run(*arguments(served, model))[0] == 0
    assert served.is_right()


def test_disk_full_while_copying_from_the_cache(served: ServedModel) -> None:
    served.on(serve(served.content))
    served.download()
    served.target.unlink()
    code, _, err = run(*arguments(served, served.describe()), file_limit=4096)
    assert (code, err.count("error:")) == (1, 1)
    assert not served.target.exists()
    assert leftovers(served.root) == []
    assert run(*arguments(served, served.describe()))[0] == 0
    assert served.is_right()


def test_disk_full_while_unpacking(served: ServedModel, archived: Archived) -> None:
    model, right = archived
    content = right[served.folder / "net.tgz"]
    (served.folder / "net.tgz").write_bytes(content)
    code, _, err = run(*arguments(served, model), file_limit=4096)
    assert (code, err.count("error:")) == (1, 1)
    assert leftovers(served.root) == []
    assert run(*arguments(served, model))[0] == 0
    assert all(path.read_bytes() == content for path, content in right.items())


@pytest.mark.parametrize("what", ["cache", "files", "locks"])
def test_cache_is_not_writable(what: str, served: ServedModel) -> None:
    """A file in place of a folder, which is an error for root as well, unlike a read-only folder."""
    place = served.cache if what == "cache" else served.cache / what
    place.parent.mkdir(exist_ok=True)
    place.write_text("no folder")
    served.on(serve(served.content))
    code, _, err = run(*arguments(served, served.describe()))
    assert code == (2 if what == "cache" else 0), err
    if what == "cache":  # reported before anything is done
        assert err.count("Error:") == 1
        assert served.server.exchanges == []
        served.download()
    assert served.is_right()
    assert place.read_text() == "no folder"


def test_part_beside_the_target_is_removed_once_the_cache_is_writable(served: ServedModel) -> None:
    """Without a cache the part is beside the target; once the cache is writable it is removed there."""
    (served.cache / "files").parent.mkdir()
    (served.cache / "files").write_text("no folder")
    served.on(serve(served.content, stop_after=len(served.content) // 2), serve(served.content, stop_after=0))
    with pytest.raises(DownloadError):
        served.download(attempts=1)
    served.target.with_name("net.onnx.part").write_bytes(b"kept")
    (served.cache / "files").unlink()
    served.on(serve(served.content))
    served.download()
    assert served.is_right()


def test_output_folder_cannot_be_created(served: ServedModel) -> None:
    served.on(serve(served.content))
    (served.root / "public").write_text("no folder")
    code, _, err = run(*arguments(served, served.describe()))
    assert (code, err.count("error:")) == (1, 1)
    assert leftovers(served.root) == []
    assert (served.root / "public").read_text() == "no folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_output_folder_is_read_only(served: ServedModel) -> None:
    served.on(serve(served.content))
    served.folder.mkdir(parents=True)
    served.folder.chmod(0o500)
    try:
        code, _, err = run(*arguments(served, served.describe()))
    finally:
        served.folder.chmod(0o700)
    assert (code, err.count("error:")) == (1, 1)
