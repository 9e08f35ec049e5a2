# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a prune: complete where it is small, and below 64 KiB whatever was pruned."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import Refused
from ansible_collections.ocikit.registry.plugins.module_utils._prune.apply import Outcome, Refusal
from ansible_collections.ocikit.registry.plugins.module_utils._prune.plan import (
    PlannedTag,
    RepositoryPlan,
    diff_of,
)
from ansible_collections.ocikit.registry.plugins.module_utils._prune.results import (
    prune_result,
    restore_result,
)
from ansible_collections.ocikit.registry.plugins.module_utils._prune.undo import Restored, Run, UndoEntry

LIMIT = 64 << 10


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def planned(count: int) -> tuple[PlannedTag, ...]:
    return tuple(
        PlannedTag(
            f"build-{number}",
            digest(number),
            "2026-01-01T00:00:00Z",
            "old builds: 40 days old, kept until 30 days",
            "old builds",
            "40 days old, kept until 30 days",
        )
        for number in range(count)
    )


def outcome(name: str, delete: int, keep: int, **more: t.Any) -> Outcome:
    digests = tuple(map(digest, range(delete)))
    plan = RepositoryPlan("r.example.com", name, planned(delete), planned(keep), digests, 1000)
    return Outcome(plan, **more)


def undo_entry(number: int, size: int) -> UndoEntry:
    return UndoEntry("r.example.com", "team/app", digest(number), ("a",), "application/json", "e" * size)


def result(
    outcomes: t.Sequence[Outcome], details: bool = False, undo: t.Sequence[UndoEntry] = ()
) -> dict[str, t.Any]:
    return prune_result(True, outcomes, diff_of(one.plan for one in outcomes), undo, details)


def test_a_small_one_is_complete() -> None:
    outcomes = [outcome("team/app", 20, 30, deleted_tags=["build-1"], deleted_digests=[digest(1)])]
    found = result(outcomes, undo=[undo_entry(1, 100)])
    assert found == result(outcomes, details=True, undo=[undo_entry(1, 100)])
    assert found["truncated"] is False
    assert found["repositories"] == [outcomes[0].to_dict()]
    assert found["previous"] == [undo_entry(1, 100).to_dict()]
    assert found["totals"] == {
        "repositories": 1,
        "incomplete": 0,
        "bytes": 1000,
        "delete": 20,
        "keep": 30,
        "digests": 20,
        "deleted_tags": 1,
        "deleted_digests": 1,
        "refused": 0,
    }


@pytest.mark.parametrize(
    "outcomes",
    [
        [outcome("team/app", 6200, 300)],
        [outcome("team/app", 0, 20000)],
        [outcome(f"team/app-{number}", 40, 40) for number in range(60)],
        [outcome(f"team/app-{number}", 3, 3) for number in range(2000)],
        [outcome("t" * 250, 300, 3, error=Refused("x" * 100_000))] * 50,
        [outcome("app", 1, 1, refused=[Refusal("a", digest(1), "y" * 900)] * 5000)],
        [outcome("app", 2000, 1, deleted_tags=["b" * 128] * 2000, deleted_digests=[digest(1)] * 2000)],
    ],
)
def test_a_large_one_is_cut_short_below_64_kib(outcomes: list[Outcome]) -> None:
    undo = [undo_entry(number, 4000) for number in range(500)]
    found = result(outcomes, undo=undo)
    assert len(json.dumps(found)) < LIMIT - 8000
    assert found["truncated"] is True
    assert "previous" not in found
    assert found["repositories"]
    totals = result(outcomes, details=True)["totals"]
    assert found["totals"] == totals
    everything = {one["repository"]: one for one in result(outcomes, details=True)["repositories"]}
    for shown in found["repositories"]:
        whole = everything[shown["repository"]]
        assert shown["counts"] == whole["counts"]
        for name in shown["counts"]:
            assert shown[name] == whole[name][: len(shown[name])]
    complete = result(outcomes, details=True, undo=undo)
    assert complete["truncated"] is False
    assert len(complete["previous"]) == 500


def test_repositories_with_trouble_come_first_where_not_all_are_shown() -> None:
    outcomes = [outcome(f"app-{number}", 0 if number % 2 else 5, 1) for number in range(3000)]
    outcomes[2900].error = Refused("no")
    outcomes[2901].refused.append(Refusal("a", None, "moved"))
    shown = [one["repository"] for one in result(outcomes)["repositories"]]
    assert shown[-2:] == ["app-2900", "app-2901"]
    assert all(int(name.partition("-")[2]) % 2 == 0 for name in shown[:-2])


def test_undo_data_that_does_not_fit_is_left_out_as_a_whole() -> None:
    found = result([outcome("app", 1, 1)], undo=[undo_entry(number, 4000) for number in range(20)])
    assert "previous" not in found and found["truncated"] is True


@pytest.mark.parametrize("details", [True, False])
def test_what_was_put_back_is_counted(details: bool) -> None:
    done = [Restored(f"r/app:{number}", digest(number), "unchanged", None) for number in range(5000)]
    done.append(Restored("r/app:lost", digest(1), "lost", "collected"))
    found = restore_result(done, [Run("one"), Run("two")], details)
    assert found["totals"] == {"restored": 0, "unchanged": 5000, "moved": 0, "lost": 1, "failed": 0}
    assert found["truncated"] is not details
    assert (len(json.dumps(found)) < LIMIT) is not details
    assert found["restored"][-1 if details else 0]["outcome"] == "lost"
    assert [run["run"] for run in found["runs"]] == ["one", "two"]
