# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The graph of manifests: indexes lead to children, referrers to subjects, images to what refers to them."""

from __future__ import annotations

import typing as t

from .._errors import ProtocolError
from .._parallel import map_concurrent

# What a registry lists decides how far a walk goes, so a bound does: images nest two or three levels deep.
MAX_LEVELS = 16
MAX_MANIFESTS = 100_000


def walk(
    roots: t.Iterable[str],
    visit: t.Callable[[str], t.Iterable[str]],
    concurrency: int = 1,
    max_levels: int = MAX_LEVELS,
) -> list[list[str]]:
    """Visit the digests ``roots`` and all that they lead to, and return the levels: the roots first.

    ``visit`` is called once for each digest, by up to ``concurrency`` threads, and returns the digests that follow it.
    A digest stands in the first level that leads to it. Raises ProtocolError beyond ``max_levels`` levels, or
    MAX_MANIFESTS digests besides the roots.
    """
    level = list(dict.fromkeys(roots))
    seen = set(level)
    most = len(level) + MAX_MANIFESTS
    levels: list[list[str]] = []
    while level:
        if len(levels) == max_levels:
            raise ProtocolError(
                f"The manifests lead to one another over more than {max_levels} levels: they are nested too deeply, or the"
                " registry lists them without end."
            )
        levels.append(level)
        following = map_concurrent(visit, level, concurrency)
        level = list(
            dict.fromkeys(digest for digests in following for digest in digests if digest not in seen)
        )
        seen.update(level)
        if len(seen) > most:
            raise ProtocolError(
                f"The manifests lead to more than {MAX_MANIFESTS} others: this is too many to be read."
            )
    return levels


def closure(roots: t.Iterable[str], following: t.Mapping[str, t.Iterable[str]]) -> set[str]:
    """Return ``roots`` and all that they lead to in ``following``, which is in memory and therefore finite."""
    levels = walk(roots, lambda digest: following.get(digest, ()), max_levels=len(following) + 2)
    return {digest for level in levels for digest in level}


def parents_first(children: t.Mapping[str, t.Collection[str]], urgent: t.Container[str] = ()) -> list[str]:
    """Return the keys of ``children`` so that each comes before its children, and these as soon after it as can be.

    ``urgent`` keys come before others that are as free to go. Children that are no keys do not count. What is in a circle
    comes last, as contents cannot name each other, but tags and the lists of a registry can. The order does not depend
    on that of ``children``.
    """
    inner = {key: sorted({child for child in named if child in children}) for key, named in children.items()}
    waiting = dict.fromkeys(children, 0)
    for named in inner.values():
        for child in named:
            waiting[child] += 1
    ready = sorted((key for key, count in waiting.items() if not count), key=lambda key: (key in urgent, key))
    ordered = []
    while ready:
        key = ready.pop()
        ordered.append(key)
        for child in inner[key]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    return ordered + sorted(set(children).difference(ordered))


def depths(children: t.Mapping[str, t.Collection[str]]) -> dict[str, int]:
    """Return for each key of ``children`` the length of the longest way to it: 0 for what nothing leads to."""
    lengths = dict.fromkeys(children, 0)
    for key in parents_first(children):
        for child in children[key]:
            if child in lengths:
                lengths[child] = max(lengths[child], lengths[key] + 1)
    return lengths
