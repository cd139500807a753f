"""`list --hub`: the table of known repositories, against the published facts and the architectures of this package."""

from __future__ import annotations

import csv
import io
import json
import socket

import pytest

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.conversion.library_networks import architectures
from ov_mobilenet.zoo.hub_reference import parse_hub_reference

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the table needs no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


# As published: timm's pretrained configurations and model cards.
PUBLISHED = {
    "timm/mobilenetv4_conv_small.e2400_r224_in1k": (224, 256, (0.485, 0.456, 0.406), 3.774, 0.737, 0.746, 1000),
    "timm/mobilenetv4_conv_small.e3600_r256_in1k": (256, 320, (0.5, 0.5, 0.5), 3.774, 0.745, 0.756, 1000),
    "timm/mobilenetv3_large_100.miil_in21k_ft_in1k": (224, 224, (0.0, 0.0, 0.0), 5.483, 0.779, 0.779, 1000),
    "timm/mobilenetv3_large_100.miil_in21k": (224, 224, (0.0, 0.0, 0.0), 18.576, None, None, 11221),
    "timm/mobilenetv4_conv_medium.e180_r384_in12k": (384, 384, (0.485, 0.456, 0.406), 23.577, None, None, 11821),
    "google/mobilenet_v1_0.75_192": (192, 192, (0.5, 0.5, 0.5), 2.586, None, None, 1001),
}


def test_the_table_says_what_is_published() -> None:
    known = {one.repository: one for one in ovm.list_repositories()}
    for name, (size, test_size, mean, mparams, top1, test_top1, classes) in PUBLISHED.items():
        one = known[name]
        assert (one.size, one.test_size, one.mean, one.mparams, one.classes) == (
            size,
            test_size,
            mean,
            mparams,
            classes,
        )
        assert one.top1 == (None if top1 is None else pytest.approx(top1, abs=6e-4))
        assert one.test_top1 == (None if test_top1 is None else pytest.approx(test_top1, abs=6e-4))
    assert len(known) == 53
    for name, one in known.items():
        assert parse_hub_reference(one.reference).repository == name
        assert one.size <= one.test_size
        assert (one.top1 is None) == (one.test_top1 is None)
        assert one.license == ("other" if name.startswith("google/") else "apache-2.0")
        assert "v5" not in name
        assert "mobileone" not in name


def test_only_architectures_that_convert_are_listed() -> None:
    for one in ovm.list_repositories():
        assert one.architecture in architectures(one.library)


def test_the_table_on_the_terminal(capsys: Capture) -> None:
    assert main(["list", "--hub", "mobilenetv4_conv_small*", "google/*_224"]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["repository", "size", "MParams", "top-1", "classes", "licence"]
    assert len(rows) == 7
    row = next(row for row in rows if "e2400" in row)
    cells = "224 -> 256 3.8 73.7% -> 74.6% 1000 apache-2.0"
    assert row.split() == ["hf:timm/mobilenetv4_conv_small.e2400_r224_in1k", *cells.split()]


def test_the_formats_agree(capsys: Capture) -> None:
    arguments = ["list", "--hub", "hf:timm/mobilenetv3_small_100.lamb_in1k", "--format"]
    assert main([*arguments, "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    (row,) = document["repositories"]
    assert row["repository"] == "hf:timm/mobilenetv3_small_100.lamb_in1k"
    assert (row["size"], row["top1"], row["mparams"]) == (224, 0.67638, 2.543)
    assert main([*arguments, "jsonl"]) == 0
    assert json.loads(capsys.readouterr().out) == row
    assert main([*arguments, "csv"]) == 0
    (cells,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert cells["repository"] == row["repository"]
    assert cells["mean"] == "0.485 0.456 0.406"


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [("resnet*", "to see all of them"), ("mobilenetv4_conv_smal", "Did you mean mobilenetv4_conv_s")],
)
def test_an_unknown_pattern(pattern: str, hint: str, capsys: Capture) -> None:
    assert main(["list", "--hub", "mobilenetv1*", pattern]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert f"no known repository matches '{pattern}'" in err
    assert hint in err
