# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The oldest versions of libraries that connections work with."""

from __future__ import annotations

import re
import types

# As they are shown to users, who install requests; urllib3 comes with it.
OLDEST_REQUESTS = "2.19.1"
_OLDEST_URLLIB3 = "1.23"


def too_old(requests: types.ModuleType, urllib3: types.ModuleType) -> str | None:
    """Return a sentence where one of these libraries is too old to be used, None where both are new enough."""
    for library, oldest in ((requests, OLDEST_REQUESTS), (urllib3, _OLDEST_URLLIB3)):
        if _numbers(library.__version__) < _numbers(oldest):
            return f"{library.__name__} {library.__version__} is too old: {oldest} or newer is needed."
    return None


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]+", version)[:3]]
