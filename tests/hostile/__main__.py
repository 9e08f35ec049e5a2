# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists the behaviours of the hostile registry, and its profiles: ``python -m tests.hostile``."""

from __future__ import annotations

from .profiles import PROFILES
from .server import BEHAVIOURS

if __name__ == "__main__":
    for name, (default, description) in BEHAVIOURS.items():
        print(f"{name}={default!r}\n    {description}")
    for name, profile in PROFILES.items():
        print(f"\nvendor({name!r}): {profile.title}")
        for quirk in profile.quirks:
            switches = "".join(f", {switch}={value!r}" for switch, value in quirk.switches.items())
            print(f"    {quirk.text} ({quirk.known}{switches})")
