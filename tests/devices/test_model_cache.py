"""The model cache: where it is used, and pruning."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Literal

import pytest
from compile_for_tests import network, on_fakes
from fake_device import FakeCore

from ov_mobilenet.devices import model_cache
from ov_mobilenet.devices.compile import compile_model
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import UsageError


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("ov_mobilenet.downloads.cache.default_root", lambda: tmp_path / "user")
    return tmp_path / "user" / "compiled"


@pytest.mark.parametrize(
    ("device", "wanted", "kept"),
    [("CPU", None, False), ("GPU", None, True), ("NPU", None, True), ("AUTO", None, True), ("AUTO:CPU", None, False),
     ("HETERO:GPU,CPU", None, True), ("AUTO:-GPU,-NPU", None, False), ("GPU", "off", False)],
)  # fmt: skip
def test_compiled_models_are_cached_for_devices_that_compile_slowly(
    device: str, wanted: Literal["off"] | None, kept: bool, own_cache: Path
) -> None:
    core = FakeCore()
    compile_model(network(), DeviceSettings(device=device, model_cache=wanted), core=core)
    ((_, config, _),) = core.compiled
    assert config.get("CACHE_DIR") == (str(own_cache) if kept else None)
    assert own_cache.is_dir() == kept


def test_a_given_cache_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    with pytest.raises(UsageError, match="cannot create the model cache"):
        on_fakes("CPU", model_cache=in_the_way / "cache")


def test_a_default_cache_folder_that_cannot_be_created_is_a_warning(
    own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own_cache.parent.write_bytes(b"")
    core = FakeCore()
    compile_model(network(), DeviceSettings(device="GPU"), core=core)
    assert "CACHE_DIR" not in core.compiled[0][1]
    assert "running without it" in caplog.text


def blob(folder: Path, name: str, size: int, days: float) -> Path:
    path = folder / name
    path.write_bytes(bytes(size))
    used = time.time() - days * 86_400
    os.utime(path, (used, used))
    return path


def test_pruning_by_age_and_size_keeps_the_newest_model_and_other_files(tmp_path: Path) -> None:
    stale = blob(tmp_path, "1.blob", 10, 100)
    older = blob(tmp_path, "2.blob", 600, 3)
    kernel = blob(tmp_path, "3.cl_cache", 300, 2)
    newest = blob(tmp_path, "4.blob", 500, 1)
    mine = blob(tmp_path, "notes.txt", 5000, 400)
    link = tmp_path / "5.blob"
    link.symlink_to(mine)
    assert model_cache.prune(tmp_path, max_bytes=900, max_age_days=90) == 610
    assert [path.exists() for path in (stale, older, kernel, newest, mine, link)] == [
        False,
        False,
        True,
        True,
        True,
        True,
    ]
    assert model_cache.prune(tmp_path, max_bytes=1, max_age_days=0.1) == 300
    assert newest.exists()
    assert model_cache.prune(tmp_path / "none") == 0


def test_compiling_prunes_the_model_cache(own_cache: Path) -> None:
    own_cache.mkdir(parents=True)
    stale = blob(own_cache, "1.blob", 10, 1000)
    fresh = blob(own_cache, "2.blob", 10, 1)
    compile_model(network(), DeviceSettings(device="NPU"), core=FakeCore())
    assert (stale.exists(), fresh.exists()) == (False, True)


def test_a_folder_of_another_user_stops_nothing(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_cache.mkdir(parents=True)
    blob(own_cache, "1.blob", 10, 1000)
    read = Path.stat

    def stat(path: Path, **options: bool) -> os.stat_result:
        if path.suffix == ".blob":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return read(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    compile_model(network(), DeviceSettings(device="NPU"), core=FakeCore())
