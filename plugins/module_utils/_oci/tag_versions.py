# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Tags as versions: an order in which 1.10 follows 1.9, and a release its candidates."""

from __future__ import annotations

import re
import typing as t

_VERSION = re.compile(r"v?([0-9]+(?:\.[0-9]+)*)(?!\.?[0-9])(?:([-_.]?)([a-z0-9].*))?\Z", re.IGNORECASE)
# What announces a release. Any other suffix (alpine, 2, debian-12-r3) names a variant of one.
_ANNOUNCING = re.compile(
    r"(?:alpha|beta|canary|cr|dev|devel|ea|milestone|nightly|pre|preview|prerelease|rc|snapshot|unstable)"
    r"(?![a-z])|m[0-9]",
    re.IGNORECASE,
)
# Python's short forms, which are something else behind a separator: 17.0.9-b08 is a build.
_ATTACHED = re.compile(r"[ab][0-9]", re.IGNORECASE)


class Version(t.NamedTuple):
    """A tag that is a version: ``[v]1.4.2``, also with a prerelease (``-rc.1``) or variant (``-alpine``)."""

    numbers: tuple[int, ...]
    prerelease: str = ""
    variant: str = ""


def parse_version(tag: str, strict: bool = False) -> Version | None:
    """Return ``tag`` as a version, or None where it is none, such as ``latest`` or ``7b6d3f2``.

    ``strict`` takes only what has a dot: commits such as ``8675309``, dates such as ``20240506`` and numbers of builds are
    no versions then, and neither are ``1`` and ``v2``.
    """
    match = _VERSION.match(tag)
    if not match:
        return None
    digits, separator, suffix = match.groups()
    numbers = tuple(int(number) for number in digits.split("."))
    if strict and len(numbers) == 1:
        return None
    if not suffix:
        return Version(numbers)
    if not separator and len(numbers) == 1:
        # More likely the hash of a commit.
        return None
    if _ANNOUNCING.match(suffix) or (not separator and _ATTACHED.match(suffix)):
        return Version(numbers, prerelease=suffix)
    return Version(numbers, variant=suffix)


def version_key(tag: str, strict: bool = False) -> tuple[t.Any, ...]:
    """Return the key that sorts tags by version, oldest first. Different tags have different keys.

    Tags that are no version, as parse_version() has it, come first. Numbers are compared one by one, missing ones being 0.
    Then a prerelease precedes the release (semver 2.0.0, section 11), and variants follow it.
    """
    version = parse_version(tag, strict)
    if version is None:
        return (0, natural_key(tag), tag)
    significant = list(version.numbers)
    while significant and not significant[-1]:
        significant.pop()
    suffix = natural_key(version.prerelease or version.variant)
    return (1, tuple(significant), not version.prerelease, suffix, len(version.numbers), tag)


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Return the key that sorts text as people do: numbers in it compare as such, and precede words."""
    parts = re.findall(r"[0-9]+|[^0-9._-]+", text.lower())
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts]
