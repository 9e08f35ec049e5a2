# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What RateLimit-* headers say."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._http.rate_limits import (
    RateLimit,
    read_rate_limit,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from tests.hostile import HostileRegistry
from tests.registries import images

NOW = 1_800_000_000.0
IMAGE = images.image({"a": "1"})


@pytest.mark.parametrize(
    ("headers", "limit"),
    [
        ({}, None),
        ({"RateLimit-Limit": "100;w=21600"}, None),
        ({"RateLimit-Remaining": "many"}, None),
        ({"RateLimit-Remaining": "-1"}, None),
        (
            {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "76;w=21600"},
            RateLimit(76, 100, 21600.0),
        ),
        ({"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "0"}, RateLimit(0, 100, 60.0)),
        ({"RateLimit-Remaining": "5"}, RateLimit(5, None, None)),
        ({"RateLimit-Remaining": "5", "RateLimit-Reset": "30"}, RateLimit(5, None, 30.0)),
        ({"RateLimit-Remaining": "5", "RateLimit-Reset": "1800000090"}, RateLimit(5, None, 90.0)),
        ({"RateLimit-Remaining": "5", "RateLimit-Reset": "1700000000"}, RateLimit(5, None, 0.0)),
    ],
)
def test_headers_are_read(headers: dict[str, str], limit: RateLimit | None) -> None:
    assert read_rate_limit(headers, NOW) == limit


def test_a_client_knows_what_the_registry_said_last(
    connect: t.Callable[..., tuple[object, RegistryClient]],
) -> None:
    headers = {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "76;w=21600"}
    with HostileRegistry(headers=headers) as server:
        server.add("a/b", IMAGE, "1")
        _connection, client = connect(server.url)
        said = [client.rate_limit]
        client.resolve("a/b", "1")
        said.append(client.rate_limit)
        server.behaviour.headers = None
        client.resolve("a/b", "1")
        said.append(client.rate_limit)
        assert said == [None, RateLimit(76, 100, 21600), RateLimit(76, 100, 21600)]
