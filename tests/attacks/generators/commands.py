"""Commands on damaged files, in processes of their own: a documented exit code, no traceback, the existing results."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import yaml
from attacks import damage
from attacks.fuzz import Attack
from attacks.generators.image_formats import random_sample
from attacks.generators.mutated_descriptions import change, change_text, documents
from attacks.generators.resumed import damage_lines
from attacks.small_model import small_ir, write_images

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 50
EXIT_CODES = (0, 1, 2, 3)


def run(folder: Path, *arguments: object) -> tuple[int, str]:
    """Exit code and stdout of a command; it must say what is wrong if something is."""
    command = [sys.executable, "-m", "ov_mobilenet", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=LIMIT_S, check=False)
    err = done.stderr.decode()
    assert done.returncode in EXIT_CODES, (arguments, done.returncode, err[-2000:])
    assert "Traceback" not in err, err[-2000:]
    assert done.returncode == 0 or "error: " in err or "failed" in err, (arguments, done.returncode, err[-2000:])
    return done.returncode, done.stdout.decode()


def images(rng: random.Random, folder: Path) -> None:
    """`classify` of a folder with damaged images: a result or an error for each; exit code 1 with errors."""
    inside = folder / "images"
    inside.mkdir()
    for number in range(40):
        data = random_sample(rng).data
        data = damage.damaged(data, rng) if rng.random() < 0.6 else data
        (inside / f"{number:03}{rng.choice(('.jpg', '.png', '.tif'))}").write_bytes(data)
    code, out = run(
        folder, "classify", small_ir(), inside, "--format", "jsonl", "--decode", rng.choice(("exact", "auto", "fast"))
    )
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["source"] for line in lines] == sorted(str(path) for path in inside.iterdir())
    assert code == (1 if any("error" in line for line in lines) else 0)
    assert all(("error" in line) != ("predictions" in line) for line in lines)


def description(rng: random.Random, folder: Path) -> None:
    """`info`, `download --dry-run` and `convert --dry-run` of a changed description."""
    text = rng.choice(documents())
    if rng.random() < 0.5:
        document = yaml.safe_load(text)
        change(document, rng)
        text = yaml.safe_dump(document, sort_keys=False)
    else:
        text = change_text(text, rng)
    (folder / "net").mkdir()
    yml = folder / "net" / "model.yml"
    yml.write_bytes(text.encode("utf-8", "surrogatepass"))
    dry = rng.choice(
        (["info"], ["download", "--dry-run", "-o", folder / "o"], ["convert", "--dry-run", "-o", folder / "o"])
    )
    run(folder, dry[0], yml, *dry[1:])
    assert sorted(path.name for path in folder.iterdir()) == ["net"]


def resumed(rng: random.Random, folder: Path) -> None:
    """`classify --resume` of a damaged output: refused and not changed, or each image once."""
    files = [str(path) for path in write_images(rng, folder, 6, largest=60)]
    output = folder / rng.choice(("r.jsonl", "r.csv", "r.parquet"))
    arguments = ("classify", "-q", small_ir())
    assert run(folder, *arguments, *files[:4], "-o", output)[0] == 0
    good = output.read_bytes()
    bad = damage.damaged(good, rng) if output.suffix == ".parquet" or rng.random() < 0.5 else damage_lines(good, rng)
    output.write_bytes(bad)
    code, _ = run(folder, *arguments, *files, "-o", output, "--resume")
    if code:
        assert output.read_bytes() == bad
    else:
        assert run(folder, *arguments, *files, "-o", output, "--resume")[0] == 0


ATTACKS = (
    Attack("commands: images", 20, images, 1),
    Attack("commands: descriptions", 40, description, 1),
    Attack("commands: resumed", 20, resumed, 1),
)
