# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that a registry deletes with their last tag are stored again, what an index needs before it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._registry.dropped import (
    put_back_dropped,
    read_images,
    read_manifests,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.repository import Repository
from tests.hostile import HostileRegistry
from tests.registries import images

Connect = t.Callable[..., t.Tuple[RegistryClients, t.Any]]
ONE, TWO = images.image({"file": "one"}), images.image({"file": "two"})
INDEX = images.index([ONE, TWO])
ABSENT = "sha256:" + "0" * 64


@pytest.fixture
def server() -> t.Iterator[HostileRegistry]:
    with HostileRegistry() as server:
        server.add("a/b", INDEX, "all")
        yield server


@pytest.fixture
def repository(connect: Connect, server: HostileRegistry) -> Repository:
    clients, _client = connect(server.url, retries=0)
    return clients.repository_of(clients.repository("a/b"))


def test_what_exists_is_read(repository: Repository) -> None:
    assert set(read_manifests(repository, [ONE.digest, ABSENT])) == {ONE.digest}
    assert set(read_manifests(repository, [INDEX.digest])) == {INDEX.digest}


def test_images_come_before_the_index_that_needs_them(repository: Repository) -> None:
    order = list(read_images(repository, [INDEX.digest, ABSENT]))
    assert sorted(order[:2]) == sorted([ONE.digest, TWO.digest])
    assert order[2:] == [INDEX.digest]


def test_what_cannot_be_read_is_left_out(server: HostileRegistry, repository: Repository) -> None:
    server.behaviour.fail_on, server.behaviour.fail_first = f"/manifests/{ONE.digest}", -1
    server.behaviour.fail_status = 500
    assert set(read_images(repository, [INDEX.digest])) == {TWO.digest, INDEX.digest}


def test_nothing_is_sent_where_nothing_was_dropped(server: HostileRegistry, repository: Repository) -> None:
    manifests = read_images(repository, [INDEX.digest])
    server.requests.clear()
    assert put_back_dropped(repository, manifests, pytest.fail) == []
    assert [request.method for request in server.requests] == ["HEAD"]


def test_what_was_dropped_is_stored_again(server: HostileRegistry, repository: Repository) -> None:
    manifests = read_images(repository, [INDEX.digest])
    stored = server.repositories["a/b"].manifests
    for digest in (INDEX.digest, ONE.digest):
        del stored[digest]
    assert sorted(put_back_dropped(repository, manifests, pytest.fail)) == sorted([INDEX.digest, ONE.digest])
    assert {ONE.digest, TWO.digest, INDEX.digest} <= set(stored)


def test_what_cannot_be_stored_again_is_warned_about(server: HostileRegistry, repository: Repository) -> None:
    manifests = read_images(repository, [ONE.digest])
    del server.repositories["a/b"].manifests[ONE.digest]
    server.behaviour.fail_on, server.behaviour.fail_first = "^PUT", -1
    server.behaviour.fail_status = 403
    warnings: list[str] = []
    put_back_dropped(repository, manifests, warnings.append)
    (warning,) = warnings
    assert f"a/b@{ONE.digest} is gone with its last tag" in warning
