"""What the site shows of files that do not lie in docs/: pictures, two pages, notebooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
COPIED = {"changes.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures of ``assets/``, the pages of :data:`COPIED`, and every notebook."""
    for picture in sorted((ROOT / "assets").glob("*.png")):
        uri = f"pictures/{picture.name}"
        files.append(File.generated(config, uri, abs_src_path=str(picture)))
    for uri, name in COPIED.items():
        text = (ROOT / name).read_text().replace("](docs/", "](")
        files.append(File.generated(config, uri, content=text))
    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            files.remove(file)
            text = notebook_markdown(json.loads(file.content_string))
            uri = file.src_uri.removesuffix(".ipynb") + ".md"
            files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Point links that leave docs/ in the repository at their place on the site."""
    up = "../" * page.file.src_uri.count("/")
    markdown = markdown.replace(f"](../{up}assets/", f"]({up}pictures/")
    for uri, name in COPIED.items():
        markdown = markdown.replace(f"](../{up}{name}", f"]({up}{uri}")
    return markdown.replace(".ipynb)", ".md)")


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Keep a figure and its deviation on one line."""
    return html.replace(" ± ", "&nbsp;±&nbsp;")


def notebook_markdown(notebook: dict[str, Any]) -> str:
    """A notebook as Markdown: its cells and the outputs that it holds; nothing is run."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code" and source.strip():
            parts.append(f"```python\n{source}\n```")
            parts += map(output_markdown, cell["outputs"])
    return "\n\n".join(part for part in parts if part) + "\n"


def output_markdown(output: dict[str, Any]) -> str:
    """An output of a cell: its picture where it has one, else its text."""
    data = output.get("data", {})
    if "image/png" in data:
        picture = "".join(data["image/png"]).replace("\n", "")
        return f"![Output of the cell above](data:image/png;base64,{picture})"
    text = "".join(data.get("text/plain", output.get("text", ""))).rstrip()
    return f"```text\n{text}\n```" if text else ""
