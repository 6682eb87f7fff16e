"""Jinja templates of the reports of runs and of suites."""

from __future__ import annotations

import jinja2


def page_template(package: str, name: str) -> jinja2.Template:
    """The template of a page. It escapes all text that is filled in.

    Arguments:
        package: package whose folder contains the template, such as ``benchmark.runs``. The
            template may import ``page.html.j2`` of ``benchmark.pages``.
        name: name of the file of the template.
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
