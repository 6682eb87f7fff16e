"""Templates of the pages of runs and of suites."""

from __future__ import annotations

from importlib.resources import files

import jinja2


def page_template(name: str) -> jinja2.Template:
    """A template of a page, to be filled with text that is escaped.

    Arguments:
        name: of a file beside this module.
    """
    loader = jinja2.FunctionLoader(
        lambda file: files("benchmark").joinpath(file).read_text(encoding="utf-8")
    )
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
