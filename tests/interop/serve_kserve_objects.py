"""Read Kubernetes objects with kserve's and kubernetes' own models: JSON on stdin, JSON on stdout.

Runs in an environment with kserve, not in that of the tests. Read are `{"objects": {NAME: {"kind": CLASS, "object":
OBJECT}}}`; answered is `{NAME: TEXT}` with what is wrong with each, null if nothing is.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import kserve
from kubernetes import client

PLAIN = {"str": str, "int": int, "bool": bool, "float": float, "object": object}


def read(kind: str, value: Any, where: str) -> Any:
    """The value as an instance of a class of the models. Raises: ValueError: an unknown field, or another type."""
    if (found := re.fullmatch(r"[lL]ist\[(.+)\]", kind)) is not None:
        if not isinstance(value, list):
            raise ValueError(f"{where}: no list")
        return [read(found[1], one, f"{where}[{number}]") for number, one in enumerate(value)]
    if (found := re.fullmatch(r"[dD]ict[(\[]str, (.+)[)\]]", kind)) is not None:
        if not isinstance(value, dict):
            raise ValueError(f"{where}: no mapping")
        return {key: read(found[1], one, f"{where}.{key}") for key, one in value.items()}
    if kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or (kind == "int" and isinstance(value, bool)):
            raise ValueError(f"{where}: {value!r} is no {kind}")
        return value
    model = getattr(kserve, kind, None) or getattr(kserve.models, kind, None) or getattr(client, kind)
    names = {key: name for name, key in model.attribute_map.items()}
    if not isinstance(value, dict):
        raise ValueError(f"{where}: no object")
    if unknown := set(value) - set(names):
        raise ValueError(f"{where}: {kind} has no {', '.join(sorted(unknown))}")
    fields = {names[key]: read(model.openapi_types[names[key]], one, f"{where}.{key}") for key, one in value.items()}
    return model(**fields)


def main() -> None:
    """Read all objects."""
    answered: dict[str, str | None] = {}
    for name, given in json.load(sys.stdin)["objects"].items():
        try:
            read(given["kind"], given["object"], "")
        except ValueError as error:
            answered[name] = str(error)
        else:
            answered[name] = None
    print(json.dumps(answered))


if __name__ == "__main__":
    main()
