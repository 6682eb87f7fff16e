"""Templates of the pages of runs and of suites."""

from __future__ import annotations

from importlib.resources import files

import jinja2


def page_template(package: str, name: str) -> jinja2.Template:
    """A template of a page, to be filled with text that is escaped.

    Arguments:
        package: whose folder holds it, such as ``benchmark.runs``.
        name: of its file.
    """
    loader = jinja2.FunctionLoader(
        lambda file: files(package).joinpath(file).read_text(encoding="utf-8")
    )
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
