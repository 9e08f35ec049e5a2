# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""When each repository is looked at again: after the interval, later after failures, and within rate limits. Knows no clock."""

from __future__ import annotations

import random
import typing as t

from .._http.rate_limits import RateLimit

# Seconds: the pause after a first failure, and the longest that repeated ones lead to, unless the interval is longer.
_FIRST_PAUSE = 60.0
_LONGEST_PAUSE = 900.0
# No answer of a registry stops the watch for longer.
_LONGEST_WAIT = 86400.0
# Once less than this part of a limit is left, the rest is spread over the time that it is for.
_RESERVE = 0.25


class Schedule:
    """The next look at each of some repositories. Times are in seconds, on any clock that the caller has."""

    def __init__(
        self,
        interval: float,
        names: t.Iterable[str],
        jitter: t.Callable[[], float] = lambda: random.uniform(0.9, 1.1),
    ) -> None:
        """All of ``names`` are due at once. Pauses after failures are multiplied with what ``jitter`` returns."""
        self._interval = interval
        self._jitter = jitter
        self._due = dict.fromkeys(names, float("-inf"))
        self._failures = dict.fromkeys(self._due, 0)

    def due(self, now: float) -> list[str]:
        """Return the repositories to look at now."""
        return [name for name, time in self._due.items() if time <= now]

    def wait(self, now: float) -> float:
        """Return the seconds until a repository is due."""
        return max(0.0, min(self._due.values()) - now)

    def succeeded(self, name: str, now: float, requests: int, limit: RateLimit | None) -> None:
        """Note that a look ended at ``now``, with so many requests, and what the registry said of its limit."""
        self._failures[name] = 0
        self._due[name] = now + min(max(self._interval, _spread(requests, limit)), self._longest())

    def failed(self, name: str, now: float, retry_after: float | None = None) -> None:
        """Note that a look failed at ``now``; ``retry_after`` is the pause that the registry asked for."""
        # So that the power stays a number.
        exponent = min(self._failures[name], 30)
        self._failures[name] += 1
        first, most = min(self._interval, _FIRST_PAUSE), max(self._interval, _LONGEST_PAUSE)
        pause = max(min(first * 2**exponent, most) * self._jitter(), retry_after or 0.0)
        self._due[name] = now + min(pause, self._longest())

    def _longest(self) -> float:
        return max(self._interval, _LONGEST_WAIT)


def _spread(requests: int, limit: RateLimit | None) -> float:
    """Return the seconds after which the next look uses no more than its share of what a rate limit leaves."""
    if limit is None or not limit.seconds:
        return 0.0
    if limit.allowed is not None and limit.remaining >= limit.allowed * _RESERVE:
        return 0.0
    return min(limit.seconds, limit.seconds * requests / max(limit.remaining, 1))
