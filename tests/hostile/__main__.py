# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists the behaviours of the hostile registry: ``python -m tests.hostile``."""

from __future__ import annotations

from .server import BEHAVIOURS

if __name__ == "__main__":
    for name, (default, description) in BEHAVIOURS.items():
        print(f"{name}={default!r}\n    {description}")
