"""The templates of a report, with the filters and macros that all reports share."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from ov_mobilenet.errors import MissingDependencyError, install_extra, printable
from ov_mobilenet.html import formatting

if TYPE_CHECKING:
    import jinja2


def page_environment(package: str) -> jinja2.Environment:
    """The templates of a package and those of this one; every value is escaped.

    Args:
        package: the package whose folder `templates` is searched first.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise MissingDependencyError("the HTML report needs jinja2", fix=install_extra("report")) from error
    folders = [resources.files(each) / "templates" for each in (package, __package__)]

    def load(name: str) -> str | None:
        files = (folder / name for folder in folders)
        return next((file.read_text("utf-8") for file in files if file.is_file()), None)

    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        figure=formatting.figure, percent=formatting.percent, tick=formatting.tick, width=formatting.width_percent
    )
    made.globals.update(NONE=formatting.NONE, count=formatting.count)
    return made


def _visible(value: object) -> object:
    """Text with its invisible characters escaped, as in an error message; markup and numbers as they are."""
    return value if not isinstance(value, str) or hasattr(value, "__html__") else printable(value)
