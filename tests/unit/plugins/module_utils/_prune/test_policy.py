# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prune policy: what single rules mean, and what holds for all policies and repositories."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import (
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA1_SIGNED,
)
from ansible_collections.ocikit.registry.plugins.module_utils._prune.policy import (
    ManifestRecord,
    RetentionPlan,
    Snapshot,
    make_plan,
)
from ansible_collections.ocikit.registry.plugins.module_utils._prune.protection import (
    Protection,
    read_protect,
)
from ansible_collections.ocikit.registry.plugins.module_utils._prune.rules import label_names, parse_rules

NOW = 1_800_000_000.0
DAY = 86400.0


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def image(
    age_in_days: float | None, blobs: t.Sequence[int] = (), subject: int | None = None
) -> ManifestRecord:
    return ManifestRecord(
        OCI_MANIFEST,
        100,
        None if age_in_days is None else NOW - age_in_days * DAY,
        (),
        None if subject is None else digest(subject),
        tuple((digest(1_000_000 + blob), 10) for blob in blobs),
    )


def index(*children: int) -> ManifestRecord:
    return ManifestRecord(OCI_INDEX, 50, None, tuple(digest(child) for child in children))


def facts(tags: t.Mapping[str, int | None], manifests: t.Mapping[int, ManifestRecord]) -> Snapshot:
    return Snapshot(
        {tag: None if number is None else digest(number) for tag, number in tags.items()},
        {digest(number): manifest for number, manifest in manifests.items()},
    )


def plan(
    known: Snapshot, *rules: dict[str, t.Any], protect: t.Sequence[str] = (), delete_unknown_age: bool = False
) -> RetentionPlan:
    protection = Protection(read_protect(protect), "registry.example.com", "team/app")
    return make_plan(known, parse_rules(list(rules)), protection, NOW, delete_unknown_age)


def deleted(made: RetentionPlan) -> list[str]:
    return [verdict.tag for verdict in made.candidates]


def reasons(made: RetentionPlan) -> dict[str, str]:
    return {verdict.tag: verdict.why for verdict in made.verdicts}


BUILDS = facts({f"b{age}": age for age in (1, 10, 20, 40)}, {age: image(age) for age in (1, 10, 20, 40)})


class TestRules:
    def test_what_no_rule_names_is_kept(self) -> None:
        made = plan(BUILDS, {"match": {"tags": ["other-*"]}, "delete": True})
        assert not deleted(made)
        assert reasons(made)["b1"] == "no rule names it"

    def test_delete_takes_what_matches(self) -> None:
        made = plan(BUILDS, {"name": "builds", "match": {"tags": ["b*"], "exclude": ["b1"]}, "delete": True})
        assert deleted(made) == ["b10", "b20", "b40"]
        assert reasons(made)["b10"] == "builds: matches b*"

    @pytest.mark.parametrize("first", ["keep", "delete"])
    def test_keep_beats_delete_in_any_order(self, first: str) -> None:
        rules = [
            {"name": "delete", "match": {"tags": ["*"]}, "delete": True},
            {"name": "keep", "match": {"tags": ["b20"]}, "keep": True},
        ]
        made = plan(BUILDS, *sorted(rules, key=lambda rule: rule["name"] != first))
        assert deleted(made) == ["b1", "b10", "b40"]
        assert reasons(made)["b20"] == "keep: matches b20"

    def test_older_and_younger(self) -> None:
        assert deleted(plan(BUILDS, {"match": {"tags": ["*"]}, "delete": True, "older_than": "15d"})) == [
            "b20",
            "b40",
        ]
        assert deleted(plan(BUILDS, {"match": {"tags": ["*"]}, "delete": True, "younger_than": "15d"})) == [
            "b1",
            "b10",
        ]

    def test_keep_last_counts_all_that_matches_and_age_limits_only_candidates(self) -> None:
        rule = {"match": {"tags": ["*"]}, "delete": True, "keep_last": 1, "older_than": "15d"}
        assert deleted(plan(BUILDS, rule)) == ["b20", "b40"]
        assert deleted(plan(BUILDS, {**rule, "keep_last": 3})) == ["b40"]

    def test_keep_last_alone_deletes_nothing(self) -> None:
        assert not deleted(plan(BUILDS, {"match": {"tags": ["*"]}, "keep_last": 1}))

    def test_keep_last_counts_images_and_keeps_all_their_tags(self) -> None:
        """latest, 1 and 1.4 are names of the newest image: they do not fill the count, and they stay."""
        tags = {"1.2.0": 1, "1.3.0": 2, "1.3": 2, "1.4.0": 3, "1.4": 3, "1": 3, "latest": 3}
        known = facts(tags, {1: image(30), 2: image(20), 3: image(10)})
        rule = {"name": "releases", "match": {"version": ">=1"}, "keep_last": 2, "by": "version"}
        clean_up = {"name": "rest", "match": {"tags": ["*"]}, "delete": True}
        made = plan(known, rule, clean_up)
        assert deleted(made) == ["1.2.0"]
        assert reasons(made) == {
            "1": "releases: newest 2, as 1.4.0 is the same image",
            "1.2.0": "rest: matches *",
            "1.3": "releases: newest 2",
            "1.3.0": "releases: newest 2",
            "1.4": "releases: newest 2",
            "1.4.0": "releases: newest 2",
            "latest": "releases: newest 2, as 1.4.0 is the same image",
        }
        assert deleted(plan(known, {**rule, "by": "created"}, clean_up)) == ["1.2.0"]
        assert deleted(plan(known, {**rule, "keep_last": 0}, clean_up)) == sorted(tags)

    def test_keep_last_may_count_tags(self) -> None:
        known = facts(
            {"1.2.0": 1, "1.3.0": 2, "1.4": 3, "1.4.0": 3, "latest": 3},
            {1: image(3), 2: image(2), 3: image(1)},
        )
        rule = {"match": {"tags": ["1*"]}, "delete": True, "keep_last": 2, "count": "tags", "by": "version"}
        made = plan(known, rule, {"match": {"tags": ["latest"]}, "delete": True})
        assert deleted(made) == ["1.2.0", "1.3.0", "latest"]
        assert reasons(made)["1.4"] == "rule 1: newest 2"

    def test_an_image_counts_in_each_group_that_it_has_a_tag_in(self) -> None:
        known = facts(
            {"main-1": 1, "main-2": 2, "dev-1": 2, "dev-2": 3, "dev-3": 4},
            {number: image(10 - number) for number in (1, 2, 3, 4)},
        )
        rule = {"match": {"tags": ["*-*"]}, "delete": True, "keep_last": 1, "group": r"regex:(.*)-\d+"}
        made = plan(known, rule)
        assert deleted(made) == ["dev-2", "main-1"]
        assert reasons(made)["dev-1"] == "rule 1: newest 1 of main, as main-2 is the same image"

    def test_the_newest_version_of_an_image_decides_its_place(self) -> None:
        known = facts({"1.0": 1, "3.0": 1, "2.0": 2}, {1: image(9), 2: image(1)})
        rule = {"match": {"tags": ["*"]}, "delete": True, "keep_last": 1, "by": "version"}
        assert deleted(plan(known, rule)) == ["2.0"]

    @pytest.mark.parametrize("odd", ["8675309", "20240506", "v20240506", "20240506-2", "42"])
    def test_versions_have_a_dot_unless_a_rule_says_otherwise(self, odd: str) -> None:
        """Hashes and dates of all digits must not push releases out."""
        known = facts({"1.0.0": 1, "1.1.0": 2, odd: 3}, {1: image(9), 2: image(5), 3: image(1)})
        rule = {"match": {"tags": ["*"]}, "delete": True, "keep_last": 1, "by": "version"}
        made = plan(known, rule)
        assert deleted(made) == ["1.0.0"]
        assert reasons(made)[odd] == "no rule names it"
        assert deleted(plan(known, {**rule, "strict_versions": False})) == ["1.0.0", "1.1.0"]
        above = {"match": {"version": ">=1.1"}, "delete": True}
        assert deleted(plan(known, above)) == ["1.1.0"]
        assert deleted(plan(known, {**above, "strict_versions": False})) == sorted(["1.1.0", odd])

    def test_keep_last_by_version_and_group(self) -> None:
        tags = ["1.0.0", "1.9.0", "1.10.0", "2.0.0", "2.1.0-rc.1", "latest"]
        known = facts(
            {tag: place for place, tag in enumerate(tags)}, {place: image(1) for place in range(len(tags))}
        )
        rule = {"match": {"tags": ["*"]}, "delete": True, "keep_last": 1, "by": "version"}
        assert deleted(plan(known, rule)) == ["1.0.0", "1.10.0", "1.9.0", "2.0.0"]
        assert deleted(plan(known, {**rule, "group": "major"})) == ["1.0.0", "1.9.0", "2.0.0"]
        assert deleted(plan(known, {**rule, "group": "minor"})) == []
        stable = {**rule, "group": "major", "match": {"tags": ["*"], "prereleases": "none"}}
        assert deleted(plan(known, stable)) == ["1.0.0", "1.9.0"]

    def test_group_by_expression_leaves_the_rest_alone(self) -> None:
        tags = {"main-1": 3, "main-2": 2, "dev-1": 2, "dev-2": 1, "other": 9}
        known = facts(
            {tag: place for place, tag in enumerate(tags)},
            {i: image(age) for i, age in enumerate(tags.values())},
        )
        made = plan(known, {"match": {"tags": ["*"]}, "delete": True, "keep_last": 1, "group": r"(.*)-\d+"})
        assert deleted(made) == ["dev-1", "main-1"]
        assert reasons(made)["other"] == "rule 1: it has no group"
        assert reasons(made)["dev-1"] == "rule 1: not among the newest 1 of dev"

    def test_equal_dates_are_told_apart_by_version(self) -> None:
        known = facts({"1.9": 1, "1.10": 2, "1.2": 3}, {1: image(5), 2: image(5), 3: image(5)})
        assert deleted(plan(known, {"match": {"tags": ["*"]}, "delete": True, "keep_last": 1})) == [
            "1.2",
            "1.9",
        ]

    @pytest.mark.parametrize("age", [None, 20000, -30])
    def test_unknown_ages_are_kept_unless_told_otherwise(self, age: float | None) -> None:
        known = facts({"odd": 1, "new": 2, "old": 3}, {1: image(age), 2: image(1), 3: image(90)})
        rule = {"match": {"tags": ["*"]}, "delete": True, "older_than": "30d"}
        assert deleted(plan(known, rule)) == ["old"]
        assert reasons(plan(known, rule))["odd"] == "rule 1: its age is unknown"
        assert deleted(plan(known, rule, delete_unknown_age=True)) == ["odd", "old"]
        very_old = reasons(plan(known, rule, delete_unknown_age=True))["odd"]
        assert very_old == "rule 1: of unknown age, taken for very old, kept until 30 days"
        last = {"match": {"tags": ["*"]}, "delete": True, "keep_last": 1}
        assert deleted(plan(known, last)) == ["old"]
        assert deleted(plan(known, last, delete_unknown_age=True)) == ["odd", "old"]
        assert deleted(plan(known, {"match": {"tags": ["*"]}, "delete": True})) == ["new", "odd", "old"]

    @pytest.mark.parametrize(
        "keep",
        [
            {"keep_last": 2},
            {"keep": True, "younger_than": "30d"},
            {"keep": True, "older_than": "30d"},
            {"keep_last": 1, "group": "(o)"},
        ],
    )
    def test_an_age_that_a_keep_rule_asks_for_and_nobody_knows_keeps(self, keep: dict[str, t.Any]) -> None:
        known = facts({"odd": 1, "new": 2, "nova": 3}, {1: image(None), 2: image(1), 3: image(2)})
        rules = [{"match": {"tags": ["o*", "new"]}, **keep}, {"match": {"tags": ["*"]}, "delete": True}]
        assert reasons(plan(known, *rules))["odd"] == "rule 1: its age is unknown"
        assert "nova" in deleted(plan(known, *rules))

    def test_an_unknown_age_is_none_of_the_business_of_a_rule_that_asks_for_no_age(self) -> None:
        known = facts({"odd": 1, "1.0": 2, "1.1": 3}, {number: image(None) for number in (1, 2, 3)})
        assert deleted(plan(known, {"match": {"tags": ["odd"]}, "delete": True})) == ["odd"]
        by_version = {"match": {"tags": ["*"]}, "delete": True, "keep_last": 1, "by": "version"}
        assert deleted(plan(known, by_version)) == ["1.0"]

    def test_what_an_interrupted_removal_left_goes_and_takes_no_place(self) -> None:
        left = image(0)._replace(removed=("b40",))
        known = facts({"b40": 1, "b41": 1, "b10": 2, "b20": 3}, {1: left, 2: image(10), 3: image(20)})
        made = plan(known, {"match": {"tags": ["b?0"]}, "delete": True, "keep_last": 1})
        assert reasons(made)["b40"] == "an interrupted removal left it"
        assert deleted(made) == ["b20", "b40"]
        assert deleted(plan(known, {"match": {"tags": ["x"]}, "delete": True}, protect=["b40"])) == []

    @pytest.mark.parametrize(
        "rule, part",
        [
            ({"match": {"tags": ["*"]}}, "neither keeps nor deletes"),
            ({"match": {"tags": ["*"]}, "keep": True, "delete": True}, "both"),
            ({"match": {"tags": ["*"]}, "keep": True, "keep_last": 2}, "keep_last"),
            ({"match": {"tags": ["*"]}, "delete": True, "keep_last": -1}, "negative"),
            ({"match": {}, "delete": True}, "does not say what it matches"),
            ({"match": {"tags": ["regex:("]}, "delete": True}, "regular expression"),
            ({"match": {"tags": ["^v.*"]}, "keep": True}, "in match.tags can match no tag.* Write regex:"),
            ({"match": {"tags": ["*"], "exclude": ["a,b"]}, "delete": True}, "in match.exclude .* one entry"),
            ({"match": {"tags": ["*"]}, "delete": True, "group": "major"}, "keep_last"),
            ({"match": {"tags": ["*"]}, "delete": True, "keep_last": 1, "group": "("}, "regular expression"),
            ({"match": {"tags": ["*"]}, "delete": True, "keep_last": 1, "group": ""}, "empty group"),
            ({"match": {"version": "newest"}, "delete": True}, "version range"),
            ({"match": {"version": ""}, "delete": True}, "version range"),
            ({"match": {"tags": ["*"]}, "delete": True, "older_than": "soon"}, "duration"),
            (
                {"match": {"tags": ["*"]}, "delete": True, "older_than": ""},
                "older_than of the policy's rule 1: ''",
            ),
            ({"match": {"tags": ["*"]}, "keep": True, "younger_than": "6m"}, "write 6min or 6mo"),
            ({"match": {"labels": {"a": 1.1}}, "delete": True}, "label a .* has the value 1.1, .* quote it"),
            ({"match": {"labels": {"a": True}}, "delete": True}, "quote it"),
            (
                {"match": {"labels": {"a": "regex:("}}, "delete": True},
                "match.labels is not a regular expression",
            ),
            ({"match": {"labels": {}}, "delete": True}, "does not say what it matches"),
            (
                {"match": {"tags": ["*"], "labels": {}}, "delete": True},
                "labels that .* rule 1 matches are empty",
            ),
        ],
    )
    def test_bad_rules_are_refused_in_a_sentence(self, rule: dict[str, t.Any], part: str) -> None:
        with pytest.raises(InvalidInput, match=part):
            parse_rules([rule])

    def test_no_rules_at_all_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="no rules"):
            parse_rules([])


class TestLabels:
    KNOWN = facts(
        {"a": 1, "b": 2, "c": 3, "d": 4},
        {
            1: image(9)._replace(labels=(("tier", "ci"),)),
            2: image(8)._replace(labels=(("tier", "production"),)),
            3: image(7)._replace(labels=(("tier", None),)),
            4: image(6),
        },
    )

    @pytest.mark.parametrize(
        ("pattern", "matching"),
        [
            ("ci", ["a"]),
            ("*", ["a", "b"]),
            ("regex:c.|prod.*", ["a", "b"]),
            ("", ["a", "b"]),
            ("p*", ["b"]),
            ("none", []),
        ],
    )
    def test_a_rule_is_about_images_with_its_labels(self, pattern: str, matching: list[str]) -> None:
        assert deleted(plan(self.KNOWN, {"match": {"labels": {"tier": pattern}}, "delete": True})) == matching

    def test_all_that_is_given_must_hold(self) -> None:
        rule = {"match": {"labels": {"tier": "*"}, "tags": ["b", "c"]}, "delete": True}
        assert deleted(plan(self.KNOWN, rule)) == ["b"]
        assert reasons(plan(self.KNOWN, rule))["b"] == "rule 1: matches b, has the labels tier"
        assert not deleted(
            plan(self.KNOWN, {"match": {"labels": {"tier": "*", "other": ""}}, "delete": True})
        )

    def test_labels_that_could_not_be_read_keep(self) -> None:
        keep = {"name": "production", "match": {"labels": {"tier": "production"}}, "keep": True}
        made = plan(self.KNOWN, keep, {"match": {"tags": ["*"]}, "delete": True})
        assert deleted(made) == ["a", "c"]
        assert reasons(made)["d"] == "production: its labels cannot be read"
        assert reasons(made)["b"] == "production: has the labels tier"

    def test_rules_say_which_labels_they_need(self) -> None:
        rules = [
            {"match": {"labels": {"a": "", "b": "x"}}, "keep": True},
            {"match": {"tags": ["*"]}, "delete": True},
        ]
        assert label_names(parse_rules(rules)) == {"a", "b"}


class TestReasons:
    """Each tag has the rule that decided about it, and the condition."""

    @pytest.mark.parametrize(
        ("rule", "expected"),
        [
            (
                {"delete": True, "older_than": "30d"},
                {
                    "b10": (False, "old builds", "10 days old, kept until 30 days"),
                    "b40": (True, "old builds", "40 days old, kept until 30 days"),
                },
            ),
            (
                {"delete": True, "younger_than": "15d"},
                {
                    "b10": (True, "old builds", "10 days old, kept after 15 days"),
                    "b40": (False, "old builds", "40 days old, kept after 15 days"),
                },
            ),
            (
                {"delete": True, "older_than": "15d", "younger_than": "1mo"},
                {
                    "b20": (True, "old builds", "20 days old, deleted between 15 days and 30 days"),
                    "b40": (False, "old builds", "40 days old, deleted between 15 days and 30 days"),
                },
            ),
            (
                {"keep": True, "younger_than": "30d"},
                {
                    "b10": (False, "old builds", "10 days old, kept until 30 days"),
                    "b40": (False, None, "no rule deletes it"),
                },
            ),
            (
                {"keep": True, "older_than": "30d"},
                {
                    "b10": (False, None, "no rule deletes it"),
                    "b40": (False, "old builds", "40 days old, kept after 30 days"),
                },
            ),
            (
                {"delete": True, "keep_last": 2},
                {
                    "b10": (False, "old builds", "newest 2"),
                    "b40": (True, "old builds", "not among the newest 2"),
                },
            ),
            (
                {"delete": True, "keep_last": 1, "older_than": "12h"},
                {
                    "b1": (False, "old builds", "newest 1"),
                    "b40": (True, "old builds", "40 days old, kept until 12 hours; not among the newest 1"),
                },
            ),
            (
                {"keep_last": 2},
                {"b1": (False, "old builds", "newest 2"), "b40": (False, None, "no rule deletes it")},
            ),
            (
                {"delete": True},
                {"b40": (True, "old builds", "matches b*")},
            ),
        ],
    )
    def test_rule_and_condition(
        self, rule: dict[str, t.Any], expected: dict[str, tuple[bool, str | None, str]]
    ) -> None:
        made = plan(BUILDS, {"name": "old builds", "match": {"tags": ["b*"]}, **rule})
        found = {one.tag: (one.delete, one.rule, one.reason) for one in made.verdicts}
        assert {tag: found[tag] for tag in expected} == expected
        for one in made.verdicts:
            assert one.why == (f"{one.rule}: {one.reason}" if one.rule else one.reason)

    def test_a_rule_that_keeps_is_named_before_one_that_would_delete_later(self) -> None:
        made = plan(
            BUILDS,
            {"name": "old", "match": {"tags": ["*"]}, "delete": True, "older_than": "30d"},
            {"name": "first", "match": {"tags": ["b1"]}, "keep": True},
        )
        assert reasons(made)["b1"] == "first: matches b1"
        assert reasons(made)["b10"] == "old: 10 days old, kept until 30 days"

    def test_protection_is_named_before_rules(self) -> None:
        made = plan(BUILDS, {"match": {"tags": ["*"]}, "keep": True}, protect=["b1"])
        assert (made.verdicts[0].rule, made.verdicts[0].reason) == (None, "protected: b1")

    def test_groups_are_named(self) -> None:
        known = facts({"1.4.0": 1, "1.4.1": 2, "1.5.0": 3}, {number: image(number) for number in (1, 2, 3)})
        rule = {
            "match": {"version": "1.x"},
            "delete": True,
            "keep_last": 1,
            "by": "version",
            "group": "minor",
        }
        assert reasons(plan(known, rule)) == {
            "1.4.0": "rule 1: not among the newest 1 of 1.4",
            "1.4.1": "rule 1: newest 1 of 1.4",
            "1.5.0": "rule 1: newest 1 of 1.5",
        }


class TestWhatIsNeeded:
    def test_a_digest_goes_when_all_its_tags_go(self) -> None:
        known = facts({"a": 1, "b": 1, "c": 2}, {1: image(1), 2: image(1)})
        made = plan(known, {"match": {"tags": ["a", "c"]}, "delete": True})
        assert made.digests == [digest(2)]
        assert deleted(made) == ["a", "c"]

    def test_children_of_a_kept_index_stay(self) -> None:
        known = facts(
            {"multi": 10, "single": 1, "outer": 20},
            {10: index(1, 2), 20: index(10), 1: image(1), 2: image(1)},
        )
        made = plan(known, {"match": {"tags": ["multi", "single"]}, "delete": True})
        assert deleted(made) == ["multi", "single"]
        assert made.digests == []

    def test_an_index_goes_before_its_children(self) -> None:
        known = facts(
            {"multi": 10, "other": 11}, {10: index(1, 2), 11: index(2, 3), **{i: image(1) for i in (1, 2, 3)}}
        )
        made = plan(known, {"match": {"tags": ["multi"]}, "delete": True})
        assert made.digests == [digest(10), digest(1)]

    def test_a_kept_referrer_keeps_its_subject(self) -> None:
        known = facts({"app": 1, "sbom": 2}, {1: image(1), 2: image(1, subject=1)})
        made = plan(known, {"match": {"tags": ["app"]}, "delete": True})
        assert deleted(made) == ["app"]
        assert made.digests == []

    def test_companions_live_and_die_with_their_subject(self) -> None:
        names = {f"sha256-{1:064x}.sig": 5, f"sha256-{1:064x}": 6, f"sha256-{2:064x}.sig": 7}
        manifests = {1: image(1), 2: image(1), 5: image(1), 6: index(8), 7: image(1), 8: image(1, subject=1)}
        known = facts({"gone": 1, "stays": 2, **names}, manifests)
        made = plan(known, {"match": {"tags": ["gone", "sha256-*"]}, "delete": True})
        assert deleted(made) == sorted(["gone", f"sha256-{1:064x}.sig", f"sha256-{1:064x}"])
        assert set(made.digests) == {digest(number) for number in (1, 5, 6, 8)}
        assert made.digests.index(digest(6)) < made.digests.index(digest(8)) < made.digests.index(digest(1))

    def test_orphans_are_kept_unless_a_rule_names_them(self) -> None:
        name = f"sha256-{9:064x}.sig"
        known = facts({"app": 1, name: 5}, {1: image(1), 5: image(1)})
        assert not deleted(plan(known, {"match": {"tags": ["sha256-*"]}, "delete": True}))
        assert deleted(plan(known, {"match": {"orphans": True}, "delete": True})) == [name]

    def test_a_tag_that_cannot_be_read_is_kept_and_no_digest_goes(self) -> None:
        known = facts({"broken": None, "a": 1}, {1: image(1)})
        made = plan(known, {"match": {"tags": ["*"]}, "delete": True})
        assert deleted(made) == ["a"]
        assert made.digests == []
        assert reasons(made)["broken"] == "it cannot be read"

    def test_referrers_that_have_tags_of_their_own_live_with_their_subject(self) -> None:
        known = facts(
            {"app": 1, "sbom": 2, "proof": 3}, {1: image(1), 2: image(1, subject=1), 3: image(1, subject=2)}
        )
        made = plan(known, {"match": {"tags": ["sbom", "proof"]}, "delete": True})
        assert deleted(made) == ["proof", "sbom"]
        assert made.digests == []
        assert len(plan(known, {"match": {"tags": ["*"]}, "delete": True}).digests) == 3

    def test_what_is_not_in_the_registry_is_not_to_be_deleted(self) -> None:
        made = plan(
            facts({"multi": 10}, {10: index(1, 2), 2: image(1)}), {"match": {"tags": ["*"]}, "delete": True}
        )
        assert made.digests == [digest(10), digest(2)]

    def test_a_schema1_image_that_stays_keeps_its_tags(self) -> None:
        old = image(1)._replace(media_type=SCHEMA1_SIGNED)
        known = facts({"a": 1, "b": 1, "c": 2}, {1: old, 2: old})
        made = plan(known, {"match": {"tags": ["a", "c"]}, "delete": True})
        assert deleted(made) == ["c"]
        assert made.digests == [digest(2)]

    def test_the_signature_of_an_untagged_image_is_no_orphan(self) -> None:
        name = f"sha256-{9:064x}.sig"
        known = facts({"app": 1, name: 5}, {1: image(1), 5: image(1), 9: image(1)})
        assert not deleted(plan(known, {"match": {"orphans": True}, "delete": True}))

    def test_bytes_count_only_what_nothing_else_has(self) -> None:
        known = facts({"a": 1, "b": 2}, {1: image(1, blobs=(1, 2)), 2: image(1, blobs=(2, 3))})
        assert plan(known, {"match": {"tags": ["a"]}, "delete": True}).bytes == 110

    @pytest.mark.parametrize(
        "entry",
        [
            "b20",
            "b2*",
            digest(20),
            "team/app:b20",
            "registry.example.com/team/app:b20",
            "registry.example.com/team/*:b20",
            f"registry.example.com/team/app@{digest(20)}",
            f"docker-pullable://registry.example.com/team/app:b20@{digest(20)}",
            digest(20)[:-1] + "*",
            f"*/app@{digest(20)}",
        ],
    )
    def test_protection(self, entry: str) -> None:
        made = plan(BUILDS, {"match": {"tags": ["*"]}, "delete": True}, protect=[entry])
        assert deleted(made) == ["b1", "b10", "b40"]
        assert reasons(made)["b20"].startswith("protected: ")
        assert digest(20) not in made.digests

    @pytest.mark.parametrize("protected", [1, 2])
    def test_a_protected_digest_keeps_what_leads_to_it(self, protected: int) -> None:
        """Container engines name the image of their platform, not the index that it was pulled by."""
        manifests = {
            20: index(10),
            10: index(1, 2),
            1: image(1),
            2: image(1),
            3: image(1),
            4: image(1, subject=1),
        }
        known = facts({"outer": 20, "inner": 10, "other": 3}, manifests)
        made = plan(known, {"match": {"tags": ["*"]}, "delete": True}, protect=[digest(protected)])
        assert deleted(made) == ["other"]
        assert made.digests == [digest(3)]

    @pytest.mark.parametrize(
        "entry", [digest(1_000_001), digest(1_000_001)[7:], f"team/app@{digest(1_000_001)}"]
    )
    def test_the_id_of_an_image_protects_it_and_what_leads_to_it(self, entry: str) -> None:
        """What ``docker inspect`` calls the image of a container is the digest of a configuration."""
        manifests = {
            10: index(1, 2),
            1: image(1, blobs=(1, 7)),
            2: image(1, blobs=(2, 7)),
            3: image(1, blobs=(3, 7)),
        }
        known = facts({"multi": 10, "single": 1, "other": 3}, manifests)
        made = plan(known, {"match": {"tags": ["*"]}, "delete": True}, protect=[entry])
        assert deleted(made) == ["other"]
        assert reasons(made)["multi"] == reasons(made)["single"] == f"protected: {entry}"
        assert made.digests == [digest(3)]

    def test_a_protected_repository_keeps_what_an_interrupted_run_has_left(self) -> None:
        known = facts({"app": 1}, {1: image(1), 2: image(1)})
        rules = parse_rules([{"match": {"tags": ["*"]}, "delete": True}])
        for entry, digests in (("team/app", []), ("team/other", [digest(2), digest(1)])):
            protection = Protection(read_protect([entry]), "registry.example.com", "team/app")
            assert make_plan(known, rules, protection, NOW, False, [digest(2)]).digests == digests

    def test_a_protected_referrer_without_a_tag_keeps_its_subject(self) -> None:
        known = facts({"app": 1, f"sha256-{1:064x}": 8}, {1: image(1), 8: index(9), 9: image(1, subject=1)})
        made = plan(known, {"match": {"tags": ["*"]}, "delete": True}, protect=[digest(9)])
        assert made.digests == []

    def test_protection_of_another_repository_does_not_count(self) -> None:
        elsewhere = f"registry.example.com/team/other@{digest(20)}"
        assert (
            len(
                deleted(
                    plan(
                        BUILDS, {"match": {"tags": ["*"]}, "delete": True}, protect=[elsewhere, "team/other"]
                    )
                )
            )
            == 4
        )


# What holds for every repository and policy.

NUMBERS = st.integers(0, 11)
AGES = st.one_of(st.none(), st.sampled_from([-9.0, 0.5, 1.0, 5.0, 30.0, 400.0, 30000.0]))
TAGS = st.one_of(
    st.sampled_from(
        [
            "latest",
            "1",
            "1.0",
            "1.1",
            "1.1.0-rc.1",
            "2.0",
            "2.0-rc.1",
            "v2.1",
            "20240506",
            "a-1",
            "a-2",
            "b-1",
            "b-2",
            "nightly",
        ]
    ),
    st.builds(
        lambda number, tail: f"sha256-{number:064x}{tail}", NUMBERS, st.sampled_from(["", ".sig", ".att"])
    ),
)


@st.composite
def repositories(draw: st.DrawFn) -> Snapshot:
    """Manifests that only need such with a smaller number: contents cannot be circular."""
    manifests = {}
    for number in range(draw(st.integers(1, 12))):
        below = st.lists(st.integers(0, number - 1), max_size=3, unique=True) if number else st.just([])
        kind = draw(st.sampled_from(["image", "image", "index", "referrer"]))
        if kind == "index":
            manifests[number] = index(*draw(below))
        else:
            subject = draw(st.sampled_from(range(number))) if kind == "referrer" and number else None
            manifests[number] = image(draw(AGES), draw(st.lists(st.integers(0, 5), max_size=3)), subject)
    numbers = st.one_of(st.none(), st.sampled_from(sorted(manifests)), st.sampled_from(sorted(manifests)))
    for number, manifest in manifests.items():
        labels = draw(st.sampled_from([(), (("tier", None),), (("tier", "ci"),), (("tier", "live"),)]))
        manifests[number] = manifest._replace(labels=labels)
    return facts(draw(st.dictionaries(TAGS, numbers, max_size=10)), manifests)


@st.composite
def rules(draw: st.DrawFn, action: str | None = None) -> dict[str, t.Any]:
    patterns = st.lists(
        st.sampled_from(["*", "1.*", "a-*", "*-1", "latest", "sha256-*"]), min_size=1, max_size=2
    )
    rule: dict[str, t.Any] = {"match": {"tags": draw(patterns), "orphans": draw(st.booleans())}}
    if draw(st.booleans()):
        rule["match"]["exclude"] = draw(patterns)
    if draw(st.integers(0, 3)) == 0:
        rule["match"]["version"] = draw(st.sampled_from([">=1.0 <2", "^2", "1.x", "<1.1"]))
    if draw(st.integers(0, 3)) == 0:
        rule["match"]["labels"] = {"tier": draw(st.sampled_from(["", "ci", "l*"]))}
    rule["strict_versions"] = draw(st.booleans())
    chosen = action or draw(st.sampled_from(["keep", "delete", "delete", "last", "both"]))
    if chosen in ("keep", "delete"):
        rule[chosen] = True
    else:
        rule["keep_last"] = draw(st.integers(0, 3))
        rule["delete"] = chosen == "both"
        rule["by"] = draw(st.sampled_from(["created", "version"]))
        rule["count"] = draw(st.sampled_from(["images", "tags"]))
        if draw(st.booleans()):
            rule["group"] = draw(st.sampled_from(["major", "minor", r"(.*)-\d+"]))
    if draw(st.booleans()):
        rule[draw(st.sampled_from(["older_than", "younger_than"]))] = draw(st.sampled_from(["2d", "60d"]))
    return rule


POLICIES = st.lists(rules(), min_size=1, max_size=4)


def needs(known: Snapshot, of: t.Iterable[str]) -> set[str]:
    """What digests need, found in another way than by the code under test."""
    found = set(of)
    while True:
        more = {
            other
            for one in found
            if one in known.manifests
            for other in (*known.manifests[one].children, known.manifests[one].subject)
            if other
        }
        if more <= found:
            return found
        found |= more


def applied(known: Snapshot, made: RetentionPlan) -> Snapshot:
    gone, lost = set(deleted(made)), set(made.digests)
    return Snapshot(
        {tag: one for tag, one in known.tags.items() if tag not in gone and one not in lost},
        {one: manifest for one, manifest in known.manifests.items() if one not in lost},
    )


@settings(max_examples=400, deadline=None)
@given(repositories(), POLICIES, st.booleans())
def test_nothing_that_a_kept_tag_needs_is_deleted(
    known: Snapshot, policy: list[dict[str, t.Any]], unknown: bool
) -> None:
    made = plan(known, *policy, delete_unknown_age=unknown)
    kept = {verdict.digest for verdict in made.kept if verdict.digest}
    assert not needs(known, kept) & set(made.digests)
    assert {verdict.tag for verdict in made.verdicts} == set(known.tags)


@settings(max_examples=400, deadline=None)
@given(repositories(), POLICIES, st.one_of(rules("keep"), rules("last")), st.booleans(), st.data())
def test_one_more_keep_rule_never_deletes_more(
    known: Snapshot,
    policy: list[dict[str, t.Any]],
    more: dict[str, t.Any],
    unknown: bool,
    data: st.DataObject,
) -> None:
    position = data.draw(st.integers(0, len(policy)))
    before = plan(known, *policy, delete_unknown_age=unknown)
    after = plan(known, *policy[:position], more, *policy[position:], delete_unknown_age=unknown)
    assert set(deleted(after)) <= set(deleted(before))
    assert set(after.digests) <= set(before.digests)


@settings(max_examples=200, deadline=None)
@given(repositories(), POLICIES, st.randoms(use_true_random=False))
def test_the_order_of_tags_does_not_matter(
    known: Snapshot, policy: list[dict[str, t.Any]], random: t.Any
) -> None:
    tags, manifests = list(known.tags.items()), list(known.manifests.items())
    random.shuffle(tags)
    random.shuffle(manifests)
    assert plan(Snapshot(dict(tags), dict(manifests)), *policy) == plan(known, *policy)


@settings(max_examples=400, deadline=None)
@given(repositories(), POLICIES)
def test_applying_a_plan_twice_is_applying_it_once(known: Snapshot, policy: list[dict[str, t.Any]]) -> None:
    made = plan(known, *policy)
    once = applied(known, made)
    assert applied(once, made) == once


@settings(max_examples=400, deadline=None)
@given(repositories(), POLICIES)
def test_a_tag_never_vanishes_with_a_digest_without_being_named(
    known: Snapshot, policy: list[dict[str, t.Any]]
) -> None:
    made = plan(known, *policy)
    gone = set(deleted(made))
    assert {tag for tag, one in known.tags.items() if one in made.digests} <= gone


@settings(max_examples=200, deadline=None)
@given(repositories(), POLICIES, st.sets(NUMBERS, max_size=3))
def test_nothing_that_is_protected_is_deleted(
    known: Snapshot, policy: list[dict[str, t.Any]], numbers: set[int]
) -> None:
    protected = {digest(number) for number in numbers}
    made = plan(known, *policy, protect=sorted(protected))
    stay = needs(known, protected)
    assert not stay & set(made.digests)
    below = {tag for tag, one in known.tags.items() if one and protected & children(known, one)}
    assert not below & set(deleted(made))


@settings(max_examples=200, deadline=None)
@given(repositories(), POLICIES, st.sets(NUMBERS, max_size=2), st.sets(st.integers(0, 5), max_size=2))
def test_nothing_whose_id_or_tag_is_protected_is_deleted(
    known: Snapshot, policy: list[dict[str, t.Any]], numbers: set[int], blobs: set[int]
) -> None:
    """The first blob is the configuration, whose digest is the ID of the image."""
    tags = sorted(known.tags)[: len(numbers)]
    ids = {digest(1_000_000 + blob) for blob in blobs}
    made = plan(known, *policy, protect=[*tags, *(identifier[7:] for identifier in ids)])
    protected = {
        one for one, manifest in known.manifests.items() if manifest.blobs and manifest.blobs[0][0] in ids
    }
    assert not needs(known, protected) & set(made.digests)
    assert not set(tags) & set(deleted(made))
    assert not {tag for tag, one in known.tags.items() if one and protected & children(known, one)} & set(
        deleted(made)
    )


@settings(max_examples=300, deadline=None)
@given(repositories(), POLICIES, st.integers(0, 4), st.sampled_from(["created", "version"]))
def test_keep_last_keeps_all_tags_of_as_many_images(
    known: Snapshot, policy: list[dict[str, t.Any]], count: int, by: str
) -> None:
    rule = {"name": "last", "match": {"tags": ["*"]}, "keep_last": count, "by": by}
    made = plan(known, rule, *policy, delete_unknown_age=True)
    tags = {tag: one for tag, one in known.tags.items() if one and not tag.startswith("sha256-")}
    countable = {one for tag, one in tags.items() if by == "created" or "." in tag}
    gone = {verdict.digest for verdict in made.candidates if verdict.digest in countable}
    whole = {one for one in countable if one not in gone}
    assert len(whole) >= min(count, len(countable))


@settings(max_examples=200, deadline=None)
@given(repositories(), st.sampled_from(["<2", "<=2.0", "^1.0", "~1.0", "1.x", ">=1 <2"]))
def test_an_upper_bound_deletes_no_prerelease_of_its_version(known: Snapshot, versions: str) -> None:
    made = plan(known, {"match": {"version": versions}, "delete": True}, delete_unknown_age=True)
    assert "2.0-rc.1" not in deleted(made)


@settings(max_examples=200, deadline=None)
@given(repositories(), POLICIES)
def test_referrers_live_with_their_subject(known: Snapshot, policy: list[dict[str, t.Any]]) -> None:
    made = plan(known, *policy)
    kept = needs(known, {verdict.digest for verdict in made.kept if verdict.digest})
    assert not {
        one for one in made.digests if one in known.manifests and known.manifests[one].subject in kept
    }


def children(known: Snapshot, of: str) -> set[str]:
    found = {of}
    for child in known.manifests[of].children if of in known.manifests else ():
        found |= children(known, child)
    return found


class TestListsOfReferrers:
    """A fallback tag lists what somebody has put into it: only what is about the image goes with the image."""

    @pytest.mark.parametrize("subject, gone", [(1, True), (2, False), (None, False)])
    def test_only_referrers_of_the_image_go_with_it(self, subject: int | None, gone: bool) -> None:
        listing = ManifestRecord(OCI_INDEX, 100, None, (digest(7),))
        made = plan(
            facts(
                {"a": 1, "b": 2, f"sha256-{1:064x}": 6},
                {1: image(90), 2: image(1), 6: listing, 7: image(5, subject=subject)},
            ),
            {"match": {"tags": ["a"]}, "delete": True},
        )
        assert digest(6) in made.digests
        assert (digest(7) in made.digests) is gone

    def test_children_of_other_indexes_go_with_them(self) -> None:
        made = plan(
            facts(
                {"a": 6, "b": 2},
                {2: image(1), 6: ManifestRecord(OCI_INDEX, 100, None, (digest(7),)), 7: image(5)},
            ),
            {"match": {"tags": ["a"]}, "delete": True},
        )
        assert made.digests == [digest(6), digest(7)]


class TestDangling:
    def plan(self, *rules: dict[str, t.Any], tag: str = "lost", **more: t.Any) -> RetentionPlan:
        snapshot = facts({"a": 1, "b": 2}, {1: image(90), 2: image(1)})
        tags = {**snapshot.tags, tag: None}
        return plan(Snapshot(tags, snapshot.manifests, frozenset([tag])), *rules, **more)

    def test_one_that_stays_keeps_all_digests(self) -> None:
        made = self.plan({"match": {"tags": ["a"]}, "delete": True})
        assert (deleted(made), made.digests) == (["a"], [])

    @pytest.mark.parametrize("tag", ["lost", f"sha256-{9:064x}.sig"])
    def test_one_that_goes_keeps_none(self, tag: str) -> None:
        made = self.plan(
            {"match": {"tags": ["a"]}, "delete": True}, {"match": {"dangling": True}, "delete": True}, tag=tag
        )
        assert (deleted(made), made.digests) == (["a", tag], [digest(1)])

    def test_protection_comes_first(self) -> None:
        made = self.plan({"match": {"dangling": True}, "delete": True}, protect=["lost"])
        assert deleted(made) == []

    def test_a_rule_about_them_leaves_images_alone(self) -> None:
        assert deleted(self.plan({"match": {"dangling": True, "tags": ["*"]}, "delete": True})) == ["lost"]

    def test_keep_last_does_not_count_them(self) -> None:
        rule = {"match": {"tags": ["*"]}, "delete": True, "keep_last": 2}
        assert deleted(self.plan(rule)) == ["lost"]

    def test_keeping_beats_deleting(self) -> None:
        rules = ({"match": {"tags": ["l*"]}, "keep": True}, {"match": {"dangling": True}, "delete": True})
        assert deleted(self.plan(*rules)) == []
