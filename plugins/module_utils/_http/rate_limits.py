# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What a registry says in RateLimit-* headers of how many requests it allows, before it answers 429."""

from __future__ import annotations

import re
import typing as t

# A larger number of seconds is a time since 1970.
_LARGEST_DELAY = 10**9
_COUNT = re.compile(r"\A\s*([0-9]{1,12})\s*(?:$|[;,])")
_WINDOW = re.compile(r";\s*w\s*=\s*([0-9]{1,9})\b")


class RateLimit(t.NamedTuple):
    """How many requests are left of those that are allowed, and within how many seconds; None where that is not told."""

    remaining: int
    allowed: int | None
    seconds: float | None


def read_rate_limit(headers: t.Mapping[str, str], now: float) -> RateLimit | None:
    """Return what headers such as ``RateLimit-Remaining: 76;w=21600`` say, None where they say nothing.

    ``RateLimit-Reset`` counts where there is no window: seconds, or a time since 1970, which ``now`` is as well. Follows
    draft-polli-ratelimit-headers, as Docker Hub does.
    """
    text = headers.get("RateLimit-Remaining")
    remaining = _number(_COUNT, text)
    if text is None or remaining is None:
        return None
    limit = headers.get("RateLimit-Limit", "")
    seconds: float | None = _number(_WINDOW, text) or _number(_WINDOW, limit)
    reset = _number(_COUNT, headers.get("RateLimit-Reset"))
    if seconds is None and reset is not None:
        seconds = max(reset - now, 0.0) if reset > _LARGEST_DELAY else float(reset)
    return RateLimit(remaining, _number(_COUNT, limit), seconds)


def _number(pattern: t.Pattern[str], text: str | None) -> int | None:
    """Return the number that ``pattern`` finds in ``text``, None where it finds none."""
    match = pattern.search(text or "")
    return int(match.group(1)) if match else None
