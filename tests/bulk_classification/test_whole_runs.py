"""`bulk` from start to end: killed, interrupted, refused, on a full disk; always with the rows of `classify`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import bulk_runs
import pytest
from bulk_runs import assert_same_rows, bulk_arguments, classify_arguments, manifest, parts, rows_of, sources_of, start
from named_pipes import open_for_writing

from ov_mobilenet.cli.main import main

pytest.importorskip("pyarrow")

IMAGES = 60
KILLS = 25


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Different drawings."""
    folder = tmp_path_factory.mktemp("drawings")
    bulk_runs.write_drawings(folder, 20)
    return folder


def wait_for_parts(count: int, output: Path, process: subprocess.Popen[str]) -> bool:
    """Wait until there are so many parts; False if the process ended before."""
    while len(parts(output)) < count:
        try:
            process.wait(timeout=0.001)
            return False
        except subprocess.TimeoutExpired:
            pass
    return True


@pytest.mark.full  # test_killed_at_each_step.py is the shorter one beside it
def test_after_random_kills_every_image_has_one_result(tmp_path: Path) -> None:
    folder, oracle = tmp_path / "images", tmp_path / "x.parquet"
    bulk_runs.write_drawings(folder, IMAGES, side=700)  # they take some milliseconds each
    assert main(classify_arguments([folder], oracle)) == 0
    expected = rows_of([oracle])
    assert len({row[5:7] for row in expected if row[3] == 1}) > IMAGES / 2, "images must have different results"
    rng, output, kills = random.Random(5), tmp_path / "out", 0
    while True:
        process = start(bulk_arguments([folder], output, "--images-per-part", "4"))
        if kills < KILLS and wait_for_parts(len(parts(output)) + rng.randint(0, 3), output, process):
            process.kill()
            kills += 1
        _, err = process.communicate(timeout=120)
        found = sources_of(rows_of(parts(output)))
        assert len(found) == len(set(found)), "an image has two results"
        if process.returncode == -signal.SIGKILL:
            assert not (output / "_SUCCESS").exists()
            continue
        assert process.returncode == 0, err
        assert_same_rows(rows_of(parts(output)), expected)
        if kills == KILLS:
            break
        for file in output.iterdir():  # it ended before it could be killed
            file.unlink()
    assert sorted(path.name for path in output.iterdir()) == [
        "_SUCCESS", "_manifest.json", "_shards.jsonl", *(f"part-{number:05}.parquet" for number in range(15)),
    ]  # fmt: skip
    found_manifest = manifest(output)
    assert (found_manifest["state"], found_manifest["images"], found_manifest["errors"]) == ("complete", IMAGES, 0)


class Blocked:
    """A run over nine images in parts of four, which waits for the last one: a named pipe."""

    def __init__(self, folder: Path, tmp_path: Path, before: str = "") -> None:
        self.files = sorted(folder.iterdir())[:8]
        self.pipe = tmp_path / "last.jpg"
        os.mkfifo(self.pipe)
        self.output = tmp_path / "out"
        self.arguments = bulk_arguments([*self.files, self.pipe], self.output, "--images-per-part", "4")
        self.process = start(self.arguments, before)
        assert wait_for_parts(2, self.output, self.process), self.process.communicate()
        self._writer = open_for_writing(self.pipe, self.process)

    def end(self, data: bytes = b"") -> str:
        """Write to the pipe, close it, and wait for the end; returns what was written to stderr."""
        os.write(self._writer, data)
        os.close(self._writer)
        _, err = self.process.communicate(timeout=60)
        assert "Traceback" not in err
        return err

    def is_completed_by_another_run(self) -> None:
        """Run it again with a file in the place of the pipe, and compare the rows with those of `classify`."""
        before = _times(self.output)
        self.pipe.unlink()
        self.pipe.write_bytes(self.files[3].read_bytes())
        oracle = self.output.with_name("x.parquet")
        assert main(self.arguments) == 0
        assert main(classify_arguments([*self.files, self.pipe], oracle)) == 0
        assert_same_rows(rows_of(parts(self.output)), rows_of([oracle]))
        assert {name: when for name, when in _times(self.output).items() if name in before} == before, "done again"


def _times(output: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in parts(output)}


def _temporary_files(output: Path) -> list[str]:
    return [path.name for path in output.iterdir() if path.name.startswith(".") and "lock" not in path.name]


@pytest.mark.parametrize(  # cli/test_bulk.py has both signals too
    ("signum", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.full)]
)
def test_an_interrupted_run_leaves_its_parts_in_the_manifest(
    signum: int, code: int, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Blocked(folder, tmp_path)
    assert main(run.arguments) == 1, "a second run at once is refused"
    refusal = capsys.readouterr().err
    assert "another run is writing to this folder" in refusal
    assert str(run.output) in refusal
    run.process.send_signal(signum)
    err = run.end()
    assert run.process.returncode == code, err
    found = manifest(run.output)
    assert found["state"] == "incomplete"
    names = [part["name"] for part in found["parts"]]
    # The signal may come when a part is in the folder but not recorded yet: the next run finds it.
    assert names in (["part-00000.parquet", "part-00001.parquet"], ["part-00000.parquet"])
    assert _temporary_files(run.output) == []
    run.is_completed_by_another_run()


@pytest.mark.full
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs Linux")
def test_a_folder_that_becomes_read_only_ends_the_run(folder: Path, tmp_path: Path) -> None:
    run = Blocked(folder, tmp_path, before=bulk_runs.DROP_ROOT_PERMISSIONS)
    run.output.chmod(0o555)
    try:
        err = run.end(run.files[0].read_bytes())
    finally:
        run.output.chmod(0o755)
    assert run.process.returncode == 1, err
    assert "Permission denied" in err
    assert str(run.output) in err
    assert [path.name for path in parts(run.output)] == ["part-00000.parquet", "part-00001.parquet"]
    run.is_completed_by_another_run()


def test_a_full_disk_ends_the_run_and_leaves_what_is_whole(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(folder.iterdir())
    small = bulk_runs.write_tar(tmp_path / "a.tar", {files[0].name: files[0].read_bytes()})
    large = bulk_runs.write_tar(tmp_path / "b.tar", {file.name: file.read_bytes() for file in files})
    output, oracle = tmp_path / "out", tmp_path / "x.parquet"
    assert main(bulk_arguments([small, large], output)) == 0
    before = [part.stat().st_size for part in parts(output)]
    limit = sum(before) // 2
    assert before[0] + 1000 < limit < before[1] - 1000, "the limit must be between the sizes of the two parts"
    arguments = bulk_arguments([small, large], output, "--overwrite")

    pytest.importorskip("resource", reason="Windows has no module resource")
    process = start(arguments, before=f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert "File too large" in err
    assert str(output) in err
    assert [path.name for path in parts(output)] == ["part-00000.parquet"]
    assert not [path.name for path in output.iterdir() if "partial" in path.name]
    assert not (output / "_SUCCESS").exists()

    assert main(bulk_arguments([small, large], output)) == 0
    assert main(classify_arguments([small, large], oracle)) == 0
    assert_same_rows(rows_of(parts(output)), rows_of([oracle]))


def _truncated(good: bytes) -> bytes:
    return good[: len(good) // 2 + 100]


def _garbage(good: bytes) -> bytes:
    return random.Random(1).randbytes(len(good))


def _damaged_member(good: bytes) -> bytes:
    return good[:512] + bytes(2000) + good[2512:]


def test_poisoned_tars_give_the_rows_of_classify(folder: Path, tmp_path: Path) -> None:
    files = sorted(folder.iterdir())
    tars = [
        bulk_runs.write_tar(
            tmp_path / f"{number}.tar", {file.name: file.read_bytes() for file in files[2 * number : 2 * number + 2]}
        )
        for number in range(7)
    ]
    damages: list[Callable[[bytes], bytes]] = [_truncated, _garbage, _damaged_member, lambda _: b""]
    for tar, damage in zip(tars[1:], damages, strict=False):
        tar.write_bytes(damage(tar.read_bytes()))
    tars[5].unlink()
    output, oracle = tmp_path / "out", tmp_path / "x.parquet"
    assert main(classify_arguments(tars, oracle)) == 1
    assert main(bulk_arguments(tars, output)) == 1
    rows = rows_of(parts(output))
    assert_same_rows(rows, rows_of([oracle]))
    failed = [str(row[0]) for row in rows if row[7] is not None]
    assert [sum(source.startswith(str(tar)) for source in failed) for tar in tars] == [0, 1, 1, 1, 1, 1, 0]
    found = manifest(output)
    assert (found["state"], found["errors"], len(found["parts"])) == ("complete", len(failed), 7)
    assert (output / "_SUCCESS").exists()
    before = _times(output)
    assert main(bulk_arguments(tars, output)) == 1, "a second run has the same exit code"
    assert _times(output) == before


def test_inputs_that_changed_are_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = tmp_path / "images"
    images.mkdir()
    files = sorted(folder.iterdir())
    for file in files[:4]:
        os.link(file, images / file.name)
    tar = bulk_runs.write_tar(tmp_path / "s.tar", {"a.jpg": files[0].read_bytes()})
    output = tmp_path / "out"
    arguments = bulk_arguments([images, tar], output, "--images-per-part", "2")
    assert main(arguments) == 0
    before = _state(output)
    capsys.readouterr()

    def refused() -> str:
        assert main(arguments) == 1
        assert _state(output) == before, "a refused run changes nothing"
        return capsys.readouterr().err

    os.link(files[5], images / files[5].name)
    err = refused()
    assert "part" in err or "images" in err, err
    (images / files[5].name).unlink()
    (images / files[0].name).rename(images / "other.jpg")
    assert "part-00000" in refused() or "other" in refused() or files[0].name in refused()
    (images / "other.jpg").rename(images / files[0].name)
    content = tar.read_bytes()
    bulk_runs.write_tar(tar, {"a.jpg": files[0].read_bytes(), "b.jpg": files[1].read_bytes()})
    assert "s.tar" in refused()
    tar.write_bytes(content)
    assert main(arguments) == 0
    assert _state(output)[1] == before[1]


def _state(output: Path) -> tuple[list[str], dict[str, int]]:
    return sorted(path.name for path in output.iterdir() if "lock" not in path.name), _times(output)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("--top-k", "3"), "top-k"),
        (("--geometry", "resize 128"), "geometry"),
        (("--images-per-part", "3"), "images per part"),
        (("--inference-precision", "bf16"), "precision"),
        (("--decode", "fast"), "decode"),
        (("--min-probability", "0.5"), "probability"),
    ],
)
def test_other_settings_are_refused_with_their_names(
    change: tuple[str, ...], named: str, finished: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    images, output = finished
    before = _state(output)
    assert main(bulk_arguments([images], output, "--images-per-part", "2", *change)) == 1
    err = capsys.readouterr().err
    assert named in err.replace("-", " ") or named in err, err
    assert _state(output) == before


def test_another_model_is_refused(
    finished: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, output = finished
    before = _state(output)
    assert (
        main(["convert", bulk_runs.SAMPLE, "-o", str(tmp_path), "-d", str(tmp_path), "--precisions", "FP16", "-q"]) == 0
    )
    (xml,) = tmp_path.rglob("*.xml")
    arguments = bulk_arguments([images], output, "--images-per-part", "2")
    arguments[1] = str(xml)
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert "model" in err or "network" in err
    assert _state(output) == before


@pytest.fixture(scope="module")
def finished(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of six images and its finished output with two images per part."""
    base = tmp_path_factory.mktemp("finished")
    (base / "images").mkdir()
    for file in sorted(folder.iterdir())[:6]:
        os.link(file, base / "images" / file.name)
    assert main(bulk_arguments([base / "images"], base / "out", "--images-per-part", "2")) == 0
    return base / "images", base / "out"


def test_one_image_in_several_inputs_has_a_result_for_each(folder: Path, tmp_path: Path) -> None:
    files = [str(file) for file in sorted(folder.iterdir())[:3]]
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(files + files[:1]) + "\n")
    tar = bulk_runs.write_tar(tmp_path / "t.tar", {"x.jpg": Path(files[0]).read_bytes()})
    inputs = [files[0], files[0], files[1], f"@{listed}", tar, tar, files[2]]
    output, oracle = tmp_path / "out", tmp_path / "x.parquet"
    assert main(classify_arguments(inputs, oracle)) == 0
    assert main(bulk_arguments(inputs, output, "--images-per-part", "3")) == 0
    rows = rows_of(parts(output))
    assert_same_rows(rows, rows_of([oracle]))
    assert len(sources_of(rows)) == 10
    assert manifest(output)["images"] == 10


def test_an_empty_tar_between_full_ones_has_a_part_of_its_own(folder: Path, tmp_path: Path) -> None:
    data = sorted(folder.iterdir())[0].read_bytes()
    tars = [
        bulk_runs.write_tar(tmp_path / f"{number}.tar", {"x.jpg": data} if number in (1, 4) else {"x.txt": b"text"})
        for number in range(6)
    ]
    output, oracle = tmp_path / "out", tmp_path / "x.parquet"
    assert main(classify_arguments(tars, oracle)) == 1
    assert main(bulk_arguments(tars, output)) == 1
    assert_same_rows(rows_of(parts(output)), rows_of([oracle]))
    assert [part["images"] for part in manifest(output)["parts"]] == [1] * 6
    assert [part["errors"] for part in manifest(output)["parts"]] == [1, 0, 1, 1, 0, 1]


def test_an_empty_list_is_an_error_that_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("\n# no images\n")
    assert main(bulk_arguments([f"@{listed}"], tmp_path / "out")) in (1, 2)
    assert "image" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
