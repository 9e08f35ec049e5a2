# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which blobs a repository has, and how large they are."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_blob_info
from tests.hostile import HostileRegistry
from tests.registries import Registry, images
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]
LAYER = images.layer({"big.bin": bytes(range(256)) * 4096}, compression="")
IMAGE = images.image([LAYER])
LAYER_DIGEST = images.digest(LAYER.data)
CONFIG_DIGEST = next(digest for digest in IMAGE.blobs if digest != LAYER_DIGEST)
ABSENT = "sha256:" + "0" * 64


def info(clients: RegistryClients, image: str, digests: list[str]) -> dict[str, t.Any]:
    return task(registry_blob_info, clients, image=image, digests=digests)


def test_info(connect: Connect, registry: Registry) -> None:
    images.push(registry.url, "info/b", IMAGE)
    connection, _client = connect(registry.url)
    registry.clear_requests()
    digests = [LAYER_DIGEST, ABSENT, CONFIG_DIGEST, LAYER_DIGEST]
    result = info(connection, "info/b", digests)
    config_size = len(IMAGE.blobs[CONFIG_DIGEST])
    assert result == {
        "changed": False,
        "repository": f"{registry.host}/info/b",
        "blobs": [
            {"digest": LAYER_DIGEST, "exists": True, "size": len(LAYER.data)},
            {"digest": ABSENT, "exists": False, "size": None},
            {"digest": CONFIG_DIGEST, "exists": True, "size": config_size},
        ],
        "missing": [ABSENT],
        "total_size": len(LAYER.data) + config_size,
    }
    assert sorted((method, status) for method, _path, status in registry.requests()) == [
        ("HEAD", 200),
        ("HEAD", 200),
        ("HEAD", 404),
    ]


def test_info_of_an_unknown_repository_and_of_nothing(connect: Connect, registry: Registry) -> None:
    connection, _client = connect(registry.url)
    result = info(connection, "info/nowhere", [ABSENT])
    assert (result["missing"], result["total_size"]) == ([ABSENT], 0)
    result = info(connection, "info/nowhere", [])
    assert (result["blobs"], result["total_size"]) == ([], 0)


def test_size_where_storage_refuses_head(connect: Connect) -> None:
    with HostileRegistry(fail_first=-1, fail_status=403, fail_on="^HEAD /v2/a/b/blobs/") as server:
        server.add("a/b", IMAGE)
        connection, _client = connect(server.url)
        result = info(connection, "a/b", [LAYER_DIGEST, ABSENT])
        assert [entry["size"] for entry in result["blobs"]] == [len(LAYER.data), None]


def test_what_is_no_registry_has_no_missing_blobs(connect: Connect, registry: Registry) -> None:
    connection, _client = connect(f"{registry.url}/no-registry-here")
    with pytest.raises(RegistryError, match="not that of a registry's API"):
        info(connection, "a/b", [ABSENT])


@pytest.mark.parametrize("digest", ["", "latest", "sha256:abc", "sha256:" + "A" * 64, "md5:" + "0" * 32])
def test_bad_digest(connect: Connect, digest: str) -> None:
    with HostileRegistry() as server:
        connection, _client = connect(server.url)
        with pytest.raises(InvalidInput, match="is not a valid digest"):
            info(connection, "a/b", [digest])
        assert server.requests == []
