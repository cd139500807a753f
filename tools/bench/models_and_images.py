"""The IRs and the images that a bench measures: those on the command line, or the built-in sample model."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from images import folder_of_images

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE


def add_model_and_image_options(parser: argparse.ArgumentParser) -> None:
    """Add IRs, `--folder` and `--images`, for `models_and_images`."""
    parser.add_argument("xml", nargs="*", type=Path)
    parser.add_argument(
        "--folder", type=Path, help="JPEG files; by default imagenet200 beside the checkout, or drawings"
    )
    parser.add_argument("--images", type=int, default=1000)


@contextmanager
def models_and_images(options: argparse.Namespace) -> Iterator[tuple[list[Path], list[Path]]]:
    """The IRs, the sample model if none is given; and the image files, all in one temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        files = folder_of_images(Path(folder) / "images", options.images, options.folder)
        yield options.xml or [sample_ir(Path(folder))], files


def sample_ir(folder: Path) -> Path:
    """Convert the built-in sample model to FP16 into the folder, and return the `.xml`."""
    sources = ovm.download(ovm.find_config(SAMPLE), folder / "sources", offline=True)
    return ovm.convert(sources, folder / "ir", precisions=("FP16",))[0].xml
