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
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*(?:([kmgt])(i?))?b?\Z", re.IGNORECASE)
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d+)?([Zz]|[+-]\d\d:?\d\d)\Z")


def parse_size(text: str) -> int:
    """Return the bytes of a size such as ``500MB`` (powers of 1000) or ``1.5 GiB`` (of 1024). Raises InvalidInput."""
    found = _SIZE.match(text.strip())
    if not found:
        raise InvalidInput(f"{printable(text)!r} is not a size: write bytes, or one such as 500MB or 1.5GiB.")
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " kmgt".index((unit or " ").lower()))


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as ``30d``, ``2w`` or ``1d12h``. Raises InvalidInput."""
    parts = re.findall(r"([0-9]{1,9})([a-z])", text)
    if (
        not parts
        or "".join(number + unit for number, unit in parts) != text
        or any(u not in _UNITS for _n, u in parts)
    ):
        raise InvalidInput(f"{printable(text)!r} is not a duration: write one such as 30d, 12h, 2w or 1y.")
    return float(sum(int(number) * _UNITS[unit] for number, unit in parts))


def parse_time(text: t.Any) -> float | None:
    """Return an RFC 3339 time in seconds since 1970, or None where it is none. Fractions of a second are dropped."""
    found = _TIME.match(text) if isinstance(text, str) else None
    if not found:
        return None
    zone = found.group(7)
    offset = timedelta()
    if zone not in "Zz":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
    try:
        moment = datetime(*(int(part) for part in found.groups()[:6]), tzinfo=timezone.utc)  # type: ignore[misc,arg-type]
        return (moment - offset).timestamp()
    except (ValueError, OverflowError):
        return None


def known_age(created: float | None, now: float) -> float | None:
    """Return the age in seconds, or None where the date is missing or cannot be true: an epoch, or the future."""
    if created is None or created < _FIRST_TIME or created > now + _FUTURE_TOLERANCE:
        return None
    return max(0.0, now - created)
