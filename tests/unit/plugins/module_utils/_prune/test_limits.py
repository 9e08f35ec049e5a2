# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits of a prune: what a policy may delete of a repository, by default and as the user says."""

from __future__ import annotations

import math
import re

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._prune.limits import Limits
from ansible_collections.ocikit.registry.plugins.module_utils._prune.policy import RetentionPlan, Verdict


@pytest.mark.parametrize(
    "limits, count, total, part",
    [
        # The default lets a small repository lose anything but all of it.
        (Limits(), 6, 11, None),
        (Limits(), 49, 50, None),
        (
            Limits(),
            50,
            50,
            r"50 of 50 tags \(100 %\) would be deleted, and max_delete_percent allows 50 by default",
        ),
        (Limits(), 1, 1, r"1 of 1 tags \(100 %\) would be deleted"),
        (Limits(), 0, 0, None),
        (Limits(), 50, 100, None),
        (
            Limits(),
            51,
            100,
            r"51 of 100 tags \(51 %\) would be deleted, and max_delete_percent allows 50 by default",
        ),
        (Limits(), 26, 51, r"26 of 51 tags \(51 %\)"),
        # What is given holds everywhere.
        (
            Limits(max_delete_percent=50.0),
            6,
            11,
            r"6 of 11 tags \(55 %\) would be deleted, and max_delete_percent allows 50:",
        ),
        (Limits(max_delete_percent=100.0), 11, 11, None),
        (Limits(max_delete_percent=0.0), 1, 1000, "max_delete_percent allows 0:"),
        (Limits(max_delete_percent=0.0), 0, 0, None),
        (Limits(max_delete_percent=33.3), 1, 3, r"max_delete_percent allows 33\.3:"),
        (Limits(max_delete=2), 3, 100, "3 tags would be deleted, and max_delete allows 2:"),
        (Limits(max_delete=3), 3, 100, None),
        (Limits(max_delete=0), 0, 0, None),
        (Limits(max_delete=200), 51, 100, "max_delete_percent allows 50 by default"),
    ],
)
def test_a_limit_stops_what_exceeds_it_and_says_what_to_do(
    limits: Limits, count: int, total: int, part: str | None
) -> None:
    sentence = limits.exceeded(count, total)
    assert (sentence is None) is (part is None)
    if part and sentence:
        assert re.search(part, sentence)
        assert sentence.endswith("correct the rules.") and ", raise max_delete" in sentence


def test_tags_that_follow_their_subject_are_not_counted() -> None:
    plan = RetentionPlan(
        [
            Verdict("a", None, None, True, "x"),
            Verdict("b", None, None, False, "x"),
            Verdict("sha256-1.sig", None, None, True, "x", follows_subject=True),
        ]
    )
    assert Limits(max_delete=1, max_delete_percent=50.0).exceeded_by(plan) is None
    assert "1 of 2 tags" in (Limits(max_delete_percent=49.0).exceeded_by(plan) or "")


@pytest.mark.parametrize("percent", [math.nan, math.inf, -math.inf, -0.1, 100.1])
def test_a_share_that_is_no_percentage_is_refused(percent: float) -> None:
    with pytest.raises(InvalidInput, match="prune_share is .*: set it to a number from 0 to 100"):
        Limits(max_delete_percent=percent, max_delete_percent_name="prune_share")


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(InvalidInput, match="max_delete is -1: set it to 0 or more"):
        Limits(max_delete=-1)
