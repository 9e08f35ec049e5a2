# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Sizes, durations and times as people and registries write them."""

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timedelta, timezone

from .._errors import InvalidInput, printable

# Docker's first release. Earlier dates come from builds that set a fixed one.
_FIRST_TIME = 1363132800.0
_FUTURE_TOLERANCE = 86400.0
_DAY = 86400
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": _DAY, "w": 7 * _DAY, "mo": 30 * _DAY, "y": 365 * _DAY}
_SHOWN_UNITS = (("day", _DAY), ("hour", 3600), ("minute", 60), ("second", 1))
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*(?:([kmgt])(i?))?b?\Z", re.IGNORECASE)
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d+)?([Zz]|[+-]\d\d:?\d\d)\Z")


def parse_size(text: str) -> int:
    """Return the bytes of a size such as ``500MB`` (powers of 1000) or ``1.5 GiB`` (of 1024). Raises InvalidInput."""
    match = _SIZE.match(text.strip())
    if not match:
        raise InvalidInput(f"{printable(text)!r} is not a size: write bytes, or one such as 500MB or 1.5GiB.")
    number, unit, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** " kmgt".index((unit or " ").lower()))


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as ``30d``, ``2w`` or ``1d12h``. Raises InvalidInput.

    A month (``mo``) has 30 days and a year (``y``) 365. ``m`` may be minutes or months, and is refused.
    """
    parts = re.findall(r"([0-9]{1,9})([a-z]+)", text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        if all(unit in _UNITS for _number, unit in parts):
            return float(sum(int(number) * _UNITS[unit] for number, unit in parts))
        number = next((number for number, unit in parts if unit == "m"), None)
        if number:
            raise InvalidInput(
                f"{printable(text)!r} may be minutes or months: write {number}min or {number}mo."
            )
    raise InvalidInput(
        f"{printable(text)!r} is not a duration: write one such as 30d, 12h, 2w, 6mo or 1y. The units are"
        f" {', '.join(_UNITS)}."
    )


def duration_text(seconds: float) -> str:
    """Return a duration in words, such as ``6 days``, in the largest unit that it is a multiple of or has two of."""
    units = (unit for unit in _SHOWN_UNITS if seconds >= 2 * unit[1] or seconds == unit[1])
    name, size = next(units, _SHOWN_UNITS[-1])
    count = int(seconds // size)
    return f"{count} {name}" + ("" if count == 1 else "s")


def parse_time(text: t.Any) -> float | None:
    """Return a time as in RFC 3339, section 5.6, in seconds since 1970, or None where it is none.

    Fractions of a second are dropped.
    """
    match = _TIME.match(text) if isinstance(text, str) else None
    if not match:
        return None
    zone = match.group(7)
    offset = timedelta()
    if zone not in "Zz":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
    try:
        moment = datetime(*(int(part) for part in match.groups()[:6]), tzinfo=timezone.utc)  # type: ignore[misc,arg-type]
        return (moment - offset).timestamp()
    except (ValueError, OverflowError):
        return None


def known_age(created: float | None, now: float) -> float | None:
    """Return the age in seconds, or None where the date is missing or cannot be true: before 2013, or in the future.

    ``created`` and ``now`` are in seconds since 1970.
    """
    if created is None or created < _FIRST_TIME or created > now + _FUTURE_TOLERANCE:
        return None
    return max(0.0, now - created)
