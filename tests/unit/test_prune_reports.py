# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of the role prune: no name in them becomes a link, a mention, markup, or something that cannot be seen."""

from __future__ import annotations

import re

import pytest

from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit import plays

FILES = {
    "report.md": "prune_report_markdown",
    "comment.md": "prune_report_comment",
    "report.html": "prune_report_html",
}
# What sites make links or mentions of, what is markup, and what nobody sees.
RULE = (
    "old builds of @team and @org/team, see https://evil.example/x, HTTP://EVIL.EXAMPLE, www.evil.example, mail me@evil.example,"
    " #12 !34 org/repo#56 GH-78 [link](https://evil.example) ![image](x) <script>alert(1)</script> <b>bold</b> `code` | *x* _y_"
    " ~z~ &amp; in\u200bvis\u2060ible\u202e back\\slash"
)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("reports")
    with HostileRegistry() as server:
        for number in range(1, 13):
            image = images.image({"file": str(number)}, created=f"2020-01-{number:02d}T00:00:00Z")
            server.add("team/app", image, f"1.{number}")
        variables = {
            "prune_connection": {"registry": server.url, "retries": 0},
            "prune_repositories": ["team/app"],
            "prune_rules": [
                {"name": RULE, "match": {"tags": ["1.?"]}, "delete": True},
                {"name": "releases", "match": {"tags": ["1.1?"]}, "keep": True},
            ],
            "prune_protect": ["1.3"],
            "prune_max_delete_percent": 90,
            **{option: str(folder / name) for name, option in FILES.items()},
        }
        task = {"ansible.builtin.include_role": {"name": "ocikit.registry.prune"}, "vars": variables}
        played = plays.play(folder, [task])
        assert played.code == 0, played.output
        assert len(server.repositories["team/app"].tags) == 4
    return {name: (folder / name).read_text(encoding="utf-8") for name in FILES}


@pytest.mark.parametrize("name", ["report.md", "comment.md"])
def test_nothing_in_markdown_becomes_a_link_or_a_mention(reports: dict[str, str], name: str) -> None:
    text = reports[name]
    assert "old builds of" in text
    # Code spans show what is in them; a backslash before a character takes its meaning away.
    outside = re.sub(r"`[^`\n]*`", "", re.sub(r"\\[\\`*_{}\[\]<>|~&$#!]", "", text))
    rows = "\n".join(line for line in outside.splitlines() if "old builds" in line)
    assert rows
    for sign in (
        r"@",
        r"://",
        r"(?i)www\.",
        r"#[0-9]",
        r"![0-9]",
        r"\]\(",
        r"<",
        r"(?i)gh-[0-9]",
        r"\*",
        r"&",
    ):
        assert not re.search(sign, rows), (sign, rows)


@pytest.mark.parametrize("name", FILES)
def test_nothing_in_a_report_is_invisible(reports: dict[str, str], name: str) -> None:
    assert not set("\u200b\u2060\u202e").intersection(reports[name])
    # The short report has the beginnings of reasons only.
    assert ("in�vis�ible" in reports[name]) == (name != "comment.md")


def test_nothing_in_the_page_is_markup_or_loaded(reports: dict[str, str]) -> None:
    page = reports["report.html"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<script" not in page and "<b>bold" not in page
    assert not re.search(r'src=|url\(|@import|<link|href="[^#]', page)
