# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Version ranges such as ``>=1.2 <2``: which tags, read as versions, lie in them."""

from __future__ import annotations

import re
import typing as t

from .._errors import InvalidInput, printable
from .._oci.tag_versions import parse_version, version_key

_PART = re.compile(r"(>=|<=|>|<|=|\^|~)?\s*([^\s,<>=^~|]+)")
_TAG_LENGTH = 128


class VersionRange:
    """A range such as ``>=1.2 <2``, ``^1.2``, ``~1.2.3`` or ``1.x``; alternatives stand between ``||``."""

    def __init__(self, text: str) -> None:
        """Raises InvalidInput for what is no range."""
        self._alternatives = [_read_alternative(part, text) for part in text.split("||")]

    def holds(self, tag: str) -> bool:
        """Tell whether the version that ``tag`` is lies in the range."""
        key = _order(tag)
        return any(
            all(low <= key and (high is None or key < high) for low, high in bounds)
            for bounds in self._alternatives
        )


def _read_alternative(part: str, text: str) -> list[tuple[t.Any, t.Any]]:
    """Return the bounds that all have to hold, none where every version will do."""
    bounds = []
    rest = part.replace(",", " ").strip()
    if rest in ("", "*"):
        return []
    while rest:
        match = _PART.match(rest)
        bound = _bounds(match.group(1) or "", match.group(2)) if match else None
        if match is None or bound is None:
            raise InvalidInput(
                f"{printable(text)!r} is not a version range: write one such as '>=1.2 <2' or '^1.2'."
            )
        bounds.append(bound)
        rest = rest[match.end() :].strip()
    return bounds


def _order(tag: str) -> tuple[t.Any, ...]:
    """Return the place of a version among others; spellings of the same version have the same."""
    return version_key(tag)[:4]


def _bounds(operator: str, text: str) -> tuple[t.Any, t.Any] | None:
    """Return the least version, and the least one beyond, that one part of a range admits."""
    wildcard = re.match(r"v?(\d+(?:\.\d+)*)\.[xX*](?:\.[xX*])*\Z", text)
    # What is longer than a tag can be is no version of one.
    version = parse_version(wildcard.group(1) if wildcard else text) if len(text) <= _TAG_LENGTH else None
    if version is None:
        return None
    numbers = version.numbers
    own = _order(text if not wildcard else wildcard.group(1))
    least = (0,)
    if wildcard:
        if operator not in ("", "="):
            return None
        return _floor(numbers), _floor(_raised(numbers, len(numbers) - 1))
    after = (*own, ())
    if operator in ("", "="):
        return own, after
    if operator == ">=":
        return own, None
    if operator == ">":
        return after, None
    if operator == "<":
        return least, own
    if operator == "<=":
        return least, after
    if operator == "~":
        return own, _floor(_raised(numbers, min(1, len(numbers) - 1)))
    leading = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
    return own, _floor(_raised(numbers, leading))


def _raised(numbers: tuple[int, ...], place: int) -> tuple[int, ...]:
    return numbers[:place] + (numbers[place] + 1,)


def _floor(numbers: tuple[int, ...]) -> tuple[t.Any, ...]:
    """Return the place before all versions, prereleases too, that begin with ``numbers``."""
    significant = list(numbers)
    while significant and not significant[-1]:
        significant.pop()
    return (1, significant)
