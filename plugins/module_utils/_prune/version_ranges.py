# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Version ranges such as ``>=1.2 <2``: which tags, read as versions, lie in them."""

from __future__ import annotations

import re
import typing as t

from .._errors import InvalidInput, printable
from .._oci.tag_versions import Version, parse_version, version_key

_PART = re.compile(r"(>=|<=|>|<|=|\^|~)?\s*([^\s,<>=^~|]+)")
_WILDCARD = re.compile(r"v?(\d+(?:\.\d+)*)\.[xX*](?:\.[xX*])*\Z")
_FLOOR = re.compile(r"(v?\d+(?:\.\d+)*)-0\Z")
_TAG_LENGTH = 128
# The place of a tag among the versions. One that is no version precedes all.
_Place = t.Tuple[t.Any, ...]
_LEAST: _Place = (1,)


class VersionRange:
    """A range such as ``>=1.2 <2``, ``^1.2``, ``~1.2.3`` or ``1.x``; alternatives stand between ``||``.

    Prereleases are ordered as semantic versioning does (semver 2.0.0, section 11). A range that ends with a version excludes
    the prereleases of that version, as in npm and PEP 440: ``<2`` excludes ``2.0.0-rc.1``. It includes them if it names one
    (``<2.0.0-rc.2``, ``>=2.0.0-rc.1 <2``). ``2.0.0-0`` is the place before all prereleases of 2.0.0.
    """

    def __init__(self, text: str) -> None:
        """Raises InvalidInput for what is no range, and for a range that no version lies in."""
        self.text = text
        self._alternatives = [_Alternative(part.strip(), text) for part in text.split("||")]

    def holds(self, tag: str) -> bool:
        """Tell whether the version that ``tag`` is lies in the range. A tag that is none does not."""
        version = parse_version(tag)
        return version is not None and any(
            alternative.holds(version, _place(tag)) for alternative in self._alternatives
        )


class _Bounds(t.NamedTuple):
    """What one part of a range admits: from ``low`` to before ``high``, and not the prereleases of ``released``."""

    low: _Place = _LEAST
    high: _Place | None = None
    released: _Place | None = None
    # The version whose prereleases the part names.
    prereleases_of: _Place | None = None


class _Alternative:
    """Parts of a range that have to hold together."""

    def __init__(self, part: str, text: str) -> None:
        """``text`` is the whole range. Raises InvalidInput."""
        bounds = [] if part == "*" else _read_parts(part, text)
        named = {bound.prereleases_of for bound in bounds}
        self._low = max((bound.low for bound in bounds), default=_LEAST)
        self._high = min((bound.high for bound in bounds if bound.high), default=None)
        self._released = {bound.released for bound in bounds if bound.released} - named
        if self._high is not None and self._low >= self._high:
            raise InvalidInput(
                f"No version is in the range {printable(text)!r}: its end precedes its beginning."
            )

    def holds(self, version: Version, place: _Place) -> bool:
        if version.prerelease and _floor(version.numbers) in self._released:
            return False
        return self._low <= place and (self._high is None or place < self._high)


def _read_parts(part: str, text: str) -> list[_Bounds]:
    invalid = InvalidInput(
        f"{printable(text)!r} is not a version range: write one such as '>=1.2 <2' or '^1.2'."
    )
    bounds = []
    rest = part.replace(",", " ").strip()
    if not rest:
        raise invalid
    while rest:
        match = _PART.match(rest)
        bound = _read_part(match.group(1) or "=", match.group(2)) if match else None
        if match is None or bound is None:
            raise invalid
        bounds.append(bound)
        rest = rest[match.end() :].strip()
    return bounds


def _read_part(operator: str, text: str) -> _Bounds | None:
    """Return the bounds that ``operator`` and a version set, None where ``text`` is no version."""
    wildcard = _WILDCARD.match(text)
    floor = _FLOOR.match(text) if operator != "=" else None
    shortened = wildcard or floor
    written = shortened.group(1) if shortened else text
    # What is longer than a tag can be is no version of one.
    version = parse_version(written) if len(text) <= _TAG_LENGTH else None
    if version is None or (wildcard and operator != "="):
        return None
    numbers = version.numbers
    release = _floor(numbers)
    if wildcard:
        return _Bounds(release, _raised(numbers, len(numbers) - 1))
    own = release if floor else _place(written)
    beyond = release if floor else (*own, ())
    prereleases_of = release if floor or version.prerelease else None
    released = None if prereleases_of else release
    if operator == "=":
        return _Bounds(own, beyond)
    if operator == ">=":
        return _Bounds(own, prereleases_of=prereleases_of)
    if operator == ">":
        return _Bounds(beyond, prereleases_of=prereleases_of)
    if operator == "<":
        return _Bounds(high=own, released=released, prereleases_of=prereleases_of)
    if operator == "<=":
        return _Bounds(high=beyond, released=released, prereleases_of=prereleases_of)
    if operator == "~":
        return _Bounds(own, _raised(numbers, min(1, len(numbers) - 1)))
    leading = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
    return _Bounds(own, _raised(numbers, leading))


def _place(tag: str) -> _Place:
    """Return the place of a version among others; spellings of the same version have the same."""
    return version_key(tag)[:4]


def _raised(numbers: tuple[int, ...], position: int) -> _Place:
    """Return the place before all versions, prereleases too, of the next higher number at ``position``."""
    return _floor(numbers[:position] + (numbers[position] + 1,))


def _floor(numbers: tuple[int, ...]) -> _Place:
    """Return the place before all versions, prereleases too, that begin with ``numbers``."""
    significant = list(numbers)
    while significant and not significant[-1]:
        significant.pop()
    return (1, tuple(significant))
