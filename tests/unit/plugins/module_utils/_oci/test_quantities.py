# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes, durations and times as people write them."""

from __future__ import annotations

import re

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._oci.quantities import (
    duration_text,
    known_age,
    parse_duration,
    parse_size,
    parse_time,
)

NOW = 1_800_000_000.0
DAY = 86400.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90), ("2min", 120), ("1h", 3600), ("1d12h", 129600), ("2w", 14 * DAY), ("6mo", 180 * DAY), ("1y", 365 * DAY),
        ("0d", 0), ("1mo1min", 30 * DAY + 60),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "d", "1x", "1d 2h", "-1d", "1.5d", "1D", "1month", "1d,2h", "1 d", "٣d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(
        InvalidInput, match="is not a duration: write one such as 30d.*s, min, h, d, w, mo, y"
    ):
        parse_duration(text)


@pytest.mark.parametrize(("text", "number"), [("6m", "6"), ("1h30m", "30"), ("15m1s", "15")])
def test_m_may_be_minutes_or_months_and_is_refused(text: str, number: str) -> None:
    with pytest.raises(
        InvalidInput, match=f"'{text}' may be minutes or months: write {number}min or {number}mo"
    ):
        parse_duration(text)
    for unit in ("min", "mo"):
        parse_duration(number + unit)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"), (1, "1 second"), (119, "119 seconds"), (120, "2 minutes"), (86400, "1 day"), (90000, "25 hours"), (172799, "47 hours"),
        (2 * DAY, "2 days"), (6.99 * DAY, "6 days"), (365 * DAY, "365 days"),
    ],
)  # fmt: skip
def test_durations_in_words(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_sizes() -> None:
    assert [parse_size(text) for text in ("5", "5B", "1kB", "500 MB", "1.5GiB", " 2 tib ")] == [
        5, 5, 1000, 500_000_000, 1610612736, 2 << 40,
    ]  # fmt: skip
    for text in ("", "large", "-1", "1.5.5", "5 XB", "nan", "1e3"):
        with pytest.raises(InvalidInput, match=re.escape(repr(text.strip()) if text else "''")):
            parse_size(text)


def test_times() -> None:
    moment = 1767225600.0
    for text in (
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.123456789Z",
        "2026-01-01t01:30:00+01:30",
        "2025-12-31 19:00:00-0500",
    ):
        assert parse_time(text) == moment
    for wrong in (
        None,
        5,
        "",
        "2026-01-01",
        "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "2026-01-01T00:00:00",
    ):
        assert parse_time(wrong) is None
    assert parse_time("0001-01-01T00:00:00Z") == -62135596800.0


def test_ages_that_cannot_be_true_are_unknown() -> None:
    assert known_age(NOW - 5, NOW) == 5
    assert known_age(NOW + 5, NOW) == 0
    for created in (None, 0.0, -62135596800.0, 315532800.0, NOW + 2 * DAY):
        assert known_age(created, NOW) is None
