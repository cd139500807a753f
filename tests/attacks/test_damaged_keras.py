"""A few random cases of the attacks that need tensorflow; `make fuzz VENV=.venv-full` runs many."""

from __future__ import annotations

from pathlib import Path

import pytest
from attacks.fuzz import Attack, case_random
from attacks.generators.converted_keras import ATTACKS

pytestmark = pytest.mark.full


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_damaged_keras_files_given_to_convert(attack: Attack, tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        attack.run(case_random(0, attack.name, number), folder)
