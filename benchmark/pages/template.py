"""Templates of the pages of runs and of suites."""

from __future__ import annotations

import jinja2


def page_template(package: str, name: str) -> jinja2.Template:
    """A template of a page, to be filled with text that is escaped.

    Arguments:
        package: whose folder holds it, such as ``benchmark.runs``; it may extend the page of
            ``benchmark.pages``.
        name: of its file.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([_folder(package), _folder("benchmark.pages")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _folder(package: str) -> jinja2.PackageLoader:
    return jinja2.PackageLoader(package, package_path="")
