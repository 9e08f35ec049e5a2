# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains that somebody owns, whose hosts may share credentials, and the suffixes that many share."""

from __future__ import annotations

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._http.public_suffixes import is_domain


@pytest.mark.parametrize("name", ["example.com", "EXAMPLE.com.", "a.b.example.co.uk", "my-shop.github.io"])
def test_domains(name: str) -> None:
    assert is_domain(name)


@pytest.mark.parametrize(
    "name",
    [
        "com",
        "localhost",
        "co.uk",
        "com.au",
        "github.io",
        "GitHub.io.",
        "svc.cluster.local",
        "10.0.0.1",
        "::1",
        "2001:db8::1",
    ],
)
def test_what_nobody_owns_alone(name: str) -> None:
    assert not is_domain(name)
