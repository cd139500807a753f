"""The predictions file: resuming an interrupted run, and refusing invalid files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from known_network import Known

import ov_mobilenet as ovm
from ov_mobilenet.errors import DatasetError


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_an_interrupted_run_is_resumed_from_its_predictions(
    suffix: str, known: Known, annotations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = known.files[0].parent, tmp_path / f"p{suffix}"
    whole = ovm.measure_accuracy(known.xml, folder, annotations=annotations, predictions=file)
    complete = file.read_bytes()
    assert complete.count(b"\n") == 12 + (suffix == ".csv")
    assert b"00.png" in complete.splitlines()[suffix == ".csv"]
    # Interrupted in the middle of the eighth image's line.
    lines = complete.splitlines(keepends=True)
    kept = 7 + (suffix == ".csv")
    file.write_bytes(b"".join(lines[:kept]) + lines[kept][:20])
    classified: list[str] = []
    real = ovm.Classifier.stream

    def recorded(self: ovm.Classifier, inputs: object, **options: object) -> object:
        items = list(inputs)  # type: ignore[call-overload]
        classified.extend(Path(item.source).name for item in items)
        return real(self, items, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ovm.Classifier, "stream", recorded)
    again = ovm.measure_accuracy(known.xml, folder, annotations=annotations, predictions=file, resume=True)
    assert classified == [f"{n:02}.png" for n in range(7, 12)]
    assert (again.top1, again.top5, again.per_class) == (whole.top1, whole.top5, whole.per_class)
    assert file.read_bytes() == complete
    with pytest.raises(DatasetError, match="predictions belong to another run"):
        ovm.measure_accuracy(
            known.xml, folder, annotations=annotations, predictions=file, resume=True, geometry="crop 0.5, resize 32"
        )
    assert file.read_bytes() == complete


@pytest.mark.parametrize(
    "text", ['{"image": "a"}\n', "nonsense\n", '{"image":"a","class_id":1,"run":"x","predictions":[]}\n']
)
def test_an_invalid_predictions_file_is_named_and_not_changed(
    text: str, known: Known, annotations: Path, tmp_path: Path
) -> None:
    for file in (tmp_path / "p.jsonl", tmp_path / "p.csv"):
        file.write_text(text)
        with pytest.raises(DatasetError, match=file.name):
            ovm.measure_accuracy(
                known.xml, known.files[0].parent, annotations=annotations, predictions=file, resume=True
            )
        assert file.read_text() == text


def test_predictions_of_the_first_release_can_be_resumed(known: Known, annotations: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    report = ovm.measure_accuracy(
        known.xml, known.files[0].parent, annotations=annotations, predictions=file, device="CPU"
    )
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (known.xml, known.xml.with_suffix(".bin"))]
    facts = "\0".join([*digests, str(report.geometry), "opencv", "CPU", "f32"])
    runs = {json.loads(line)["run"] for line in file.read_text().splitlines()}
    assert runs == {hashlib.sha256(facts.encode()).hexdigest()[:16]}  # as 0.1 identified a run
