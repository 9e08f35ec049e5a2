# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Many requests at once."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

Item = t.TypeVar("Item")
Result = t.TypeVar("Result")


def each(function: t.Callable[[Item], Result], items: t.Iterable[Item], concurrency: int) -> list[Result]:
    """Return ``function`` of each item, in order, computed by up to ``concurrency`` threads.

    The first exception, by the order of items, is raised; what has not begun by then is not begun.
    """
    work = list(items)
    if concurrency <= 1 or len(work) <= 1:
        return [function(item) for item in work]
    with ThreadPoolExecutor(min(concurrency, len(work))) as pool:
        futures = [pool.submit(function, item) for item in work]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
