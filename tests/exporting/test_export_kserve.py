"""`export kserve` as a command, its README, and the container's command line as a process."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from serving.server_process import served

from ov_mobilenet import (
    KserveExport,
    KserveSettings,
    OutputError,
    UsageError,
    export_kserve,
    find_config,
    load_classifier,
)
from ov_mobilenet.cli.main import main

SAMPLE = "mobilenet-v1-0.25-128-signs"
SIGN = find_config(SAMPLE).folder / "samples" / "stop_red_01.jpg"
TOKEN = "a token that nobody guesses".replace(" ", "-")
OWN = ["--runtime", "ov-mobilenet", "--image", "registry.example.com/ov-mobilenet-serve:0.2"]


def run(folder: Path, *arguments: str | Path, uri: str = "s3://bucket/models") -> int:
    return main(["export", "kserve", "-o", str(folder), "--storage-uri", uri, *map(str, arguments)])


def test_the_files_and_what_the_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(out, SAMPLE, "--name", f"Second_Model={SAMPLE}", "--format", "json") == 0
    printed = capsys.readouterr()
    rows = json.loads(printed.out)
    assert [(row["model"], row["service"]) for row in rows] == [
        (SAMPLE, "mobilenet-v1-0-25-128-signs"), ("Second_Model", "second-model"),
    ]  # fmt: skip
    for row in rows:
        assert row["schema_version"] == 1
        assert row["storage_uri"] == f"s3://bucket/models/{row['model']}/"
        assert (Path(row["folder"]) / "1" / f"{row['model']}.xml").is_file()
        assert yaml.safe_load(Path(row["yaml"]).read_text())["metadata"]["name"] == row["service"]
        assert (row["input_size"], row["geometry_baked"]) == ([128, 128], False)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "kserve", "labels", "models"]
    assert str(out / "README.md") in printed.err


def test_a_model_that_cannot_be_exported_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "out", SAMPLE, "no-such-model", "--format", "json") == 1
    printed = capsys.readouterr()
    good, bad = json.loads(printed.out)
    assert (good["service"], bad["model"]) == ("mobilenet-v1-0-25-128-signs", "no-such-model")
    assert "unknown model" in bad["error"]
    assert "1 of 2 models failed" in printed.err
    assert [path.name for path in (tmp_path / "out/kserve").glob("*.yaml")] == ["mobilenet-v1-0-25-128-signs.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no models"),
        ([SAMPLE, "--runtime", "ov-mobilenet"], "--image REGISTRY"),
        ([SAMPLE, "--cpu-limit", "0.5"], "cpu_request is above cpu_limit"),
        ([SAMPLE, "--allowed-host", "a.example.com"], "a setting of the runtime ov-mobilenet"),
        ([SAMPLE, *OWN, "--insecure-no-auth"], "--allowed-host"),
        ([SAMPLE, "--batch", "-1"], "invalid batch"),
        (["--name", f"a.b={SAMPLE}", "--name", f"a_b={SAMPLE}"], "the same name of a service"),
        (["--name", f"1={SAMPLE}"], "a letter first"),
    ],
)
def test_wrong_usage(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    assert run(tmp_path / "out", *arguments) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_storage_is_required(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "kserve", SAMPLE, "-o", str(tmp_path / "out")]) == 2
    assert "--storage-uri" in capsys.readouterr().err
    with pytest.raises(UsageError, match="expected s3://BUCKET/PATH"):
        export_kserve(SAMPLE, tmp_path / "out", storage_uri="here")


def test_an_earlier_export_is_only_replaced_on_request(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_kserve({"first": SAMPLE}, out, storage_uri="s3://a")
    with pytest.raises(OutputError, match="--overwrite"):
        export_kserve({"second": SAMPLE}, out, storage_uri="s3://a")
    export_kserve({"second": SAMPLE}, out, storage_uri="s3://a", overwrite=True)
    assert [path.name for path in (out / "models").iterdir()] == ["second"]
    assert [path.name for path in (out / "kserve").glob("*.yaml")] == ["second.yaml"]


def own_service(folder: Path, **settings: Any) -> tuple[KserveExport, list[str]]:
    """An export of the model `Signs` for our own image, and the arguments of its container for this machine."""
    chosen = KserveSettings(runtime="ov-mobilenet", image="x:1", **settings)
    export = export_kserve({"Signs": SAMPLE}, folder / "out", storage_uri="pvc://models", kserve_settings=chosen)
    # As KServe does: the content of the storage URI is mounted, under another name.
    mounted = shutil.copytree(export.services[0].folder, folder / "mnt" / "models")
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    container = yaml.safe_load(export.services[0].yaml.read_text())["spec"]["predictor"]["containers"][0]
    here = {"/mnt/models": str(mounted), "/etc/ov-mobilenet/token": str(token)}
    pattern = re.compile("|".join(here))
    return export, [pattern.sub(lambda found: here[found[0]], argument) for argument in container["args"]]


def ask(url: str, path: str, headers: dict[str, str], body: bytes | None = None) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, body, headers), timeout=60) as response:
            content = response.read()
            return response.status, json.loads(content) if content else None
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.full
def test_the_container_answers_behind_an_ingress(tmp_path: Path) -> None:
    """With the token, whatever the Host header is; probes need none."""
    _, arguments = own_service(tmp_path)
    behind = {"Host": "signs-predictor.vision.svc.cluster.local", "Authorization": f"Bearer {TOKEN}"}
    # The root file system is read-only, so there is no home.
    with served(*arguments, environment={"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none"}) as process:
        url = process.announced["url"].replace("0.0.0.0", "127.0.0.1")
        assert process.announced["models"] == ["signs"]
        assert process.announced["grpc"] is None
        for path in ("/v2/health/ready", "/v2/health/live"):
            assert ask(url, path, {"Host": "10.1.2.3:8080"})[0] == 200
        assert ask(url, "/v2/models/signs", {"Host": behind["Host"]})[0] == 401
        assert ask(url, "/v2/models/signs", behind)[1]["name"] == "signs"
        status, answer = ask(url, "/v1/classify?top_k=16", behind, SIGN.read_bytes())
        assert status == 200
    expected = load_classifier(SAMPLE, device="CPU", inference_precision="f32").classify(SIGN, top_k=16).predictions
    assert [one["class_id"] for one in answer["predictions"]] == [one.class_id for one in expected]
    assert [one["probability"] for one in answer["predictions"]] == pytest.approx(
        [one.probability for one in expected], abs=2e-6
    )


@pytest.mark.full
def test_without_a_token_the_allowed_hosts_are_answered(tmp_path: Path) -> None:
    _, arguments = own_service(tmp_path, insecure_no_auth=True, allowed_hosts=("signs.vision.example.com",))
    with served(*arguments) as process:
        url = process.announced["url"].replace("0.0.0.0", "127.0.0.1")
        assert ask(url, "/v2/models/signs", {"Host": "signs.vision.example.com"})[0] == 200
        assert ask(url, "/v2/models/signs", {"Host": "evil.example.com"})[0] == 403
        assert ask(url, "/v2/health/ready", {"Host": "10.1.2.3:8080"})[0] == 200


def code_blocks(export: KserveExport, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", (export.folder / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )


@pytest.mark.skipif(shutil.which("tar") is None, reason="tar is not installed")
def test_the_archive_for_https_holds_the_version(tmp_path: Path) -> None:
    export = export_kserve({"signs": SAMPLE}, tmp_path / "out", storage_uri="https://example.com/models")
    (command,) = (block for block in code_blocks(export, "sh") if block.startswith("tar"))
    subprocess.run(["sh", "-ec", command], cwd=export.folder, check=True, timeout=60)
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    name = export.services[0].storage_uri.rpartition("/")[2]
    shutil.unpack_archive(export.folder / name, mounted)
    assert sorted(str(path.relative_to(mounted)) for path in mounted.rglob("*.*")) == ["1/signs.bin", "1/signs.xml"]


@pytest.mark.parametrize(
    ("uri", "command"),
    [
        ("s3://bucket/models", "aws s3 cp --recursive models s3://bucket/models"),
        ("gs://bucket", "gcloud storage rsync --recursive models gs://bucket"),
        (
            "https://a12.blob.core.windows.net/m",
            "azcopy copy --recursive 'models/*' 'https://a12.blob.core.windows.net/m'",
        ),
        ("pvc://claim/some/folder", "the folder `some/folder` of the volume of the claim `claim`"),
    ],
)
def test_the_readme_says_how_to_copy_the_models(uri: str, command: str, tmp_path: Path) -> None:
    export = export_kserve({"signs": SAMPLE}, tmp_path / "out", storage_uri=uri)
    assert command in (export.folder / "README.md").read_text()


@pytest.mark.parametrize("bake", [False, True])
def test_the_readme_says_what_differs_between_the_runtimes(bake: bool, tmp_path: Path) -> None:
    export = export_kserve({"signs": SAMPLE}, tmp_path / "out", storage_uri="s3://a", bake_geometry=bake)
    text = (export.folder / "README.md").read_text()
    assert ("stretches the whole image" in text, "crop and resize are in the graph" in text) == (not bake, bake)
    assert f"| signs | signs | `{export.services[0].storage_uri}` |" in text
    assert "needs `--batch" not in text


def test_the_readme_names_models_that_do_not_take_one_image(tmp_path: Path) -> None:
    export = export_kserve({"signs": SAMPLE}, tmp_path / "out", storage_uri="s3://a", batch=4)
    text = (export.folder / "README.md").read_text()
    assert "needs `--batch 1:N`: signs (4)." in text
    assert export.services[0].batch == "4"


def test_the_commands_in_the_readme_name_what_was_written(tmp_path: Path) -> None:
    settings = KserveSettings(runtime="ov-mobilenet", image="reg/x:1", namespace="vision", token_secret="key")
    export = export_kserve({"signs": SAMPLE}, tmp_path / "out", storage_uri="s3://a", kserve_settings=settings)
    text = "\n".join(code_blocks(export, "sh"))
    assert "kubectl apply -n vision -f kserve/" in text
    assert "kubectl create secret generic key -n vision --from-file=token=token" in text
    assert "docker push reg/x:1" in text
    assert "kubectl get inferenceservice signs -n vision" in text
    for command in text.splitlines():
        for path in re.findall(r"-f (\S+\.yaml|kserve/)", command):
            assert (export.folder / path).exists()
