# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tag is looked at again before every request that removes it; what was done is read after every failure."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    Refused,
    RegistryError,
    ServerFault,
    Unreachable,
    Unsupported,
)
from tests.hostile import HostileRegistry, Request
from tests.registries import Registry, images
from tests.unit.removing import (
    AFTER,
    CHILD,
    DIGEST_DELETES,
    DOCKER,
    ONE,
    PUTS,
    STATE,
    TWO,
    Connect,
    meanwhile,
    rm,
    seeded,
)

LIMITED = {"fail_first": 1, "fail_status": 429, "retry_after": "0"}
BUSY = {"fail_first": 1, "fail_status": 503}
RESET = {"drop_first": 1}
LOST = {"drop_first": 1, "drop_when": "after"}


def faulty(pattern: str, fault: dict[str, t.Any], **more: t.Any) -> HostileRegistry:
    """Return a server with a fault at the first request that matches ``pattern``."""
    return HostileRegistry(**fault, fail_on=pattern, drop_on=pattern, **more)


# Before a request is repeated


@pytest.mark.parametrize("fault", [LIMITED, BUSY, RESET, LOST])
def test_a_tag_that_is_pushed_before_its_deletion_is_repeated_stays(
    connect: Connect, fault: dict[str, t.Any]
) -> None:
    with faulty("^DELETE .*/manifests/1$", fault) as server:
        tags = seeded(server)
        meanwhile(server, "^HEAD .*/manifests/1$", lambda: server.add("a/b", TWO, "1"), count=2)
        with pytest.raises(Refused, match=f"moved from {ONE.digest} to {TWO.digest} .*: it is left alone"):
            rm(connect, server.url, "1", retries=3)
        assert tags == {**STATE, "1": TWO.digest}


@pytest.mark.parametrize("fault", [LIMITED, BUSY, RESET, LOST])
def test_a_tag_that_is_pushed_before_the_placeholder_is_sent_again_stays(
    connect: Connect, fault: dict[str, t.Any]
) -> None:
    with faulty("^PUT .*/manifests/1$", fault, tag_delete="400") as server:
        tags = seeded(server)
        meanwhile(server, "^HEAD .*/manifests/1$", lambda: server.add("a/b", TWO, "1"), count=2)
        with pytest.raises(Refused, match=f"moved from {ONE.digest} to {TWO.digest}"):
            rm(connect, server.url, "1", "2", retries=3)
        assert tags == {**STATE, "1": TWO.digest}


@pytest.mark.parametrize("fault", [LIMITED, BUSY, LOST])
def test_a_placeholder_that_arrived_is_no_other_image(connect: Connect, fault: dict[str, t.Any]) -> None:
    with faulty("^PUT .*/manifests/1$", fault, tag_delete="400") as server:
        tags = seeded(server)
        rm(connect, server.url, "1", retries=3)
        assert tags == AFTER


@pytest.mark.parametrize("fault", [LIMITED, BUSY, RESET])
@pytest.mark.parametrize("tag", ["release", "2"])
def test_an_image_that_gets_a_tag_before_its_deletion_is_repeated_stays(
    connect: Connect, fault: dict[str, t.Any], tag: str
) -> None:
    """Be it a new tag, or one that pointed to another image."""
    with faulty(f"^DELETE .*/{ONE.digest}$", fault) as server:
        tags = seeded(server)
        meanwhile(server, f"^DELETE .*/{ONE.digest}$", lambda: server.add("a/b", ONE, tag))
        with pytest.raises(Refused, match=f"{ONE.digest} was tagged {tag} while .*: it is left alone"):
            rm(connect, server.url, "1", "1.0", "latest", strategy="manifest", retries=3)
        assert tags == {**STATE, tag: ONE.digest}


@pytest.mark.parametrize("tag", ["release", "2"])
def test_an_image_that_gets_a_tag_before_its_deletion_stays(connect: Connect, tag: str) -> None:
    with HostileRegistry() as server:
        tags = seeded(server)
        meanwhile(server, "^GET .*/tags/list", lambda: server.add("a/b", ONE, tag), count=2)
        with pytest.raises(Refused, match=f"{ONE.digest} was tagged {tag} while"):
            rm(connect, server.url, "1", "1.0", "latest", strategy="manifest")
        assert tags == {**STATE, tag: ONE.digest}
        assert server.count(f"^DELETE .*/{ONE.digest}") == 0


def test_an_image_that_becomes_part_of_an_index_before_its_deletion_stays(connect: Connect) -> None:
    with HostileRegistry() as server:
        tags = seeded(server)
        outer = images.index([images.index([CHILD, TWO])])
        meanwhile(server, "^GET .*/tags/list", lambda: server.add("a/b", outer, "multi"), count=2)
        with pytest.raises(Refused, match=f"{TWO.digest} is part of the index that multi points to by now"):
            rm(connect, server.url, "2", strategy="manifest")
        assert tags == {**STATE, "multi": outer.digest}


def test_a_tag_that_moves_before_its_image_is_deleted_keeps_both(connect: Connect) -> None:
    with HostileRegistry() as server:
        tags = seeded(server)
        meanwhile(server, "^GET .*/tags/list", lambda: server.add("a/b", TWO, "1.0"), count=2)
        with pytest.raises(Refused, match=f"1.0 moved from {ONE.digest} to {TWO.digest}"):
            rm(connect, server.url, "1", "1.0", "latest", strategy="manifest")
        assert tags == {**STATE, "1.0": TWO.digest}


def test_new_tags_that_cannot_be_read_keep_the_image(connect: Connect) -> None:
    with HostileRegistry(fail_first=-1, fail_status=500, fail_on="/manifests/new$") as server:
        tags = seeded(server)
        meanwhile(server, "^GET .*/tags/list", lambda: server.add("a/b", DOCKER, "new"), count=2)
        with pytest.raises(ServerFault, match="a/b:new cannot be read"):
            rm(connect, server.url, "2", strategy="manifest")
        assert tags == {**STATE, "new": DOCKER.digest}


# After a failure


@pytest.mark.parametrize("strategy, method", [("auto", "tag"), ("tag", "tag"), ("manifest", "manifest")])
def test_a_deletion_whose_answer_is_lost_is_told(connect: Connect, strategy: str, method: str) -> None:
    with faulty("^DELETE .*(/2|sha256:.*)$", LOST) as server:
        tags = seeded(server)
        with pytest.raises(Unreachable) as caught:
            rm(connect, server.url, "2", strategy=strategy)
        assert "2" not in tags
        assert caught.value.result["changed"] is True
        assert [(one["tag"], one["method"]) for one in caught.value.result["removed"]] == [("2", method)]


def test_a_deletion_that_was_not_done_is_not_told(connect: Connect) -> None:
    with faulty("^DELETE .*/2$", RESET) as server:
        tags = seeded(server)
        with pytest.raises(Unreachable) as caught:
            rm(connect, server.url, "1", "2")
        assert tags == AFTER
        assert [one["tag"] for one in caught.value.result["removed"]] == ["1"]


@pytest.mark.parametrize("pattern", [DIGEST_DELETES, "^PUT .*/manifests/1$"])
@pytest.mark.parametrize("strategy", ["auto", "placeholder"])
def test_a_placeholder_whose_answer_is_lost_is_taken_back(
    connect: Connect, pattern: str, strategy: str
) -> None:
    with faulty(pattern, {**LOST, "drop_first": 0}, tag_delete="400") as server:
        tags = seeded(server)

        def lose(request: Request) -> None:
            # Not the request that asks whether anything can be deleted.
            if any(digest not in STATE.values() for digest in tags.values()) or "PUT" in pattern:
                server.behaviour.drop_first = 1

        server.before = lose
        with pytest.raises(Unreachable, match="After this failure all tags were put back and verified"):
            rm(connect, server.url, "1", "2", strategy=strategy)
        assert tags == STATE


@pytest.mark.parametrize("strategy", ["auto", "manifest"])
def test_what_cannot_be_looked_up_after_a_failure_is_said(connect: Connect, strategy: str) -> None:
    pattern = "^DELETE .*(/2|sha256:.*)$"
    with faulty(pattern, LOST) as server:
        seeded(server)

        def fail() -> None:
            server.behaviour.fail_first, server.behaviour.fail_on = -1, "^(GET|HEAD) "

        meanwhile(server, pattern, fail)
        with pytest.raises(Unreachable, match="What became of 2 could not be looked up.$") as caught:
            rm(connect, server.url, "2", strategy=strategy)
        assert caught.value.result == {"changed": True, "removed": []}


def test_what_went_with_a_tag_is_put_back_also_where_the_answer_is_lost(connect: Connect) -> None:
    with faulty("^DELETE .*/1$", LOST, tag_delete="digest") as server:
        tags = seeded(server)
        with pytest.raises(Unsupported, match="tags that were not named along .*put back: 1.0, latest"):
            rm(connect, server.url, "1")
        assert tags == AFTER
    with faulty("^DELETE .*/2$", LOST, last_tag="drop") as server:
        tags = seeded(server)
        with pytest.raises(Unreachable):
            rm(connect, server.url, "2")
        assert "2" not in tags and TWO.digest in server.repositories["a/b"].manifests


# Reads that lag behind writes


@pytest.mark.parametrize("tag_delete", ["202", "400"])
def test_a_removal_where_reads_lag(connect: Connect, tag_delete: str) -> None:
    with HostileRegistry(tag_delete=tag_delete, read_lag=2) as server:
        tags = seeded(server)
        rm(connect, server.url, "1")
        assert tags == AFTER


def test_a_roll_back_where_reads_lag_writes_the_image_whatever_they_show(connect: Connect) -> None:
    """The first look after the placeholder was written still shows the image, as if nothing had to be done."""
    with HostileRegistry(tag_delete="400", digest_delete="500", read_lag=3) as server:
        tags = seeded(server)
        with pytest.raises(ServerFault, match="After this failure all tags were put back and verified"):
            rm(connect, server.url, "1", "2")
        assert tags == STATE


def test_a_roll_back_that_no_read_confirms_is_not_called_verified(connect: Connect) -> None:
    with HostileRegistry(tag_delete="400", digest_delete="500", read_lag=50) as server:
        tags = seeded(server)
        meanwhile(server, f"{PUTS}1$", lambda: setattr(server.behaviour, "read_lag", 50), count=2)
        with pytest.raises(ServerFault) as caught:
            rm(connect, server.url, "1")
        assert tags == STATE
        assert f"no read confirms what was put back: 1 ({ONE.digest})" in str(caught.value)
        assert "verified" not in str(caught.value)


def test_a_roll_back_whose_answer_is_lost_counts_once_reads_have_caught_up(connect: Connect) -> None:
    with HostileRegistry(tag_delete="400", digest_delete="500") as server:
        tags = seeded(server)

        def fail() -> None:
            server.behaviour.fail_first, server.behaviour.fail_on = -1, f"{PUTS}1$"
            server.behaviour.fail_status = 500

        meanwhile(server, DIGEST_DELETES, fail, count=2)
        with pytest.raises(ServerFault, match=f"could not be put back: 1 \\({ONE.digest}\\)"):
            rm(connect, server.url, "1")
        assert tags["1"] not in STATE.values()


# Registries that keep tags whose digest is deleted


@pytest.mark.parametrize("digest_delete", ["keep-tags", "dangling"])
def test_tags_that_survive_their_image_are_deleted_by_their_names(
    connect: Connect, digest_delete: str
) -> None:
    """As on go-containerregistry's registry, CUE's and Nexus."""
    with HostileRegistry(digest_delete=digest_delete) as server:
        seeded(server)
        result = rm(connect, server.url, "1", "1.0", "latest", "2", strategy="manifest")
        assert {one["method"] for one in result["removed"]} == {"manifest"}
        assert server.state("a/b") == server.repositories["a/b"].tags == {}
        # That it takes this is learned once.
        assert server.count(DIGEST_DELETES) == 3


@pytest.mark.parametrize("digest_delete", ["keep-tags", "dangling"])
def test_tags_that_survive_their_image_for_good_keep_it(connect: Connect, digest_delete: str) -> None:
    with HostileRegistry(digest_delete=digest_delete, tag_delete="405") as server:
        seeded(server)
        with pytest.raises(
            Unsupported, match="does not delete tags along with .*, nor 1 by its name"
        ) as caught:
            rm(connect, server.url, "1", "1.0", "latest", strategy="manifest")
        assert server.state("a/b") == STATE
        assert caught.value.result == {"changed": False, "removed": []}


def test_a_placeholder_that_keeps_its_tags_is_taken_back(connect: Connect) -> None:
    with HostileRegistry(digest_delete="keep-tags") as server:
        seeded(server)
        with pytest.raises(
            Unsupported, match="still serves or lists 1\\. After .* were put back and verified"
        ):
            rm(connect, server.url, "1", strategy="placeholder")
        assert server.state("a/b") == STATE
        rm(connect, server.url, "1")
        assert server.state("a/b") == AFTER


# Requests


@pytest.mark.parametrize("size", [3, 900])
@pytest.mark.parametrize("tag_delete, limit", [("202", 7), ("400", 13)])
def test_the_size_of_the_repository_costs_no_request(
    connect: Connect, tag_delete: str, limit: int, size: int
) -> None:
    with HostileRegistry(tag_delete=tag_delete) as server:
        tags = seeded(server)
        server.repositories["a/b"].tags.update({f"build-{number}": ONE.digest for number in range(size)})
        rm(connect, server.url, "1")
        assert "1" not in tags and len(tags) == 3 + size
        assert len(server.requests) <= limit


def test_requests_of_a_removal_on_a_real_registry(connect: Connect, registry: Registry) -> None:
    for number in range(60):
        images.push(registry.url, "large/app", ONE, f"build-{number}")
    registry.clear_requests()
    rm(connect, registry.url, "build-7", image="large/app")
    assert len(registry.requests()) <= 13
    assert len(images.tags(registry.url, "large/app")) == 59


@pytest.mark.parametrize("tag_delete, limit", [("202", 4 + 3 * 4), ("400", 9 + 3 * 4)])
def test_each_further_tag_costs_four_requests(connect: Connect, tag_delete: str, limit: int) -> None:
    with HostileRegistry(tag_delete=tag_delete) as server:
        seeded(server)
        rm(connect, server.url, "1", "1.0", "latest")
        assert len(server.requests) <= limit


def test_a_failure_after_one_of_several_is_no_reason_to_look_at_others(connect: Connect) -> None:
    with HostileRegistry(fail_first=-1, fail_status=500, fail_on="^DELETE .*/1.0$") as server:
        tags = seeded(server)
        with pytest.raises(RegistryError) as caught:
            rm(connect, server.url, "1", "1.0")
        assert tags == AFTER
        assert [one["tag"] for one in caught.value.result["removed"]] == ["1"]
        assert server.count("/manifests/latest$") == 0
