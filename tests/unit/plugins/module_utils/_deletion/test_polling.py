# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads lag behind writes: looked at again before it is said that something stayed."""

from __future__ import annotations

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils import _parallel
from ansible_collections.ocikit.registry.plugins.module_utils._deletion.polling import (
    check_gone,
    poll_for,
    settle,
    wait_until_gone,
)
from ansible_collections.ocikit.registry.plugins.module_utils._deletion.removal import TagMoved, TagRemoval
from ansible_collections.ocikit.registry.plugins.module_utils._errors import Unsupported
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor
from tests.hostile import HostileRegistry
from tests.unit.removing import DIGEST_DELETES, ONE, TWO, Connect, meanwhile, repository_at, seeded


def removal(tag: str = "1") -> TagRemoval:
    return TagRemoval(tag, Descriptor(ONE.media_type, ONE.digest, 1), method="name")


@pytest.mark.parametrize("at_once", [True, False])
def test_a_tag_is_seen_where_it_is(connect: Connect, at_once: bool) -> None:
    with HostileRegistry() as server:
        seeded(server)
        repository = repository_at(connect, server)
        assert poll_for(repository, "1", ONE.digest, at_once)
        # The last look counts where a write may still show what was there before.
        assert server.count("^HEAD") == (1 if at_once else 4)
        assert not poll_for(repository, "1", TWO.digest, at_once)


def test_a_look_that_fails_sees_nothing(connect: Connect) -> None:
    with HostileRegistry(fail_first=2, fail_status=403, fail_on="/manifests/1") as server:
        seeded(server)
        assert poll_for(repository_at(connect, server), "1", ONE.digest)


def test_what_lags_is_waited_for(connect: Connect) -> None:
    with HostileRegistry(read_lag=1) as server:
        seeded(server)
        repository = repository_at(connect, server)
        repository.delete("1")
        assert wait_until_gone(repository, ["1"]) == []
        assert wait_until_gone(repository, ["latest", TWO.digest]) == ["latest", TWO.digest]


def test_what_is_gone_at_the_first_look_is_not_waited_for(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(_parallel, "sleep", pauses.append)
    with HostileRegistry() as server:
        seeded(server)
        repository = repository_at(connect, server)
        repository.delete("1")
        assert wait_until_gone(repository, ["1"]) == []
        assert sum(pauses) == 0
        assert wait_until_gone(repository, ["latest"]) == ["latest"]
        assert sum(pauses) > 0


def test_a_tag_that_is_listed_without_a_manifest_is_left(connect: Connect) -> None:
    with HostileRegistry(digest_delete="dangling") as server:
        seeded(server, {"1": ONE})
        repository = repository_at(connect, server)
        repository.delete(ONE.digest)
        assert wait_until_gone(repository, ["1"]) == ["1"]
        server.requests.clear()
        assert wait_until_gone(repository, ["1"], may_dangle=False) == []
        assert server.count("tags/list") == 0


def test_a_tag_that_stays_is_no_removed_tag(connect: Connect) -> None:
    with HostileRegistry() as server:
        seeded(server)
        one = removal()
        with pytest.raises(Unsupported, match="accepted the deletion but still serves or lists 1"):
            check_gone(repository_at(connect, server), [one, removal("gone")])
        assert one.method is None


def test_a_tag_that_was_pushed_again_is_told(connect: Connect) -> None:
    with HostileRegistry() as server:
        seeded(server, {"1": TWO})
        repository = repository_at(connect, server)
        with pytest.raises(TagMoved, match=f"a/b:1 was pushed again, as {TWO.digest}, while it was removed"):
            check_gone(repository, [removal()])
        with pytest.raises(Unsupported):
            check_gone(repository, [removal()], TWO.digest)


def test_what_an_unanswered_request_did_is_looked_up(connect: Connect) -> None:
    with HostileRegistry() as server:
        seeded(server, {"1": ONE})
        gone, stayed, never = removal("gone"), removal("1"), removal("2")
        for one in (gone, stayed, never):
            one.method = None
        gone.attempt = stayed.attempt = "manifest"
        settle(repository_at(connect, server), [gone, stayed, never])
        assert [one.method for one in (gone, stayed, never)] == ["manifest", None, None]
        assert [one.attempt for one in (gone, stayed, never)] == [None, None, None]
        assert server.count(DIGEST_DELETES) == 0


def test_a_deletion_that_comes_late_is_seen(connect: Connect) -> None:
    with HostileRegistry() as server:
        tags = seeded(server, {"1": ONE})
        meanwhile(server, "^HEAD .*/1$", lambda: tags.pop("1"), count=3)
        check_gone(repository_at(connect, server), [removal()])
        assert tags == {}
