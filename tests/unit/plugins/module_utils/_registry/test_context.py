# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module's function works with, without an AnsibleModule."""

from __future__ import annotations

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._registry.context import ModuleContext


def test_warnings_are_masked_and_one_line(connect: t.Any, events: t.Any) -> None:
    clients, _client = connect("http://127.0.0.1:1", username="alice", password="s3cret-word")
    ModuleContext({}, False, clients).warn("It says\ns3cret-word.")
    (warning,) = events.warnings
    assert "s3cret-word" not in warning and "\n" not in warning and warning.startswith("It says ")


def test_attributes_are_set_by_whoever_runs_the_task(connect: t.Any) -> None:
    clients: RegistryClients = connect("http://127.0.0.1:1")[0]
    asked: list[tuple[str, t.Mapping[str, t.Any]]] = []

    def set_attributes(path: str, attributes: t.Mapping[str, t.Any]) -> bool:
        asked.append((path, attributes))
        return True

    context = ModuleContext({}, True, clients, set_attributes)
    assert context.set_attributes("/srv/x", {"mode": "0600"}) is True
    assert asked == [("/srv/x", {"mode": "0600"})]
    assert ModuleContext({}, False, clients).set_attributes("/srv/x", {"mode": "0600"}) is False
