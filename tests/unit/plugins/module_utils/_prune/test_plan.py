# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a prune: diffs that can be read, and plan files that are the same each time and checked."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._prune.plan import (
    PLAN_FORMAT,
    PlannedTag,
    RepositoryPlan,
    diff_of,
    read_plans,
    write_plans,
)


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def planned(tag: str, reason: str, number: int = 1, rule: str | None = None) -> PlannedTag:
    return PlannedTag(tag, digest(number), None, f"{rule}: {reason}" if rule else reason, rule, reason)


def plan(candidates: t.Sequence[PlannedTag], kept: int, digests: int = 2) -> RepositoryPlan:
    return RepositoryPlan(
        "r.example.com",
        "team/app",
        tuple(candidates),
        tuple(planned(f"kept-{number}", "no rule names it") for number in range(kept)),
        tuple(digest(number + 1) for number in range(digests)),
        12345,
    )


class TestDiff:
    def test_few_candidates_are_named_with_their_rule(self) -> None:
        candidates = [
            planned(f"build-{number}", f"{number} days old", number, "builds") for number in (1, 2, 3)
        ]
        assert diff_of([plan(candidates, 7)]) == {
            "before": "r.example.com/team/app: 10 tags\n"
            f"  build-1 {digest(1)} (builds: 1 days old)\n"
            f"  build-2 {digest(2)} (builds: 2 days old)\n"
            f"  build-3 {digest(3)} (builds: 3 days old)\n",
            "after": "r.example.com/team/app: 7 tags, 2 digests and 12345 bytes less\n",
        }

    def test_many_are_summed_up_by_rule(self) -> None:
        candidates = [
            planned(f"build-{number:04}", f"{number} days old", rule="builds") for number in range(2000)
        ]
        candidates += [
            planned(f"pr-{number:04}", "matches pr-*", rule="pull requests") for number in range(600)
        ]
        candidates += [
            planned(f"sha256-{number:064x}.sig", f"with {digest(number)}") for number in range(400)
        ]
        assert diff_of([plan(candidates, 1000)])["before"] == (
            "r.example.com/team/app: 4000 tags\n"
            "  2000 tags, build-0000 to build-1999 (builds)\n"
            "  600 tags, pr-0000 to pr-0599 (pull requests)\n"
            f"  400 tags, sha256-{0:064x}.sig to sha256-{399:064x}.sig (with their image)\n"
        )

    def test_repositories_with_nothing_to_delete_are_not_in_it(self) -> None:
        assert diff_of([plan([], 5, digests=0)]) == {"before": "", "after": ""}


class TestPlanFile:
    def test_it_is_the_same_each_time(self, tmp_path: pathlib.Path) -> None:
        path, plans = tmp_path / "plan", [plan([planned("a", "b")], 1)]
        assert write_plans(str(path), plans, True) is True
        assert not path.exists()
        assert write_plans(str(path), plans, False) is True
        raw = path.read_bytes()
        assert write_plans(str(path), plans, False) is False
        assert path.read_bytes() == raw
        assert read_plans(str(path)) == plans

    def test_a_plan_without_rule_and_reason_is_read(self, tmp_path: pathlib.Path) -> None:
        path = tmp_path / "plan"
        entry = plan([planned("a", "matches a", rule="old")], 0).to_dict()
        for key in ("rule", "reason"):
            del entry["delete"][0][key]
        path.write_text(json.dumps({"format": PLAN_FORMAT, "repositories": [entry]}))
        (found,) = read_plans(str(path))
        assert found.delete == (PlannedTag("a", digest(1), None, "old: matches a", None, "old: matches a"),)

    @pytest.mark.parametrize(
        "change",
        [
            {"registry": 5},
            {"repository": "Team/App"},
            {"repository": "../x"},
            {"delete": None},
            {"delete": {}},
            {"delete": [{**planned("a", "b").to_dict(), "digest": None}]},
            {"delete": [{**planned("a", "b").to_dict(), "tag": "a/../b"}]},
            {"delete": [{"tag": "a", "digest": digest(1)}]},
            {"keep": [{**planned("a", "b").to_dict(), "digest": "sha256:1"}]},
            {"keep": [{**planned("a", "b").to_dict(), "why": None}]},
            {"keep": [{**planned("a", "b").to_dict(), "created": 5}]},
            {"keep": [{**planned("a", "b").to_dict(), "rule": 5}]},
            {"keep": [{**planned("a", "b").to_dict(), "reason": None}]},
            {"digests": ["sha256:../../x"]},
            {"bytes": "5"},
            {"bytes": True},
        ],
    )
    def test_it_is_checked(self, tmp_path: pathlib.Path, change: dict[str, t.Any]) -> None:
        path = tmp_path / "plan"
        entry = {**plan([], 1).to_dict(), **change}
        path.write_text(json.dumps({"format": PLAN_FORMAT, "repositories": [entry]}))
        with pytest.raises(InvalidInput, match="is not a file that registry_prune wrote"):
            read_plans(str(path))


def test_tags_are_summed_up_by_rule_or_reason() -> None:
    made = RepositoryPlan(
        "r.example.com",
        "team/app",
        (
            planned("b-1", "31 days old", rule="builds"),
            planned("b-2", "32 days old", rule="builds"),
            planned(f"sha256-{1:064x}.sig", f"with {digest(1)}"),
        ),
        (
            planned("b-3", "3 days old, kept until 30 days", rule="builds"),
            planned("stable", "no rule matches it"),
            planned("child", f"it is part of {digest(1)}"),
            planned("other", f"it is part of {digest(2)}"),
        ),
    )
    assert made.totals == [
        {"rule": "builds", "delete": 2, "keep": 1},
        {"rule": "with their image", "delete": 1, "keep": 0},
        {"rule": "it is part of an image", "delete": 0, "keep": 2},
        {"rule": "no rule matches it", "delete": 0, "keep": 1},
    ]
