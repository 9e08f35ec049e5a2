# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A digest is deleted with its tags, in the way that the registry takes."""

from __future__ import annotations

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._deletion.digest import (
    DigestDeleter,
    check_deletable,
    try_delete,
)
from ansible_collections.ocikit.registry.plugins.module_utils._deletion.removal import TagRemoval
from ansible_collections.ocikit.registry.plugins.module_utils._errors import Denied, Refused, Unsupported
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor, Manifest
from tests.hostile import HostileRegistry
from tests.unit.removing import DIGEST_DELETES, ONE, STATE, TWO, Connect, repository_at, seeded

MANIFEST = Manifest.parse(ONE.raw, ONE.media_type)


def removals() -> list[TagRemoval]:
    descriptor = Descriptor(ONE.media_type, ONE.digest, len(ONE.raw))
    return [TagRemoval(tag, descriptor) for tag, digest in STATE.items() if digest == ONE.digest]


def test_deletion_that_is_allowed_is_found_out_without_a_change(connect: Connect) -> None:
    with HostileRegistry() as server:
        seeded(server)
        check_deletable(repository_at(connect, server))
        assert server.repositories["a/b"].tags == STATE


def test_deletion_that_is_switched_off_is_told_with_what_follows(connect: Connect) -> None:
    with HostileRegistry(digest_delete="405") as server:
        seeded(server)
        with pytest.raises(
            Unsupported, match="does not allow deletion, so all stays. On distribution"
        ) as caught:
            check_deletable(repository_at(connect, server), "all stays")
        assert caught.value.to_dict()["method"] == "DELETE"


@pytest.mark.parametrize("behaviour", ["202", "400tagged", "403tagged", "untag", "dangling", "keep-tags"])
def test_a_digest_goes_with_its_tags_and_nothing_else(connect: Connect, behaviour: str) -> None:
    with HostileRegistry(digest_delete=behaviour) as server:
        tags = seeded(server)
        repository = repository_at(connect, server)
        named = removals()
        assert DigestDeleter(repository).try_delete(ONE.digest, named, manifest=MANIFEST) is None
        assert tags == {"2": TWO.digest}
        assert repository.find_manifest(ONE.digest) is None
        assert {removal.attempt for removal in named} == {"manifest"}


def test_what_the_first_digest_showed_saves_requests_for_the_next(connect: Connect) -> None:
    with HostileRegistry(digest_delete="400tagged") as server:
        seeded(server)
        deleter = DigestDeleter(repository_at(connect, server))
        deleter.try_delete(ONE.digest, removals(), manifest=MANIFEST)
        server.requests.clear()
        two = TagRemoval("2", Descriptor(TWO.media_type, TWO.digest, len(TWO.raw)))
        assert deleter.try_delete(TWO.digest, [two]) is None
        assert server.count(DIGEST_DELETES) == 1


def test_tags_that_stay_whatever_is_done_keep_their_image(connect: Connect) -> None:
    with HostileRegistry(digest_delete="dangling", tag_delete="405") as server:
        tags = seeded(server)
        error = DigestDeleter(repository_at(connect, server)).try_delete(
            ONE.digest, removals(), manifest=MANIFEST
        )
        assert error and "does not delete tags along with" in str(error)
        assert tags == STATE
        assert ONE.digest in server.repositories["a/b"].manifests


def test_a_tag_that_moved_is_left_alone(connect: Connect) -> None:
    with HostileRegistry(digest_delete="400tagged") as server:
        tags = seeded(server)
        tags["1.0"] = TWO.digest
        assert DigestDeleter(repository_at(connect, server)).try_delete(ONE.digest, removals()) is None
        assert tags == {"1.0": TWO.digest, "2": TWO.digest}


def test_a_guard_forbids_each_request(connect: Connect) -> None:
    def guard() -> None:
        raise Refused("It is needed again.")

    with HostileRegistry() as server:
        seeded(server)
        with pytest.raises(Refused, match="needed again"):
            DigestDeleter(repository_at(connect, server)).try_delete(ONE.digest, removals(), guard)
        assert server.count("^DELETE") == 0


def test_refusals_are_returned_and_missing_rights_too(connect: Connect) -> None:
    with HostileRegistry(digest_delete="403used") as server:
        seeded(server)
        repository = repository_at(connect, server)
        error = try_delete(repository, ONE.digest)
        assert isinstance(error, Denied)
        assert try_delete(repository, "gone") is None
