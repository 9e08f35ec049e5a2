# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tags point to: read once, and a tag that cannot be read does not hide the others."""

from __future__ import annotations

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._deletion.tag_states import read_tags
from ansible_collections.ocikit.registry.plugins.module_utils._errors import Denied
from tests.hostile import HostileRegistry
from tests.unit.removing import ONE, STATE, TWO, Connect, repository_at, seeded


@pytest.mark.parametrize("fetch", [False, True])
def test_tags_and_their_manifests(connect: Connect, fetch: bool) -> None:
    with HostileRegistry() as server:
        seeded(server)
        states = read_tags(repository_at(connect, server), [*STATE, "absent"], fetch)
        assert {tag: descriptor.digest for tag, descriptor in states.descriptors.items()} == STATE
        assert (dict(states.unreadable), set(states.dangling)) == ({}, set())
        assert set(states.manifests) == ({ONE.digest, TWO.digest} if fetch else set())
        assert server.count("tags/list") == 1


def test_a_listed_tag_without_a_manifest_dangles(connect: Connect) -> None:
    with HostileRegistry(digest_delete="dangling") as server:
        seeded(server)
        repository = repository_at(connect, server)
        repository.delete(TWO.digest)
        states = read_tags(repository, ["1", "2", "absent"])
        assert set(states.descriptors) == {"1"}
        assert states.dangling == {"2"}


@pytest.mark.parametrize("fetch", [False, True])
def test_a_failure_of_one_tag_is_no_failure_of_all(connect: Connect, fetch: bool) -> None:
    with HostileRegistry(fail_first=-1, fail_status=500, fail_on="/manifests/1.0$") as server:
        seeded(server)
        states = read_tags(repository_at(connect, server), STATE, fetch)
        assert set(states.descriptors) == set(STATE) - {"1.0"}
        assert {tag: error.kind for tag, error in states.unreadable.items()} == {"1.0": "server"}


def test_missing_rights_end_it(connect: Connect) -> None:
    with HostileRegistry(fail_first=-1, fail_status=403, fail_on="/manifests/") as server:
        seeded(server)
        with pytest.raises(Denied):
            read_tags(repository_at(connect, server), STATE)
