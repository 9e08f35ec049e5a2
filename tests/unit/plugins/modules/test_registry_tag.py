# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_tag as a task calls it. What it writes is tested in ``_transfer/test_tagging.py``."""

from __future__ import annotations

import sys
import typing as t

import pytest
import requests
import requests.adapters

from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_tag
from tests.registries import Registry, images
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]
ONE = images.image({"file": "one"})


def frames() -> list[str]:
    """Return the functions of ``plugins`` that the caller is called by, the innermost first."""
    functions = []
    frame = sys._getframe(1)
    while frame.f_back:
        frame = frame.f_back
        if frame.f_globals.get("__name__", "").startswith("ansible_collections.ocikit.registry.plugins."):
            functions.append(frame.f_code.co_name)
    return functions


def test_few_layers_stand_between_the_module_and_each_request(
    connect: Connect, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """main() and run(), which this test does without, are two more: 9 in all."""
    images.push(registry.url, "layers/app", ONE, "1")
    clients, _client = connect(registry.url)
    sent: list[tuple[str, list[str]]] = []
    send = requests.adapters.HTTPAdapter.send

    def record(adapter: t.Any, request: requests.PreparedRequest, *args: t.Any, **kwargs: t.Any) -> t.Any:
        sent.append((str(request.method), frames()))
        return send(adapter, request, *args, **kwargs)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", record)
    task(registry_tag, clients, image="layers/app:1", tags=["stable"])
    assert [method for method, _functions in sent] == ["HEAD", "HEAD", "GET", "PUT"]
    for method, functions in sent:
        assert len(functions) <= 7, f"{method} is sent by {' < '.join(functions)}"
