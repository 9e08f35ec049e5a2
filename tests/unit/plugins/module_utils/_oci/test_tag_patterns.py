# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns: what they match, and which can match nothing and are refused."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._oci.tag_patterns import (
    IMAGES,
    REPOSITORIES,
    TAGS,
    NameKind,
    Patterns,
    is_pattern,
)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("1.4.*", ["1.4.", "1.4.2"], ["1.40", "v1.4.2", "1.4"]),
        ("v?", ["v1", "vx"], ["v", "V1", "v10"]),
        ("[vV][0-9]", ["v1", "V9"], ["x1", "v"]),
        ("[!v]*", ["1.0", "V1"], ["v1"]),
        ("[]x]*", ["x1"], ["y"]),
        ("*", ["a", "-"], []),
        ("latest", ["latest"], ["Latest", "latest1"]),
        ("_x-1.0", ["_x-1.0"], ["x-1.0"]),
        ("regex:v[0-9]+", ["v1", "v10"], ["v", "xv1", "v1x"]),
        ("regex:^v.*$", ["v1"], ["1"]),
        ("regex:a|b", ["a", "b"], ["ab"]),
        (" regex: v1 ", ["v1"], ["v"]),
        ("v1 \r", ["v1"], ["v"]),
        ("\ufeffv1\u200b", ["v1"], ["v"]),
    ],
)
def test_a_pattern_matches_whole_tags(pattern: str, matching: list[str], others: list[str]) -> None:
    patterns = Patterns([pattern], "include", TAGS)
    assert [name for name in matching if not patterns.match(name)] == []
    assert [name for name in others if patterns.match(name)] == []


@pytest.mark.parametrize(
    ("pattern", "advice"),
    [
        ("^v.*", r"Write regex:\^v\.\*"),
        ("v.*$", "Write regex:"),
        (r"v\d+", "Write regex:"),
        ("1.+", "Write regex:"),
        ("(a)", "Write regex:"),
        ("v(1|2)", "Write regex:"),
        ("[0-9]{3}", "Write regex:"),
        ("[0-9a-f]{7,40}", "Write regex:"),
        (".*-rc", "Write regex:"),
        (".*", "Write regex:"),
        ("a|b", "one entry for each tag"),
        ("{a,b}", "one entry for each tag"),
        ("v{1,x}.*", "one entry for each tag"),
        ("1.0,2.0", "one entry for each tag"),
        ("1.0, 2.0", "one entry for each tag"),
        ("1.0;2.0", "one entry for each tag"),
        ("1.0 2.0", "one entry for each tag"),
        ("1.0\n2.0", "one entry for each tag"),
        ("v* # releases", "one entry for each tag"),
        ("-rc*", "no tag begins with '-'"),
        ("[^v]*", r"Write \[!v\]\*"),
        ("team/app:v*", "Write the tag alone"),
        ("v1@sha256:*", "Write the tag alone"),
        ("!v*", "'!'. Leave it out"),
        ("v[", "'\\['. Leave it out"),
        ("v[ ]", "Leave it out"),
        ("[z-a]", "Leave it out"),
        ("ü*", "'ü'"),
        ("a" * 129 + "*", "longer than 128"),
        ("", "it is empty"),
        (" ", "it is empty"),
        ("regex:", "it is empty"),
        ("regex:v1 v2", "no name has blanks"),
        ("regex:(", "not a regular expression"),
    ],
)
def test_a_pattern_that_no_tag_can_match_is_refused(pattern: str, advice: str) -> None:
    with pytest.raises(InvalidInput, match=f"(?s)in exclude .*{advice}"):
        Patterns(["*", pattern], "exclude", TAGS)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("team/*", ["team/app", "team/app/cache"], ["team", "steam/app"]),
        ("*/cache", ["team/cache", "a/b/cache"], ["cache"]),
        ("regex:team/[^/]+", ["team/app"], ["team/app/cache"]),
    ],
)
def test_an_asterisk_crosses_the_slashes_of_repositories(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    patterns = Patterns([pattern], "repositories", REPOSITORIES)
    assert [name for name in matching if not patterns.match(name)] == []
    assert [name for name in others if patterns.match(name)] == []


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        ("Team/*", REPOSITORIES),
        ("/team/*", REPOSITORIES),
        ("team/*:latest", REPOSITORIES),
        ("^team/.*", REPOSITORIES),
        ("team/{a,b}*", REPOSITORIES),
        ("team/a*,team/b*", REPOSITORIES),
        ("^registry.example.com/.*", IMAGES),
        ("team/app:* team/lib:*", IMAGES),
    ],
)
def test_patterns_over_other_names_are_refused_by_what_these_can_have(pattern: str, kind: NameKind) -> None:
    with pytest.raises(InvalidInput, match=f"in protect can match no {kind.noun}"):
        Patterns([pattern], "protect", kind)


@pytest.mark.parametrize("pattern", ["^v.*", "a|b", "two words", "{a,b}", "a,b", "", ".*"])
def test_patterns_over_any_text_may_have_any_characters(pattern: str) -> None:
    Patterns([pattern], "labels", None)


def test_text_of_any_kind_is_not_trimmed() -> None:
    assert Patterns(["a *"], "labels", None).match("a b")
    assert not Patterns([" a"], "labels", None).match("a")


def test_what_is_a_pattern() -> None:
    for text in ("*", "v?", "[ab]", "regex:v1", " regex:v1", "[::1]:5000/team/*", "*[::1]"):
        assert is_pattern(text)
    for text in ("latest", "team/app:1", "[::1]:5000/team/app", "[::1]/app", "v{1,2}"):
        assert not is_pattern(text)


@given(st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=128))
def test_every_tag_is_taken_as_itself(tag: str) -> None:
    if tag[0] in ".-":
        with pytest.raises(InvalidInput):
            Patterns([tag], "include", TAGS)
    else:
        assert Patterns([tag], "include", TAGS).match(tag)


@given(st.text("ab1._-*?[]!^|{},+ ", max_size=6), st.text("ab1._-", min_size=1, max_size=6))
def test_what_is_refused_matches_no_tag(pattern: str, tag: str) -> None:
    """Apart from ``[^``, which means something else to whoever writes it."""
    try:
        Patterns([pattern], "include", TAGS)
    except InvalidInput:
        valid = tag[0] not in ".-"
        assert "[^" in pattern or not (valid and Patterns([pattern.strip()], "include", None).match(tag))
