# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates the copies of example files in README.md and in the guides."""

from __future__ import annotations

from . import PAGES, update

if __name__ == "__main__":
    for page in PAGES:
        update(page)
