"""Folders of everything: links in circles, broken links, pipes, sockets, names that are not UTF-8."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

from attacks.fuzz import Attack

from ov_mobilenet.errors import ImageError
from ov_mobilenet.inputs.open_inputs import open_inputs

SUFFIXES = (".png", ".JPG", ".txt", "", ".tiff")
IMAGES = (".png", ".JPG", ".tiff")


def mixed_folder(rng: random.Random, folder: Path) -> None:
    """Every file with the name of an image has one item; whatever is not a file has one with an error."""
    root = folder / "root"
    root.mkdir()
    folders, real, special = [root], set(), set()
    for number in range(rng.randint(1, 40)):
        name = os.fsdecode(rng.choice([b"a", b"caf\xe9", b"line\nbreak", b"-", b"@x"])) + f"{number}"
        parent = rng.choice(folders)
        kind = rng.choice(["folder", "file", "file", "file", "link to folder", "broken link", "pipe", "socket"])
        suffix = rng.choice(SUFFIXES)
        path = parent / (name + ("" if "folder" in kind else suffix))
        if kind == "folder":
            path.mkdir()
            folders.append(path)
        elif kind == "link to folder":
            path.symlink_to(rng.choice([*folders, root.parent, Path("..")]))
        elif kind == "file":
            path.write_bytes(b"x")
            real |= {path} if suffix in IMAGES else set()
        else:
            special |= {path} if suffix in IMAGES else set()
            if kind == "pipe":
                os.mkfifo(path)
            elif kind == "broken link":
                path.symlink_to("nowhere")
            else:
                with socket.socket(socket.AF_UNIX) as unix:
                    unix.bind(os.path.relpath(folder / "s"))  # a path has at most 108 bytes
                (folder / "s").rename(path)
    if not real and not special:
        return
    with open_inputs(root) as inputs:
        items = list(inputs)
        assert inputs.count == len(items)
    assert all("the folder cannot be read" not in str(item.image) for item in items)
    good = [Path(item.source) for item in items if not isinstance(item.image, ImageError)]
    bad = [Path(item.source) for item in items if isinstance(item.image, ImageError)]
    # A folder may be reached through a link as well; each file is there once, under its own path.
    assert sorted(good) == sorted(real)
    assert sorted(bad) == sorted(special)
    assert [item.source for item in items] == sorted(item.source for item in items)


ATTACKS = (Attack("folders of everything", 300, mixed_folder, in_suite=20),)
