# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documents point to is there."""

from __future__ import annotations

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "roles").glob("*/*.md")])
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links(document: pathlib.Path) -> None:
    for text, target in LINK.findall(document.read_text(encoding="utf-8")):
        if "://" in target or target.startswith("#"):
            continue
        place = (document.parent / target.partition("#")[0]).resolve()
        assert place.exists(), f"{document.name} points to {target}"
        if text.startswith("`test_"):
            assert f"def {text.strip('`')}(" in place.read_text(encoding="utf-8"), f"{target} has no {text}"


def test_the_readme_names_every_plugin_and_role() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+)`", text))
    for kind in ("modules", "lookup", "filter"):
        assert {path.stem for path in (ROOT / "plugins" / kind).glob("*.py")} <= named
    assert {path.name for path in (ROOT / "roles").iterdir()} <= named


def test_the_readme_has_every_connection_option() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    fragment = (ROOT / "plugins/doc_fragments/_registry.py").read_text(encoding="utf-8")
    for option in re.findall(r"^  ([a-z_]+):$", fragment, re.MULTILINE):
        assert f"`{option}`" in text, option


def test_troubleshooting_quotes_messages_of_the_code() -> None:
    """Each part of a message on the page is in the sources; an ellipsis stands for what differs."""
    joined = re.compile(r"\"\s*\n\s*f?\"")
    sources = "".join(
        joined.sub("", path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / "plugins/module_utils").rglob("*.py"))
    )
    page = (ROOT / "docs/docsite/rst/guide_troubleshooting.rst").read_text(encoding="utf-8")
    messages = re.findall(r"\.\. code-block:: text\n\n   (.+)\n", page)
    assert len(messages) > 15
    for message in messages:
        for part in message.split("…"):
            assert part.strip() in sources, part


def test_absolute_links_to_this_repository() -> None:
    """Galaxy shows the README elsewhere, so its links are absolute. What they lead to is here."""
    link = re.compile(r"https://github\.com/ocikit/registry/(?:blob|tree)/main/([\w./-]+)")
    pages = [ROOT / "README.md", *sorted((ROOT / "docs/docsite/rst").glob("*.rst"))]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for target in link.findall(text):
            assert (ROOT / target.rstrip(".")).exists(), f"{page.name} points to {target}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all("://" in target for _text, target in LINK.findall(readme))
