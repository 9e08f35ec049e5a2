# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry that misbehaves on demand, for what real registries will not do."""

from __future__ import annotations

from .profiles import PROFILES
from .server import BEHAVIOURS, HostileRegistry, Request

__all__ = ["BEHAVIOURS", "PROFILES", "HostileRegistry", "Request"]
