# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rule by itself: which tags it is about, and the rules that are refused. test_policy.py has what rules decide."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._prune.rules import Rule, parse_rules


def rule(match: dict[str, t.Any], **given: t.Any) -> Rule:
    (parsed,) = parse_rules([{"match": match, "delete": True, **given}])
    return parsed


@pytest.mark.parametrize(
    ("match", "given", "selected"),
    [
        ({"tags": ["*"]}, {}, ["1.0.0", "1.1.0-rc.1", "2.0.0", "latest"]),
        ({"tags": ["*"], "exclude": ["latest", "1.*"]}, {}, ["2.0.0"]),
        ({"version": ">=1.1"}, {}, ["2.0.0"]),
        ({"tags": ["*"], "prereleases": "only"}, {}, ["1.1.0-rc.1"]),
        ({"tags": ["*"], "prereleases": "none"}, {}, ["1.0.0", "2.0.0"]),
        ({"tags": ["*"]}, {"by": "version", "keep_last": 1}, ["1.0.0", "1.1.0-rc.1", "2.0.0"]),
        ({"orphans": True}, {}, []),
    ],
)
def test_tags_that_a_rule_is_about(
    match: dict[str, t.Any], given: dict[str, t.Any], selected: list[str]
) -> None:
    parsed = rule(match, **given)
    assert [tag for tag in ("1.0.0", "1.1.0-rc.1", "2.0.0", "latest") if parsed.selects(tag)] == selected


@pytest.mark.parametrize(
    ("group", "tag", "expected"),
    [
        (None, "x", ()),
        ("major", "1.2.3", (1,)),
        ("minor", "1.2.3", (1, 2)),
        ("major", "latest", None),
        ("regex:^(.*)-[0-9]+$", "main-12", ("main",)),
        ("^[a-z]+", "main-12", ("main",)),
        ("^x", "main-12", None),
    ],
)
def test_groups(group: str | None, tag: str, expected: t.Any) -> None:
    assert rule({"tags": ["*"]}, keep_last=1, group=group).group_of(tag) == expected


def test_labels_that_are_not_known_leave_it_open() -> None:
    parsed = rule({"labels": {"team": "a*", "stage": ""}})
    assert parsed.admits_labels({"team": "alpha", "stage": "x"}) is True
    assert parsed.admits_labels({"team": "beta"}) is False
    assert parsed.admits_labels({"team": "alpha", "stage": None}) is False
    assert parsed.admits_labels({"team": "alpha"}) is None


def test_ages() -> None:
    parsed = rule({"tags": ["*"]}, older_than="1d", younger_than="3d")
    assert [parsed.admits_age(days * 86400.0) for days in (0.5, 2, 4)] == [False, True, False]
    assert parsed.admits_age(None)
    assert parsed.needs_age("x") and not rule({"tags": ["*"]}).needs_age("x")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"keep": True}, "both keeps and deletes"),
        ({"delete": False}, "neither keeps nor deletes"),
        ({"delete": False, "keep": True, "keep_last": 1}, "leave keep_last out"),
        ({"keep_last": -1}, "has a negative keep_last"),
        ({"group": "major"}, "has a group without keep_last"),
        ({"group": " ", "keep_last": 1}, "has an empty group"),
        ({"older_than": "soon"}, "older_than of the policy's builds"),
        ({"match": {}}, "does not say what it matches"),
        ({"match": {"dangling": True}, "older_than": "1d"}, "which have no age: leave older_than out"),
        ({"match": {"dangling": True, "orphans": True}}, "leave labels and orphans out"),
        ({"match": {"labels": {"a": 1}}}, "has the value 1, which is no text: quote it"),
    ],
)
def test_rules_that_are_refused(given: dict[str, t.Any], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        parse_rules([{"name": "builds", "match": {"tags": ["*"]}, "delete": True, **given}])
