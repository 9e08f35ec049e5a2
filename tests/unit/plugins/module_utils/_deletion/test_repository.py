# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which manifests registry_rmrepo finds, however a registry lists them, and what it tells when it could not finish."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._deletion.repository import RepositoryRemoval
from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    ProtocolError,
    RegistryError,
    Unreachable,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.repository import Repository
from ansible_collections.ocikit.registry.plugins.modules import registry_rmrepo
from tests.hostile import HostileRegistry, Request
from tests.registries import images
from tests.unit.removing import CHILD, INNER, ONE, OUTER, SBOM, TWO, WRITES, Connect, meanwhile
from tests.unit.task import task


def remove(
    connect: Connect, url: str, check_mode: bool = False, retries: int = 0, **params: t.Any
) -> dict[str, t.Any]:
    clients, _client = connect(url, retries=retries)
    return task(registry_rmrepo, clients, check_mode=check_mode, repository="a/b", confirm="a/b", **params)


def found(result: dict[str, t.Any]) -> list[str]:
    return [manifest["digest"] for manifest in result["manifests"]]


# What is found


def test_making_a_removal_sends_nothing(connect: Connect) -> None:
    with HostileRegistry() as server:
        removal = RepositoryRemoval(Repository(connect(server.url)[1], "a/b"))
        assert server.requests == [] and not removal.changed


@pytest.mark.parametrize("check_mode", [False, True])
def test_referrers_without_end_end_in_an_error(connect: Connect, check_mode: bool) -> None:
    """Each time that somebody asks for the referrers of a manifest there is one more."""
    with HostileRegistry(referrers="on") as server:
        made = {server.add("a/b", ONE, "1"): ONE}

        def add(request: Request) -> None:
            digest = request.path.rpartition("/")[2]
            if "/referrers/" in request.path and digest in made:
                referrer = images.artifact("a/b", digest.encode(), "text/plain", subject=made[digest])
                made[server.add("a/b", referrer)] = referrer

        server.before = add
        with pytest.raises(ProtocolError, match="over more than 16 levels.*without end"):
            remove(connect, server.url, check_mode=check_mode)
        assert server.count(WRITES) == 0 and len(server.requests) < 100


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_chain_of_1500_referrers_ends_in_an_error(connect: Connect, check_mode: bool) -> None:
    with HostileRegistry(referrers="on") as server:
        image = ONE
        server.add("a/b", image, "1")
        for number in range(1500):
            image = images.artifact("a/b", b"%d" % number, "text/plain", subject=image)
            server.add("a/b", image)
        with pytest.raises(ProtocolError, match="over more than 16 levels"):
            remove(connect, server.url, check_mode=check_mode)
        assert server.count(WRITES) == 0


def test_a_chain_of_1500_subjects_ends_in_an_error(connect: Connect) -> None:
    """The newest of them has the tag."""
    with HostileRegistry() as server:
        image = ONE
        for number in range(1500):
            server.add("a/b", image)
            image = images.artifact("a/b", b"%d" % number, "text/plain", subject=image)
        server.add("a/b", image, "1")
        with pytest.raises(ProtocolError, match="over more than 16 levels"):
            remove(connect, server.url)
        assert server.count(WRITES) == 0


def test_manifests_that_are_listed_as_referrers_of_each_other(connect: Connect) -> None:
    """A listing is a hint: these have no subject, so that nothing but a tag leads to them."""
    with HostileRegistry(referrers="on") as server:
        content = server.repository("a/b")
        server.add("a/b", ONE, "1")
        server.add("a/b", TWO)
        content.listed.update({ONE.digest: [TWO.digest], TWO.digest: [ONE.digest]})
        assert found(remove(connect, server.url)) == [ONE.digest]
        assert set(content.manifests) == {TWO.digest}


def test_tagged_manifests_that_are_listed_as_referrers_of_each_other(connect: Connect) -> None:
    with HostileRegistry(referrers="on") as server:
        content = server.repository("a/b")
        server.add("a/b", ONE, "1")
        server.add("a/b", TWO, "2")
        content.listed.update({ONE.digest: [TWO.digest], TWO.digest: [ONE.digest]})
        assert set(found(remove(connect, server.url))) == {ONE.digest, TWO.digest}
        assert content.manifests == {}


def test_a_referrer_of_another_subject_stays(connect: Connect) -> None:
    with HostileRegistry(referrers="on") as server:
        content = server.repository("a/b")
        server.add("a/b", TWO, "2")
        server.add("a/b", SBOM)
        content.listed[TWO.digest] = [SBOM.digest]
        assert found(remove(connect, server.url)) == [TWO.digest]
        assert set(content.manifests) == {SBOM.digest}


def test_a_listed_referrer_that_does_not_exist_is_no_obstacle(connect: Connect) -> None:
    with HostileRegistry(referrers="on") as server:
        content = server.repository("a/b")
        server.add("a/b", ONE, "1")
        server.add("a/b", SBOM)
        meanwhile(server, f"/manifests/{SBOM.digest}$", lambda: content.manifests.pop(SBOM.digest))
        assert found(remove(connect, server.url)) == [ONE.digest]


# What is told when an answer is lost


@pytest.mark.parametrize("when", ["after", "before"])
def test_a_deletion_whose_answer_is_lost(connect: Connect, when: str) -> None:
    """What was done is looked up; children of an index that is gone are deleted still, as nothing leads to them."""
    pattern = f"^DELETE .*/{INNER.digest}$"
    with HostileRegistry(drop_first=1, drop_on=pattern, drop_when=when) as server:
        content = server.repository("a/b")
        server.add("a/b", INNER, "multi")
        done = when == "after"
        with pytest.raises(Unreachable, match=f"{3 if done else 0} of 3 manifests were deleted") as caught:
            remove(connect, server.url)
        result = caught.value.result
        assert result["changed"] is done and result["stranded"] == []
        assert {one["deleted"] for one in [*result["manifests"], *result["tags"]]} == {done}
        assert (content.manifests == {}) is done
        assert remove(connect, server.url)["changed"] is not done
        assert content.manifests == {} == content.tags


def test_what_may_be_out_of_reach_is_named_where_nothing_can_be_looked_up(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = f"^DELETE .*/{INNER.digest}$"
    with HostileRegistry(drop_on=pattern, drop_when="after", drop_first=1) as server:
        content = server.repository("a/b")
        server.add("a/b", INNER, "multi")
        server.add("a/b", TWO, "other")

        # The request itself is carried out, and then the registry fails.
        delete = content.remove

        def delete_and_vanish(digest: str) -> None:
            delete(digest)
            server.behaviour.fail_first, server.behaviour.fail_on = -1, "."

        monkeypatch.setattr(content, "remove", delete_and_vanish)
        with pytest.raises(
            RegistryError, match=f"what became of {INNER.digest} could not be looked up"
        ) as caught:
            remove(connect, server.url)
        result = caught.value.result
        assert {CHILD.digest, ONE.digest} <= set(result["stranded"])
        assert TWO.digest not in result["stranded"]
        assert result["changed"] is True
        # Neither "deleted" nor "not deleted" would be true of what could not be looked up.
        deleted = {entry["digest"]: entry["deleted"] for entry in result["manifests"]}
        assert (deleted[INNER.digest], deleted[TWO.digest]) == (None, False)
        assert {tag["tag"]: tag["deleted"] for tag in result["tags"]} == {"multi": None, "other": False}
        requests = len(server.requests)
        server.behaviour.fail_first = 0
        monkeypatch.undo()
        remove(connect, server.url, digests=result["stranded"])
        assert content.manifests == {} == content.tags
        # Once nothing can be looked up, nothing more is tried.
        assert requests < 30


def test_a_failure_in_the_middle_tells_what_is_gone_and_what_is_not(connect: Connect) -> None:
    """A registry that accepts deletions and does not carry them out is not believed."""
    with HostileRegistry() as server:
        server.add("a/b", OUTER, "outer")
        server.add("a/b", images.index([CHILD]), "index")

        def ignore() -> None:
            server.behaviour.digest_delete = "ignored"
            server.behaviour.fail_first, server.behaviour.fail_status = 1, 500
            server.behaviour.fail_on = f"^DELETE .*/{TWO.digest}$"

        meanwhile(server, "^DELETE ", ignore, count=2)
        with pytest.raises(RegistryError) as caught:
            remove(connect, server.url)
        there = server.repositories["a/b"]
        for manifest in caught.value.result["manifests"]:
            assert manifest["deleted"] is (manifest["digest"] not in there.manifests)
        for tag in caught.value.result["tags"]:
            assert tag["deleted"] is (tag["tag"] not in there.tags)
