"""An extension of griffe, which reads the docstrings for the site.

It lists all fields of a class, links public names, and shows the values of a `Literal` or of a constant, not its name.
"""

from __future__ import annotations

import dataclasses
import re
from contextlib import suppress
from typing import Any

import griffe

PACKAGE = "ov_mobilenet"
_SECTION = re.compile(r"^(?:Args|Attributes|Raises):\n(?:(?: .*)?\n?)+", re.MULTILINE)
_SEVERAL = re.compile(r"^    (?P<names>\w+(?:, \w+)+)(?P<text>:.*\n?(?:     .*\n?)*)", re.MULTILINE)
_NAME = re.compile(r"(?<!\[)`(?P<name>[A-Za-z_]\w*)(?P<member>\.\w+)?`")


class PublicNames(griffe.Extension):
    """Prepares the docstrings of the public names when the package is read."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """List all fields of each public class, and link the public names in docstrings."""
        if pkg.path != PACKAGE:
            return
        public = {name: _target(pkg, name) for name in pkg.exports or () if not str(name).startswith("_")}
        bases = [base for found in public.values() if isinstance(found, griffe.Class) for base in found.mro()]
        for path, found in {one.path: one for one in (*bases, *public.values())}.items():
            _show_values(pkg, found.members.get("__init__"))
            for one in [found, *_public_members(found)]:
                _show_values(pkg, one)
                if one.docstring is not None and path.startswith(f"{PACKAGE}."):
                    one.docstring.value = _linked(_one_name_each(one.docstring.value), public, found.name)
        for found in public.values():
            if isinstance(found, griffe.Class):
                _list_fields(found, {one.path for one in public.values()})


def _show_values(package: griffe.Module, found: Any) -> None:
    """Show values in the signature of a function and in the type of a field."""
    if isinstance(found, griffe.Function):
        for parameter in found.parameters:
            parameter.annotation = _with_values(package, parameter.annotation)
            parameter.default = _with_values(package, parameter.default)
    elif isinstance(found, griffe.Attribute):
        found.annotation = _with_values(package, found.annotation)
        found.value = _with_values(package, found.value)


def _with_values(package: griffe.Module, expression: Any) -> Any:
    """An expression with the definitions of types and constants of the package in place of their names."""
    if isinstance(expression, griffe.ExprName):
        path = expression.canonical_path
        with suppress(KeyError, griffe.AliasResolutionError):
            value = getattr(package[path.removeprefix(f"{PACKAGE}.")], "value", None)
            if path.startswith(f"{PACKAGE}.") and (
                expression.name.isupper() or str(value).startswith(("Literal[", "Callable["))
            ):
                return value
        return expression
    if isinstance(expression, list):
        return [_with_values(package, one) for one in expression]
    if isinstance(expression, griffe.Expr):
        for field in dataclasses.fields(expression):
            if field.name != "parent":
                setattr(expression, field.name, _with_values(package, getattr(expression, field.name)))
    return expression


def _target(package: griffe.Module, name: Any) -> griffe.Object:
    """What a public name stands for: `__init__` imports it from its module."""
    member = package.members[str(name)]
    path = member.target_path if isinstance(member, griffe.Alias) else member.path
    found = package[path.removeprefix(f"{PACKAGE}.")]
    assert isinstance(found, griffe.Object)
    return found


def _public_members(found: griffe.Object) -> list[Any]:
    return [one for name, one in found.members.items() if not name.startswith("_") and not one.is_alias]


def _one_name_each(text: str) -> str:
    """The text with an entry for each of several names that one entry describes: griffe reads only the first."""

    def one_each(match: re.Match[str]) -> str:
        text = match["text"] if match["text"].endswith("\n") else match["text"] + "\n"
        return "".join(f"    {name}{text}" for name in match["names"].split(", "))

    return _SECTION.sub(lambda section: _SEVERAL.sub(one_each, section[0]), text)


def _linked(text: str, public: dict[Any, griffe.Object], own: str) -> str:
    """The text with links from `NAME` and `NAME.METHOD` to their places in the reference."""

    def link(match: re.Match[str]) -> str:
        name, member = match["name"], (match["member"] or "")
        if name not in public or name == own or (member and member[1:] not in public[name].members):
            return match[0]
        is_field = bool(member) and not public[name].members[member[1:]].is_function
        return f"[{match[0]}][{PACKAGE}.{name}{'' if is_field else member}]"

    return _NAME.sub(link, text)


def _list_fields(found: griffe.Class, public: set[str]) -> None:
    """Give the docstring one entry for each field, inherited ones first, unless the base is public too."""
    bases = [base for base in reversed(found.mro()) if base.path not in public]
    described = {
        entry.name: entry
        for one in (*bases, found)
        for section in _sections(one)
        if section.kind is griffe.DocstringSectionKind.attributes
        for entry in section.value
        if entry.name in found.all_members
    }
    fields = {name: one for base in (*bases, found) for name, one in _annotated(base).items()}
    names = [*fields, *(name for name in described if name not in fields)]
    if not names:
        return
    entries = [
        griffe.DocstringAttribute(
            name,
            annotation=fields[name].annotation if name in fields else _annotation(found, name),
            description=described[name].description if name in described else "",
        )
        for name in names
    ]
    if found.docstring is None:
        found.docstring = griffe.Docstring("", parent=found)
    sections = [one for one in _sections(found) if one.kind is not griffe.DocstringSectionKind.attributes]
    place = next(
        (i for i, one in enumerate(sections) if one.kind is not griffe.DocstringSectionKind.text), len(sections)
    )
    sections.insert(place, griffe.DocstringSectionAttributes(entries))
    # A cached property of griffe: what is parsed here is what mkdocstrings shows.
    found.docstring.__dict__["parsed"] = sections


def _sections(found: griffe.Class) -> list[Any]:
    return found.docstring.parse("google", warnings=False) if found.docstring is not None else []


def _annotated(found: griffe.Class) -> dict[str, griffe.Attribute]:
    """The fields of a msgspec Struct or a dataclass, and what `__init__` annotates."""
    return {
        name: member
        for name, member in found.members.items()
        if isinstance(member, griffe.Attribute)
        and not name.startswith("_")
        and member.annotation is not None
        and "instance-attribute" in member.labels
    }


def _annotation(found: griffe.Class, name: str) -> Any:
    """The type of an attribute that is not a field: its own, or that of the parameter of the same name."""
    own = found.all_members[name]
    if isinstance(own, griffe.Attribute) and own.annotation is not None:
        return own.annotation
    for one in (found, *found.mro()):
        start = one.members.get("__init__")
        for parameter in start.parameters if isinstance(start, griffe.Function) else ():
            if parameter.name == name:
                return parameter.annotation
    return None
