"""The tables of docs/how-to/migrate.md: every option of every program once, with what it is here."""

from __future__ import annotations

import pytest
from generate_docs import classic_programs as classic
from generate_docs import migration
from generate_docs.accuracy_check import ACCURACY_CHECK

LISTS = {
    "migrate-omz-downloader": classic.OMZ_DOWNLOADER,
    "migrate-omz-converter": classic.OMZ_CONVERTER,
    "migrate-omz-quantizer": classic.OMZ_QUANTIZER,
    "migrate-omz-info-dumper": classic.OMZ_INFO_DUMPER,
    "migrate-mo": classic.MO,
    "migrate-benchmark-app": {**classic.BENCHMARK_APP_CPP, **classic.BENCHMARK_APP},
    "migrate-accuracy-check": ACCURACY_CHECK,
    "migrate-classification-demo": classic.CLASSIFICATION_DEMO,
    "migrate-classification-benchmark-demo": classic.CLASSIFICATION_BENCHMARK_DEMO,
}


def rows(part: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in migration.GENERATORS[part]().splitlines()[2:]]


@pytest.mark.parametrize("part", migration.GENERATORS)
def test_every_option_is_in_one_row_with_a_remark(part: str) -> None:
    table = rows(part)
    named = [option for row in table for option in row[0].replace("`", "").split(", ")]
    assert sorted(named) == sorted({option for options in LISTS[part] for option in options})
    assert all(len(row) == 3 and all(row) for row in table)


@pytest.mark.parametrize(
    ("part", "option", "here", "remark"),
    [
        (
            "migrate-omz-converter",
            "`--mo`",
            "`--backend mo --mo MO`",
            "convert with the classic Model Optimizer at this",
        ),
        ("migrate-omz-quantizer", "`--dataset_dir`", "`quantize --calibration`", "folder of calibration images"),
        ("migrate-mo", "`--data_type`", "`--precisions`", "`--data_type half` is `--precisions FP16`"),
        ("migrate-mo", "`--silent`", "no effect", "use `-q`"),
        ("migrate-mo", "`--version`", "refused", "use `ov-mobilenet --version`"),
        ("migrate-benchmark-app", "`-ip`, `--input_precision`", "not needed", "some values are refused: the input is"),
        ("migrate-classification-benchmark-demo", "`-show`", "no effect", "the demo prints the reason"),
    ],
)
def test_a_row_says_what_the_command_does_with_the_option(part: str, option: str, here: str, remark: str) -> None:
    row = next(row for row in rows(part) if row[0] == option)
    assert row[1] == here and row[2].startswith(remark)


def test_an_option_that_our_command_lacks_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "ACCURACY_CHECK", {("--old",): ("--no-such-option", "")})
    with pytest.raises(KeyError, match="no-such-option"):
        migration.accuracy_check()
