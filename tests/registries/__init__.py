# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real registries on the loopback interface, and real images to put into them.

Nothing here imports the collection: this package is the independent check of it.
"""

from __future__ import annotations

from .binary import ToolMissing, find_registry, find_tool
from .kinds import chosen_kind
from .server import OptionMissing, Registry, RegistryFailed
from .traits import TRAITS, samples, stored, traits

__all__ = [
    "OptionMissing",
    "Registry",
    "RegistryFailed",
    "TRAITS",
    "ToolMissing",
    "chosen_kind",
    "find_registry",
    "find_tool",
    "samples",
    "stored",
    "traits",
]
