# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What a module's function works with. It knows no AnsibleModule, so that lookups, tests and runners can make one."""

from __future__ import annotations

import typing as t

from .connection import RegistryClients


class ModuleContext:
    """Parameters, check mode, the registries, and a way to warn."""

    def __init__(self, params: t.Mapping[str, t.Any], check_mode: bool, clients: RegistryClients) -> None:
        self.params = params
        self.check_mode = check_mode
        self.clients = clients

    def warn(self, text: str) -> None:
        """Warn the user; secrets are masked."""
        self.clients.warn(text)
