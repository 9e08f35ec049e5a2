# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A library that is too old gets a sentence."""

from __future__ import annotations

import types

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._http.library_versions import too_old


@pytest.mark.parametrize(
    ("requests", "urllib3", "says"),
    [
        ("2.18.4", "1.22", "requests 2.18.4 is too old: 2.19.1 or newer is needed."),
        ("2.19.1", "1.22", "urllib3 1.22 is too old: 1.23 or newer is needed."),
        ("2.9", "1.23", "requests 2.9 is too old"),
        ("2.19.1", "1.23", None),
        ("2.20.dev0", "1.24.3", None),
        ("2.34.0", "2.5.0", None),
        ("3.0.0a1", "10.0", None),
    ],
)
def test_libraries_that_are_too_old(requests: str, urllib3: str, says: str | None) -> None:
    modules = []
    for name, version in (("requests", requests), ("urllib3", urllib3)):
        module = types.ModuleType(name)
        module.__version__ = version  # type: ignore[attr-defined]
        modules.append(module)
    sentence = too_old(*modules)
    assert sentence is None if says is None else says in str(sentence)
