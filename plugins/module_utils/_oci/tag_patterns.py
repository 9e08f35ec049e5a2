# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Patterns over names: shell globs, or regular expressions after ``regex:``. Both have to match the whole name."""

from __future__ import annotations

import fnmatch
import re
import typing as t

from .._errors import InvalidInput, printable

_REGEX = "regex:"


def is_pattern(text: str) -> bool:
    """Tell whether ``text`` is a pattern and not a plain name."""
    return text.startswith(_REGEX) or any(character in text for character in "*?[")


class Patterns:
    """Some patterns; a name matches them when it matches one. Case counts."""

    def __init__(self, patterns: t.Iterable[str], option: str) -> None:
        """``option`` is named in the InvalidInput that a broken regular expression raises."""
        self._patterns = [_compiled(pattern, option) for pattern in patterns]

    def match(self, name: str) -> bool:
        return any(pattern.fullmatch(name) for pattern in self._patterns)


def regex(text: str, what: str) -> t.Pattern[str]:
    """Return the regular expression ``text``. Raises InvalidInput, which calls it ``what``."""
    try:
        return re.compile(text)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"{what} is not a regular expression: {printable(error)}.") from None


def _compiled(pattern: str, option: str) -> t.Pattern[str]:
    if not pattern.startswith(_REGEX):
        return re.compile(fnmatch.translate(pattern))
    return regex(pattern[len(_REGEX) :], f"{printable(pattern)!r} in {option}")
