"""Keras files that run code, read other files or exhaust memory. They must never be passed to Keras."""

from __future__ import annotations

import copy
import io
import json
import marshal
import zipfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ov_mobilenet as ovm
from ov_mobilenet.conversion.keras_files.config import checked_config
from ov_mobilenet.conversion.keras_files.description import read_keras_file
from ov_mobilenet.errors import ConversionError

TENSOR = {"class_name": "__keras_tensor__", "config": {"shape": [None, 4], "dtype": "float32"}}


def layer(name: str, module: str | None = "keras.layers", /, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": {"name": "x", **config}, "registered_name": None}


def model(*layers: dict[str, Any], **more: Any) -> dict[str, Any]:
    first = layer("InputLayer", batch_shape=[None, 32, 32, 3], dtype="float32")
    last = layer("Dense", units=5, activation="softmax")
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {"name": "net", "layers": [first, *layers, last]},
        "registered_name": "Functional",
        **more,
    }


def lambda_layer(touched: Path) -> dict[str, Any]:
    """A Lambda layer as Keras saves it: byte code that creates a file."""
    code = compile(f"lambda x: open({str(touched)!r}, 'w').close()", "lambda", "eval").co_consts[0]
    value = {"code": b64encode(marshal.dumps(code)).decode(), "defaults": None, "closure": None}
    return layer("Lambda", function={"class_name": "__lambda__", "config": value})


def function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def archive(path: Path, config: Any, weights: bytes = b"", **more: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        file.writestr("model.weights.h5", weights)
        for name, data in more.items():
            file.writestr(name, data)
    return path


OTHER_CODE = {
    "Lambda": lambda_layer(Path("/nowhere")),
    "os.system": {**layer("x"), **function("os", "system")},
    "builtins.exec": function("builtins", "exec"),
    "keras.utils.get_file": function("keras.utils", "get_file"),
    "keras.config.enable_unsafe_deserialization": function("keras.config", "enable_unsafe_deserialization"),
    "keras.layers.TFSMLayer": layer("TFSMLayer", filepath="/tmp/foreign"),
    "keras.layers.TorchModuleWrapper": layer("TorchModuleWrapper", module={"class_name": "__bytes__"}),
    "keras.layers.StringLookup": layer("StringLookup", vocabulary="/etc/passwd"),
    "keras.layers.IntegerLookup": layer("IntegerLookup", vocabulary="https://example.com/x"),
    "Mine>Layer": {**layer("Dense", units=5), "registered_name": "Mine>Layer"},
    "subprocess.Dense": layer("Dense", "subprocess", units=5),
    "keras.utils.Dense": layer("Dense", "keras.utils", units=5),
    "keras.src.ops.numpy.Dense": layer("Dense", "keras.src.ops.numpy", units=5),
    "keras.src.layers.Lambda": layer("Lambda", "keras.src.layers"),
    "None": {"module": "os", "config": "system"},
    "['Dense']": {**layer("Dense"), "class_name": ["Dense"]},
    "TFOpLambda": {"class_name": "TFOpLambda", "config": {"function": "math.add"}},
    "__typespec__": {"class_name": "__typespec__", "spec_name": "X", "module": "os", "config": []},
    "__bytes__": {"class_name": "__bytes__", "config": {"value": "x"}},
    "TypeSpec": {"class_name": "TypeSpec", "type_spec": "X", "serialized": []},
}


@pytest.mark.parametrize("name", OTHER_CODE)
def test_config_that_names_foreign_code(name: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", model(OTHER_CODE[name]))
    with pytest.raises(ConversionError, match=r"refers to code that is not allowed.*SavedModel.*ONNX") as caught:
        read_keras_file(path)
    assert name.rpartition(".")[2].strip("[']") in str(caught.value)


@pytest.mark.parametrize("evil", [function("os", "system"), lambda_layer(Path("/nowhere")), layer("X", "os")])
@pytest.mark.parametrize(
    "place", ["kernel_initializer", "activation", "argument", "build_config", "compile_config", "nested", "dtype"]
)
def test_foreign_code_in_any_part_of_the_config(evil: dict[str, Any], place: str) -> None:
    dense: dict[str, Any] = layer("Dense", units=5)
    if place in ("kernel_initializer", "activation", "dtype"):
        dense["config"][place] = evil
    elif place == "argument":
        dense["inbound_nodes"] = [{"args": [TENSOR], "kwargs": {"training": [{"deep": evil}]}}]
    elif place == "nested":
        dense = model(evil)
    else:
        dense[place] = {"optimizer": evil}
    with pytest.raises(ConversionError, match="refers to code that is not allowed"):
        checked_config(json.dumps(model(dense)), Path("m.keras"))


def test_compile_config_of_an_h5_model_is_checked() -> None:
    hostile = json.dumps(model(compile_config={"optimizer": function("os", "system")}))
    assert "compile_config" not in checked_config(hostile, Path("m.keras"), archive=True)
    with pytest.raises(ConversionError, match="refers to code that is not allowed.*os.system"):
        checked_config(hostile, Path("m.h5"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "not a plain Keras network"),
        (json.dumps(layer("Lambda")), "not a plain Keras network.*'Lambda'"),
        (json.dumps({**model(), "module": "os"}), "refers to code that is not allowed"),
        (json.dumps(model(layer("Dense", units=10**9))), "units of the model's configuration is too large"),
        (json.dumps(model(layer("Reshape", target_shape=[2**40]))), "target_shape .*too large"),
        ('{"class_name": "Functional", "config": ' + '{"a":' * 80 + "1" + "}" * 81, "nested too deeply"),
        (
            json.dumps(model(layer("Dense", activation="Mine>run"))),
            "refers to code that is not allowed.*Mine>run",
        ),
        (json.dumps(model(layer("Conv2D", data_format="channels_first"))), "channels_last"),
        (json.dumps(model(layer("Dense", dtype="mixed_float16"))), "half precision"),
    ],
)
def test_invalid_config(text: str, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        checked_config(text, Path("m.keras"))


@pytest.mark.filterwarnings("ignore")  # of Keras, while it saves
def test_compile_config_of_a_keras_archive_is_ignored(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    touched = tmp_path / "touched"
    network = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(5)])
    network.save(tmp_path / "fine.keras")
    with zipfile.ZipFile(tmp_path / "fine.keras") as file:
        config, weights = json.loads(file.read("config.json")), file.read("model.weights.h5")
    config["compile_config"] = {"optimizer": lambda_layer(touched), "loss": function("os", "system")}
    path = archive(tmp_path / "m.keras", config, weights)
    assert ovm_model(path, tmp_path).xml.is_file()
    assert not touched.exists()


def ovm_model(path: Path, tmp_path: Path) -> ovm.IrModel:
    import keras_networks as nets

    folder = tmp_path / "net"
    folder.mkdir()
    yml = nets.describe(path.rename(folder / path.name))
    sources = ovm.download(ovm.load_config(yml), tmp_path / "dl", cache_root=tmp_path / "cache", offline=True)
    return ovm.convert(sources, tmp_path / "ir", precisions=("FP32",))[0]


def test_archive_with_unexpected_members(tmp_path: Path) -> None:
    def refused(path: Path, message: str) -> None:
        with pytest.raises(ConversionError, match=message):
            read_keras_file(path)

    refused(archive(tmp_path / "assets.keras", model(), **{"assets/x": b"1"}), "'assets/x'")
    twice = archive(tmp_path / "twice.keras", model())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(twice, "a") as file:
        file.writestr("config.json", json.dumps(model(lambda_layer(tmp_path / "touched"))))
    refused(twice, "'config.json'")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w"):
        pass
    refused(tmp_path / "empty.keras", "once each")
    with zipfile.ZipFile(tmp_path / "packed.keras", "w", zipfile.ZIP_LZMA) as file:
        for name in ("config.json", "metadata.json", "model.weights.h5"):
            file.writestr(name, "{}")
    refused(tmp_path / "packed.keras", "unsupported compression")
    (tmp_path / "none.keras").write_bytes(b"PK\x03\x04 no archive")
    refused(tmp_path / "none.keras", "cannot be read")
    bomb = archive(tmp_path / "bomb.keras", model())
    data = bytearray(bomb.read_bytes())
    entry = data.rindex(b"PK\x01\x02")  # the last entry of the directory: model.weights.h5 claims 3 GB
    data[entry + 24 : entry + 28] = (3 << 30).to_bytes(4, "little")
    bomb.write_bytes(data)
    refused(bomb, "archive is too large")


def test_h5_model_with_a_lambda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras = pytest.importorskip("keras")
    import h5py

    monkeypatch.setattr(keras.models, "load_model", lambda *args, **options: pytest.fail("Keras saw the file"))
    touched = tmp_path / "touched"
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model(lambda_layer(touched)))
        file.create_group("model_weights")
    with pytest.raises(ConversionError, match="refers to code that is not allowed.*Lambda"):
        ovm_model(path, tmp_path)
    assert not touched.exists()


def weights_file(path: Path | io.BytesIO) -> Any:
    """A weights file of one layer, open for writing, to which a test adds hostile parts."""
    h5py = pytest.importorskip("h5py")
    file = h5py.File(path, "w")
    file.create_dataset("a/a/kernel:0", data=np.ones((1, 1, 3, 3), np.float32))
    file["a"].attrs["weight_names"] = np.asarray([b"a/kernel:0"])
    file.attrs["layer_names"] = np.asarray([b"a"])
    return file


def add_reference_out_of_the_file(file: Any, kind: str, secret: Path) -> None:
    import h5py

    if kind == "external data":
        file.create_dataset("b", (4,), "f4", external=[(str(secret), 0, 16)])
    elif kind == "virtual":
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource(str(secret), "x", (4,))
        file.create_virtual_dataset("b", layout)
    elif kind == "external link":
        file["b"] = h5py.ExternalLink(str(secret), "/")
    elif kind == "soft link":
        file["b"] = h5py.SoftLink("/a")


@pytest.mark.parametrize("kind", ["external data", "virtual", "external link", "soft link"])
def test_hdf5_that_refers_to_other_files(kind: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"0123456789abcdef")
    with weights_file(tmp_path / "w.h5") as file:
        add_reference_out_of_the_file(file, kind, secret)
    with pytest.raises(ConversionError, match=r"b is a (tensor in another file|link \((External|Soft)Link\))"):
        read_keras_file(tmp_path / "w.h5")
    inside = archive(tmp_path / "m.keras", model(), (tmp_path / "w.h5").read_bytes())
    with pytest.raises(ConversionError, match=r"b is a (tensor|link)"):
        read_keras_file(inside)


def spoil(file: Any, kind: str) -> None:
    import h5py

    if kind == "shape bomb":
        file.create_dataset("b", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")
    elif kind == "not stored":
        file.create_dataset("b", (1 << 20,), "f4", chunks=(1 << 10,))
    elif kind == "filter":
        file.create_dataset("b", data=np.zeros(64), chunks=(64,), compression="lzf")
    elif kind == "loop":
        file["a/loop"] = file["a"]
    elif kind == "text":
        file.create_dataset("b", data=["text"])
    elif kind == "references":
        file.create_dataset("b", data=np.array([file["a"].ref], h5py.ref_dtype))
    elif kind == "type":
        file["b"] = np.dtype("f4")
    elif kind == "empty":
        file["b"] = h5py.Empty("f4")
    elif kind == "names lead up":
        file["a"].attrs["weight_names"] = np.asarray([b"../../kernel:0"])
    elif kind == "names are numbers":
        file.attrs["layer_names"] = 7


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("shape bomb", "b is a tensor .* larger than its stored data"),
        ("not stored", "b is a tensor .* larger than its stored data"),
        ("filter", "a plug-in"),
        ("loop", "nested too deeply"),
        ("text", "b is not a numeric tensor"),
        ("references", "b is not a numeric tensor"),
        ("type", "b is Datatype"),
        ("empty", "b is not a numeric tensor"),
        ("names lead up", "cannot be read"),
        ("names are numbers", "cannot be read"),
    ],
)
def test_hdf5_with_unsupported_contents(kind: str, message: str, tmp_path: Path) -> None:
    with weights_file(tmp_path / "w.h5") as file:
        spoil(file, kind)
    with pytest.raises(ConversionError, match=message):
        read_keras_file(tmp_path / "w.h5")


def test_damaged_hdf5(tmp_path: Path) -> None:
    with weights_file(tmp_path / "w.h5"):
        pass
    whole = (tmp_path / "w.h5").read_bytes()
    rng = np.random.default_rng(1)
    broken = [whole[: int(size)] for size in rng.integers(0, len(whole), 20)]
    for _ in range(200):
        data = bytearray(copy.copy(whole))
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        broken.append(bytes(data))
    for damaged in broken:
        (tmp_path / "w.h5").write_bytes(damaged)
        with pytest.raises(ConversionError):
            read_keras_file(tmp_path / "w.h5")
