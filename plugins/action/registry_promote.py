# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs registry_promote in the worker process where a task targets the controller; all modules do this in the same way."""

from __future__ import annotations

# The parent process of Ansible loads this file once, and workers inherit the module.
from ansible_collections.ocikit.registry.plugins.modules import registry_promote
from ansible_collections.ocikit.registry.plugins.plugin_utils._in_process import ActionModule

__all__ = ["ActionModule", "registry_promote"]
