"""The model cards match the output of `tools/generate_cards.py`."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_cards", ROOT / "tools" / "generate_cards.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cards_are_up_to_date(generator: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    code = generator.main(["--check"])
    assert code == 0, capsys.readouterr().out


def test_every_model_has_a_card() -> None:
    described = {path.parent.name for path in (ROOT / "model_configs").glob("*/model.yml")}
    carded = {path.parent.name for path in (ROOT / "model_configs").glob("*/README.md")}
    assert described and carded == described


def test_check_names_outdated_cards_and_does_not_write_them(
    generator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model_configs"
    shutil.copytree(ROOT / "model_configs", folder)
    card = folder / "mobilenetv2-7" / "README.md"
    card.write_text(card.read_text("utf-8") + "edited\n", "utf-8")
    (folder / "mobilenet-v1-0.25-128" / "README.md").unlink()

    assert generator.main(["--check", "--folder", str(folder)]) == 1
    out = capsys.readouterr().out
    assert str(card) in out and "mobilenet-v1-0.25-128" in out
    assert "mobilenet-v2-pytorch" not in out
    assert card.read_text("utf-8").endswith("edited\n")

    assert generator.main(["--folder", str(folder)]) == 0
    assert generator.main(["--check", "--folder", str(folder)]) == 0


def test_card_states_both_accuracies() -> None:
    card = (ROOT / "model_configs" / "mobilenet-v2-pytorch" / "README.md").read_text("utf-8")
    assert "| 71.8 % | 90.396 % |" in card
    assert "| 71.9 % | 90.3 % |" in card
    assert "The two differ" in card


def test_card_does_not_report_a_difference_between_equal_accuracies() -> None:
    card = (ROOT / "model_configs" / "mobilenet-v1-0.25-128" / "README.md").read_text("utf-8")
    assert card.count("| 40.54 % | 65 % |") == 2
    assert "The two differ" not in card
