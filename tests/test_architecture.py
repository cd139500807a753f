"""Rules of the code base that a reader relies on: unique class names, short files, layers, plain words."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from slow_files import SLOW_FILES

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ov_mobilenet"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MAX_PARAMETERS, MAX_LINES = 12, 400
# Names that do not say what a file holds.
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "misc", "common"}
TEXT_SUFFIXES = {".py", ".md", ".yml", ".txt", ".html", ".css", ".ipynb", ".service", ".json"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), path)


def classes_of(tree: ast.Module) -> list[ast.ClassDef]:
    """All classes, also private and nested ones."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def parameter_count(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> int:
    """Number of parameters; `self`, `*args` and `**kwargs` count as one each."""
    given = function.args
    named = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
    return named + (given.vararg is not None) + (given.kwarg is not None)


def too_many_parameters(tree: ast.Module) -> list[str]:
    """Functions with more than `MAX_PARAMETERS` parameters, with their counts."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [f"{one.name}: {parameter_count(one)}" for one in functions if parameter_count(one) > MAX_PARAMETERS]


def test_sources_were_found() -> None:
    assert len(SOURCES) > 100


def test_every_class_name_is_unique_in_the_package() -> None:
    found = defaultdict(list)
    for path in SOURCES:
        for node in classes_of(parse(path)):
            found[node.name].append(f"{relative(path)}:{node.lineno}")
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_functions_outside_the_command_line_have_at_most_twelve_parameters() -> None:
    sources = [path for path in SOURCES if PACKAGE / "cli" not in path.parents]
    found = {relative(path): functions for path in sources if (functions := too_many_parameters(parse(path)))}
    assert found == {}


def test_parameters_are_counted_with_self_args_and_kwargs() -> None:
    code = "class C:\n    def f(self, a, /, b, *args, c, d=1, **kwargs): ...\n    async def g({}): ...\n"
    tree = ast.parse(code.format(", ".join(f"p{n}" for n in range(13))))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [parameter_count(function) for function in functions] == [7, 13]
    assert too_many_parameters(tree) == ["g: 13"]


def test_no_source_file_is_longer_than_400_lines() -> None:
    lengths = {relative(path): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_file_and_folder_names_say_what_they_hold() -> None:
    found = [relative(path) for path in SOURCES if BANNED_NAMES & {*path.parent.parts, path.stem.strip("_")}]
    assert found == []


def test_images_are_called_images_everywhere() -> None:
    documents = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")]
    for folder in ("ov_mobilenet", "demos", "model_configs", "docs"):
        documents += [path for path in (ROOT / folder).rglob("*") if path.suffix in TEXT_SUFFIXES]
    documents.remove(ROOT / "docs" / "how-to" / "upgrade.md")  # it names what 0.1 called them
    lines = {
        f"{relative(path)}:{number}": line
        for path in documents
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search("picture", line, re.IGNORECASE)
    }
    assert lines == {}


def test_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    if not program.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run(
        [program, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", done.stdout)


def top_level_imports(tree: ast.Module) -> set[str]:
    """The packages that importing a module imports; not those in functions, `try` and `if TYPE_CHECKING`."""
    names = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def test_modules_import_only_what_a_plain_installation_has() -> None:
    listed = re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text("utf-8"), re.M | re.S)
    assert listed is not None
    module_of = {"opencv-python": "cv2", "pillow": "PIL", "pyyaml": "yaml"}
    packages = {module_of.get(name, name) for name in re.findall(r'"([\w-]+)>=', listed[1])}
    allowed = {*packages, *sys.stdlib_module_names, "ov_mobilenet"}
    architectures = PACKAGE / "conversion" / "architectures"
    torch_modules = [*sorted(architectures.glob("mobilenet_v?.py")), architectures / "same_convolution.py"]
    assert len(torch_modules) == 4
    library_networks = PACKAGE / "conversion" / "library_networks"
    torch_modules += [library_networks / f"timm_{name}.py" for name in ("blocks", "networks")]
    torch_modules += [library_networks / f"transformers_{name}.py" for name in ("layers", "v1", "v2")]
    torch_modules += [library_networks / f"v4_{name}.py" for name in ("attention", "blocks", "layers", "network")]
    sources = [path for path in SOURCES if path not in torch_modules]  # imported when PyTorch weights are read
    found = {relative(path): top_level_imports(parse(path)) - allowed for path in sources}
    # The packages of the extra `serve`, in modules that are imported when a server starts; see below.
    serving = {"starlette", "uvicorn", "httptools", "grpc", "grpc_health", "grpc_reflection", "tritonclient", "google",
               "prometheus_client", "python_multipart"}  # fmt: skip
    for name in found:
        if name.startswith("ov_mobilenet/serving/"):
            found[name] -= serving
    assert {name: unknown for name, unknown in found.items() if unknown} == {}


def test_importing_the_server_and_its_command_imports_none_of_the_packages_of_the_extra() -> None:
    heavy = {
        "starlette",
        "uvicorn",
        "httptools",
        "python_multipart",
        "grpc",
        "tritonclient",
        "prometheus_client",
        "google.protobuf",
        "openvino",
        "cv2",
    }
    script = (
        "import sys, ov_mobilenet.cli.serve, ov_mobilenet.serving.server\n"
        "import ov_mobilenet.serving.models.model_repository\n"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_every_room_is_tested_by_make_test_fast() -> None:
    slow = {ROOT / "tests" / name for name in SLOW_FILES}
    assert {relative(path) for path in slow if not path.is_file()} == set(), "update SLOW_FILES in tests/slow_files.py"
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"ir"}
    for room in sorted(rooms):
        assert set((ROOT / "tests" / room).glob("test_*.py")) - slow, f"all tests of {room} are in SLOW_FILES"
    # The room `ir` is tested by the conversion: every IR is written and read through it.
    assert ROOT / "tests" / "conversion" / "test_converted_model.py" not in slow
