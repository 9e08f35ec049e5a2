# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When repositories are looked at again."""

from __future__ import annotations

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._http.rate_limits import RateLimit
from ansible_collections.ocikit.registry.plugins.module_utils._watch.schedule import Schedule


def schedule(interval: float = 300, *names: str) -> Schedule:
    return Schedule(interval, names or ("a/b",), jitter=lambda: 1.0)


def pauses(plan: Schedule, count: int, retry_after: float | None = None) -> list[float]:
    """Return the pauses after so many failed looks."""
    waits = []
    for _number in range(count):
        plan.failed("a/b", 0, retry_after)
        waits.append(plan.wait(0))
    return waits


def test_all_are_due_at_once_and_then_after_the_interval() -> None:
    plan = schedule(300, "a/b", "c/d")
    assert plan.due(0) == ["a/b", "c/d"] and plan.wait(0) == 0
    plan.succeeded("a/b", 10, 1, None)
    assert plan.due(10) == ["c/d"] and plan.wait(10) == 0
    plan.succeeded("c/d", 20, 1, None)
    assert plan.due(20) == [] and plan.wait(20) == 290
    assert plan.due(310) == ["a/b"]
    assert plan.wait(1000) == 0


def test_failures_lead_to_growing_pauses() -> None:
    assert pauses(schedule(300), 6) == [60, 120, 240, 480, 900, 900]
    assert pauses(schedule(10), 8) == [10, 20, 40, 80, 160, 320, 640, 900]
    assert pauses(schedule(3600), 8) == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_a_success_ends_the_pauses() -> None:
    plan = schedule(300)
    pauses(plan, 5)
    plan.succeeded("a/b", 0, 1, None)
    assert plan.wait(0) == 300
    assert pauses(plan, 1) == [60]


def test_a_failure_of_one_repository_holds_up_no_other() -> None:
    plan = schedule(10, "a/b", "c/d")
    plan.succeeded("c/d", 0, 1, None)
    plan.failed("a/b", 0, 500)
    assert plan.due(10) == ["c/d"]


def test_the_pause_that_a_registry_asks_for_is_kept_within_a_day() -> None:
    assert pauses(schedule(300), 2, 700) == [700, 700]
    assert pauses(schedule(300), 1, 1e12) == [86400]
    assert pauses(schedule(300), 1, float("inf")) == [86400]


def test_endless_failures_stay_numbers() -> None:
    assert pauses(schedule(300), 2000)[-1] == 900


def test_pauses_after_failures_differ() -> None:
    values = iter([0.9, 1.1])
    plan = Schedule(300, ["a/b"], jitter=lambda: next(values))
    assert pauses(plan, 2) == pytest.approx([54, 132])


@pytest.mark.parametrize(
    ("limit", "requests", "wait"),
    [
        (None, 10, 60),
        # Enough is left for all.
        (RateLimit(25, 100, 21600), 1, 60),
        (RateLimit(1, 100, None), 1, 60),
        # 20 requests in six hours, one in each look.
        (RateLimit(20, 100, 21600), 1, 1080),
        (RateLimit(20, 100, 21600), 4, 4320),
        (RateLimit(0, 100, 21600), 1, 21600),
        (RateLimit(2, 100, 21600), 50, 21600),
        # Nothing says how much is allowed.
        (RateLimit(10, None, 3600), 1, 360),
        (RateLimit(0, 100, 10**9), 1, 86400),
    ],
)
def test_what_a_rate_limit_leaves_is_spread(limit: RateLimit | None, requests: int, wait: float) -> None:
    plan = schedule(60)
    plan.succeeded("a/b", 0, requests, limit)
    assert plan.wait(0) == wait
