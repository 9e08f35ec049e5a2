# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A library that is too old gets a sentence."""

from __future__ import annotations

import types

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._http.library_versions import too_old


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (
            "1.22",
            "urllib3 1.22 is too old: 1.23 or newer is needed, which comes with requests 2.19.1.",
        ),
        ("1.9", "urllib3 1.9 is too old: 1.23 or newer is needed, which comes with requests 2.19.1."),
        ("1.23", None),
        ("1.24.dev0", None),
        ("2.5.0", None),
        ("10.0a1", None),
    ],
)
def test_libraries_that_are_too_old(version: str, expected: str | None) -> None:
    module = types.ModuleType("urllib3")
    module.__version__ = version  # type: ignore[attr-defined]
    assert too_old(module) == expected
