"""A network of the user's own with its description, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ov_mobilenet.argument_types import checked
from ov_mobilenet.conversion.input_choice import Guess
from ov_mobilenet.conversion.own_network import DraftDescription
from ov_mobilenet.conversion.own_network_files import check_overwritable, save_described_network
from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.description import accuracy_check_yml, model_yml
from ov_mobilenet.zoo.model import ModelConfig


@dataclass(frozen=True)
class DescribedNetwork:
    """The description of a network, made from its file and the user's choices; `convert` takes it as a model.

    Attributes:
        draft: the description.
        source_folder: the folder of the network's files.
    """

    draft: DraftDescription
    source_folder: Path

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.draft.description.name

    @property
    def guesses(self) -> tuple[Guess, ...]:
        """The properties that were guessed."""
        return self.draft.guesses

    @property
    def warnings(self) -> tuple[str, ...]:
        """Choices that were made while reading the network, as sentences."""
        return self.draft.warnings

    @property
    def model_yml(self) -> str:
        """The text of its `model.yml`."""
        return model_yml(self.draft.description)

    @property
    def accuracy_check_yml(self) -> str:
        """The text of its `accuracy-check.yml`."""
        return accuracy_check_yml(self.draft.description)

    @checked
    def save(self, folder: str | Path) -> ModelConfig:
        """Copy the network to `folder`, whose name must be that of the model, and write the description there.

        Raises:
            ConfigError: the folder holds a description that was not generated.
            OSError: a file cannot be read or written.
        """
        check_overwritable(Path(folder))
        return load_config(save_described_network(self.draft, self.source_folder, Path(folder)))
