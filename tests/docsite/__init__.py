# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example files of the documentation, and the copies of them in README.md and in the guides.

Galaxy and docs.ansible.com show pages without the files beside them, so each page holds a copy of its examples.
``python -m tests.docsite`` updates the copies.
"""

from __future__ import annotations

import pathlib
import re
import textwrap
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "docsite" / "examples"
GUIDES = ROOT / "docs" / "docsite" / "rst"
PAGES = [ROOT / "README.md", *sorted(GUIDES.glob("*.rst"))]

# In README.md: a link to the file, and a code block after it. In a guide: a code block with the file as its caption.
_MARKDOWN = re.compile(
    r"(?P<head>/docs/docsite/examples/(?P<name>[\w./-]+)\)[^\n]*\n\n```\w+\n)(?P<text>.*?)(?P<end>```\n)",
    re.S,
)
_RST = re.compile(
    r"(?P<head>^\.\. code-block:: [\w+-]+\n   :caption: (?P<name>[\w./-]+)\n\n)(?P<text>(?:   [^\n]*\n|\n)*)(?P<end>)",
    re.M,
)


class Copy(t.NamedTuple):
    """A copy of an example file in a page."""

    name: str
    text: str


def example(name: str) -> str:
    """Return the text of an example file without the licence and the start of the document."""
    lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines(keepends=True)
    while lines and (lines[0].startswith(("#", "---")) or not lines[0].strip()):
        lines.pop(0)
    return "".join(lines)


def copies(page: pathlib.Path) -> list[Copy]:
    """Return the copies of example files that a page holds."""
    pattern = _MARKDOWN if page.suffix == ".md" else _RST
    return [
        Copy(match["name"], textwrap.dedent(match["text"]).strip("\n") + "\n")
        for match in pattern.finditer(page.read_text(encoding="utf-8"))
    ]


def update(page: pathlib.Path) -> None:
    """Replace the copies in a page with the present texts of the files."""
    is_markdown = page.suffix == ".md"

    def renewed(match: re.Match[str]) -> str:
        text = example(match["name"])
        shown = text if is_markdown else textwrap.indent(text, "   ") + "\n"
        return match["head"] + shown + match["end"]

    pattern = _MARKDOWN if is_markdown else _RST
    text = page.read_text(encoding="utf-8")
    new = pattern.sub(renewed, text)
    if new != text:
        page.write_text(new, encoding="utf-8")
