"""A source network on disk together with its description."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.sources import network_framework, network_path, read_network
from ov_mobilenet.downloads.fetch import SourceFiles
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.ir.layout import framework_layout, guess_layout
from ov_mobilenet.ir.ports import static_sizes
from ov_mobilenet.zoo.arguments import ConversionPlan, plan_conversion
from ov_mobilenet.zoo.model import ModelConfig

if TYPE_CHECKING:
    import openvino as ov


@dataclass(frozen=True)
class LocalNetwork:
    """A source network on disk, with everything that is known about it.

    Attributes:
        sources: its files and its description.
        plan: the arguments of the description, parsed.
        path: the network's file, or the folder of a SavedModel.
    """

    sources: SourceFiles
    plan: ConversionPlan
    path: Path

    @property
    def config(self) -> ModelConfig:
        """The description."""
        return self.sources.config

    @property
    def framework(self) -> str:
        """The framework of the file; keras for the Keras weights of a `tf` description."""
        return network_framework(self.config, self.path)

    @property
    def layout(self) -> str:
        """The layout of the network's input: the documented one, otherwise guessed from shape and framework."""
        documented = self.plan.input
        return documented.layout or guess_layout(documented.shape) or framework_layout(self.config.framework)

    def input_size(self) -> tuple[int, int]:
        """Height and width of the network's input: documented, otherwise of the network itself.

        Raises:
            ConversionError: neither gives a size; or as `read`.
        """
        shape = self.plan.input.shape or static_sizes(self.read().inputs[0])
        sizes = dict(zip(self.layout, shape, strict=False))
        height, width = sizes.get("H", -1), sizes.get("W", -1)
        if len(shape) != 4 or height < 1 or width < 1:
            raise ConversionError(
                "neither the network nor its description gives the input size", where=self.config.path,
                expected="input_info.shape", got=list(shape),
            )  # fmt: skip
        return height, width

    def read(self) -> ov.Model:
        """Read the network with OpenVINO.

        Raises:
            ConversionError: the file is broken, unsupported, or does not match the description.
            MissingDependencyError: the framework's package is not installed.
        """
        return read_network(self.framework, self.plan, self.path)


def find_network(sources: SourceFiles) -> LocalNetwork:
    """Find the network among the source files of a description.

    Raises:
        ConfigError: an argument of the description is unknown or has an invalid value.
        ConversionError: the framework is not supported, or the network's file is missing.
    """
    plan = plan_conversion(sources.config)
    return LocalNetwork(sources, plan, network_path(sources.config, plan, sources.folder))
