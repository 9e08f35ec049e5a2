# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin of all modules of this collection: meta/runtime.yml leads the others here.

It is named after one of them, as Ansible documents an action plugin by the module of its name.
"""

from __future__ import annotations

from ansible_collections.ocikit.registry.plugins.plugin_utils._in_process import ActionModule

__all__ = ["ActionModule"]
