# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The oldest versions of libraries that connections work with."""

from __future__ import annotations

import re
import sys
import types

# As they are shown to users, who install requests; urllib3 comes with it.
OLDEST_REQUESTS = "2.19.1"
_OLDEST_URLLIB3 = "1.23"


def too_old(urllib3: types.ModuleType) -> str | None:
    """Return a sentence where the library is too old to be used, None where it is new enough."""
    if _numbers(urllib3.__version__) < _numbers(_OLDEST_URLLIB3):
        return (
            f"urllib3 {urllib3.__version__} is too old: {_OLDEST_URLLIB3} or newer is needed, which comes with requests"
            f" {OLDEST_REQUESTS}."
        )
    return None


def missing_library() -> str:
    """Return what to do where the libraries that connections need are missing or too old."""
    return f"The Python library requests is missing or older than {OLDEST_REQUESTS}: install it for {sys.executable}."


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]+", version)[:3]]
