"""The identity of a network in an IR: what it computes and in which form, not the bytes of its files.

The same network, converted again by another version of OpenVINO or of this package, has other files (the versions are
in `rt_info`, and the graph may be folded differently) but the same identity. Whatever is measured on an IR and used
later, such as a deployment profile, is therefore bound to the identity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from ov_mobilenet.downloads.cache import digest
from ov_mobilenet.ir.layout import plain_layout
from ov_mobilenet.ir.ports import static_sizes

if TYPE_CHECKING:
    import openvino as ov

    from ov_mobilenet.ir.files import OpenedIr
    from ov_mobilenet.ir.record import IrRecord

DIGITS = 16


class NetworkIdentity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The identity of a network. All values are text, to be compared and shown.

    Attributes:
        weights: digest of the source files that the IR was converted from, or of the `.bin` if the IR does not record
            them; the first `DIGITS` hexadecimal digits.
        normalisation: the normalisation in the graph; unknown for an IR of another tool.
        weight_precision: FP32, FP16 or FP16-INT8; unknown for an IR of another tool.
        input: element type, shape, layout and colour format of the input; ? for a dynamic size.
        output: shape of the output.
        geometry: crop and resize in the graph, or `on the host`.
        calibration: how an INT8 network was calibrated; `none` for other networks.
    """

    weights: str
    normalisation: str
    weight_precision: str
    input: str
    output: str
    geometry: str
    calibration: str

    @property
    def digest(self) -> str:
        """SHA-256 of the identity, in hexadecimal."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    def differences(self, other: NetworkIdentity) -> tuple[tuple[str, str, str], ...]:
        """The parts that differ: name in words, value of this identity, value of the other one."""
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in self.__struct_fields__)
        return tuple((name.replace("_", " "), mine, its) for name, mine, its in pairs if mine != its)


def network_identity(ir: OpenedIr) -> NetworkIdentity:
    """The identity of the network in an IR. To be called before the network is adapted to run."""
    return later_identity(ir)()


def later_identity(ir: OpenedIr) -> Callable[[], NetworkIdentity]:
    """`network_identity` as a function to call when it is needed; the network may be adapted before.

    Without recorded sources, the `.bin` is read only then: 12 ms for MobileNet V2 in FP32.
    """
    record, binary = ir.record, ir.xml.with_suffix(".bin")
    parts = {
        "normalisation": "unknown" if record is None else str(record.normalisation),
        "weight_precision": "unknown" if record is None else record.precision,
        "input": _form(ir.network, record),
        "output": _shape(ir.network.outputs),
        "geometry": _geometry(record),
        "calibration": "none" if record is None or record.calibration is None else _calibration(record.calibration),
    }
    return lambda: NetworkIdentity(weights=_weights(record, binary), **parts)


def _geometry(record: IrRecord | None) -> str:
    if record is None or not record.geometry_baked:
        return "on the host"
    return f"in the graph ({record.geometry or 'unknown'})"


def _weights(record: IrRecord | None, binary: Path) -> str:
    """A digest of the source files; their names do not matter. Without any, of the `.bin`."""
    if record is None or not record.sources:
        return digest(binary, "sha256")[:DIGITS]
    return hashlib.sha256("\0".join(sorted(record.sources.values())).encode()).hexdigest()[:DIGITS]


def _form(network: ov.Model, record: IrRecord | None) -> str:
    layout = plain_layout(str(network.get_parameters()[0].layout))
    parts = [network.inputs[0].get_element_type().get_type_name(), _shape(network.inputs)]
    parts += [layout] * (len(layout) == 4)
    if record is not None:
        parts.append(record.color_format if record.planes else record.channel_order)
    return " ".join(parts)


def _shape(ports: list[ov.Output]) -> str:
    return ", ".join("x".join("?" if size < 0 else str(size) for size in static_sizes(port)) for port in ports)


def _calibration(facts: Mapping[str, Any]) -> str:
    """The facts that set the scales of an INT8 network; operations in float by their number.

    The version of NNCF is left out, and so are the names of operations, which another version of OpenVINO may number
    differently.
    """
    pixels = str(facts.get("digest", "")).rpartition(":")[2][:DIGITS]
    parts = [f"{facts.get('images', '?')} images {pixels}"]
    parts += [f"{name} {facts[name]}" for name in ("preset", "activation_ranges", "bias_correction") if name in facts]
    names = (facts.get("in_float"), facts.get("put_back"))
    in_float = sum(len(each) for each in names if isinstance(each, list))
    return ", ".join([*parts, f"{in_float} operations in float"])
