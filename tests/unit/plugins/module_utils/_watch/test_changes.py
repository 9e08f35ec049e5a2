# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from two looks at the tags of a repository."""

from __future__ import annotations

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import parse_repository
from ansible_collections.ocikit.registry.plugins.module_utils._watch.changes import (
    Change,
    Snapshot,
    WatchedTags,
    compare,
)

OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64
NAMES = WatchedTags(["stable", "latest"], "tags")
PATTERN = WatchedTags(["1.*"], "tags")
ALL = frozenset(["1.*"])


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [(None, NEW, "appeared"), (OLD, NEW, "moved"), (OLD, None, "vanished")],
)
def test_a_change_of_a_known_tag_is_told(before: str | None, now: str | None, kind: str) -> None:
    changes, after = compare(Snapshot({"stable": before}), Snapshot({"stable": now}), NAMES)
    assert changes == [Change(kind, "stable", now, before)]
    assert after == Snapshot({"stable": now})
    assert compare(after, Snapshot({"stable": now}), NAMES) == ([], after)


def test_the_first_look_is_the_baseline() -> None:
    seen = Snapshot({"stable": OLD, "latest": None})
    assert compare(Snapshot(), seen, NAMES) == ([], seen)


def test_nothing_follows_from_a_tag_that_was_not_read() -> None:
    known = Snapshot({"stable": OLD, "latest": None})
    assert compare(known, Snapshot(), NAMES) == ([], known)
    changes, after = compare(known, Snapshot({"latest": NEW}), NAMES)
    assert [change.tag for change in changes] == ["latest"]
    changes, _after = compare(after, Snapshot({"stable": NEW}), NAMES)
    assert changes == [Change("moved", "stable", NEW, OLD)]


def test_a_tag_that_is_listed_for_the_first_time_appeared_if_a_list_was_read_before() -> None:
    changes, first = compare(Snapshot(), Snapshot({"1.0": OLD}, listed=ALL), PATTERN)
    assert changes == []
    changes, after = compare(first, Snapshot({"1.0": OLD, "1.1": NEW}, listed=ALL), PATTERN)
    assert changes == [Change("appeared", "1.1", NEW, None)]
    assert after == Snapshot({"1.0": OLD, "1.1": NEW}, listed=ALL)


def test_a_list_that_was_not_read_keeps_that_others_were() -> None:
    known = Snapshot({"1.0": OLD}, listed=ALL)
    assert compare(known, Snapshot({"1.0": OLD}), PATTERN) == ([], known)


def test_a_listed_tag_that_cannot_be_read_at_first_is_part_of_the_baseline() -> None:
    changes, first = compare(Snapshot(), Snapshot({"1.1": OLD}, frozenset(["1.0"]), ALL), PATTERN)
    assert not changes and first.unread == {"1.0"}
    assert compare(first, Snapshot({"1.1": OLD}, frozenset(["1.0"]), ALL), PATTERN) == ([], first)
    changes, after = compare(first, Snapshot({"1.0": OLD, "1.1": OLD}, listed=ALL), PATTERN)
    assert not changes and not after.unread and after.digests["1.0"] == OLD


def test_a_new_tag_that_cannot_be_read_at_first_appears_later() -> None:
    known = Snapshot({"1.0": OLD}, listed=ALL)
    changes, after = compare(known, Snapshot({"1.0": OLD}, frozenset(["1.1"]), ALL), PATTERN)
    assert (changes, after) == ([], known)
    changes, _after = compare(after, Snapshot({"1.1": NEW}, listed=ALL), PATTERN)
    assert changes == [Change("appeared", "1.1", NEW, None)]


def test_a_tag_of_a_pattern_vanishes_and_appears_again() -> None:
    known = Snapshot({"1.0": OLD}, listed=ALL)
    changes, after = compare(known, Snapshot({"1.0": None}, listed=ALL), PATTERN)
    assert changes == [Change("vanished", "1.0", None, OLD)]
    assert after == Snapshot({}, listed=ALL)
    changes, _after = compare(after, Snapshot({"1.0": OLD}, listed=ALL), PATTERN)
    assert changes == [Change("appeared", "1.0", OLD, None)]


def test_other_tags_and_patterns_begin_anew() -> None:
    """After a restart with other options: what is watched no longer is forgotten, what is new is a baseline."""
    known = Snapshot({"1.0": OLD, "stable": OLD}, frozenset(["1.1"]), ALL)
    both = WatchedTags(["2.*", "latest"], "tags")
    changes, after = compare(known, Snapshot({"2.0": NEW, "latest": NEW}, listed=both.patterns), both)
    assert changes == []
    assert after == Snapshot({"2.0": NEW, "latest": NEW}, listed=frozenset(["2.*"]))


def test_changes_are_in_the_order_of_tags() -> None:
    changes, _after = compare(
        Snapshot({"stable": OLD, "latest": OLD}), Snapshot({"stable": NEW, "latest": NEW}), NAMES
    )
    assert [change.tag for change in changes] == ["latest", "stable"]


def test_an_event_names_all_that_a_rule_needs() -> None:
    repository = parse_repository("registry.example.com:5000/team/app")
    assert Change("moved", "stable", NEW, OLD).event(repository) == {
        "change": "moved",
        "registry": "registry.example.com:5000",
        "repository": "team/app",
        "tag": "stable",
        "image": "registry.example.com:5000/team/app:stable",
        "digest": NEW,
        "previous_digest": OLD,
        "reference": f"registry.example.com:5000/team/app@{NEW}",
    }
    assert Change("vanished", "stable", None, OLD).event(repository)["reference"] is None


def test_a_pattern_that_can_match_no_tag_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'a/\\*' in tags can match no tag"):
        WatchedTags(["a/*"], "tags")
