# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a promotion looks, writes and looks again: the requests it takes, and what it does where registries lag behind."""

from __future__ import annotations

import collections
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._transfer import promotion
from ansible_collections.ocikit.registry.plugins.modules import registry_promote
from tests.hostile import HostileRegistry, Request
from tests.registries import Registry, images
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, t.Any]]
OLD, NEW, OTHER = (images.image({"file": name}) for name in ("old", "new", "other"))
COUNT = 12


@pytest.fixture(autouse=True)
def any_look_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of requests must not depend on how busy the machine is."""
    monkeypatch.setattr(promotion, "_FRESH", float("inf"))


def promote(connect: Connect, url: str, **params: t.Any) -> dict[str, t.Any]:
    clients, _client = connect(url, retries=params.pop("retries", 0))
    return task(registry_promote, clients, **params)


def methods(registry: Registry) -> dict[str, int]:
    return dict(collections.Counter(method for method, _uri, _status in registry.requests()))


# Requests


def test_requests_for_new_tags(connect: Connect, registry: Registry) -> None:
    """Four for each image: where the tag is, what it gets, the write, and the look after it.

    One more shows at the beginning that the registry serves HEAD, so that its 404 is believed.
    """
    pairs = []
    for number in range(COUNT):
        images.push(registry.url, f"new/{number}", images.image({"file": str(number)}), "1")
        pairs.append({"image": f"new/{number}:1", "to": [f"new/{number}:stable"]})
    registry.clear_requests()
    assert promote(connect, registry.url, images=pairs)["changed"] is True
    assert methods(registry) == {"HEAD": 2 * COUNT + 1, "GET": COUNT, "PUT": COUNT}


@pytest.mark.parametrize("known", [False, True])
def test_requests_where_nothing_changes(connect: Connect, registry: Registry, known: bool) -> None:
    repository = f"same-{known}".lower()
    for tag in ("1", "stable", "latest"):
        images.push(registry.url, repository, NEW, tag)
    expected = {"expected_digest": NEW.digest} if known else {}
    pairs = [{"image": f"{repository}:1", "to": [f"{repository}:stable", f"{repository}:latest"], **expected}]
    registry.clear_requests()
    assert promote(connect, registry.url, images=pairs)["changed"] is False
    assert methods(registry) == {"HEAD": 3}


def test_one_source_is_read_once_for_many_targets(connect: Connect, registry: Registry) -> None:
    images.push(registry.url, "many", NEW, "1")
    registry.clear_requests()
    targets = [f"many:{number}" for number in range(2, 2 + COUNT)]
    promote(connect, registry.url, images=[{"image": "many:1", "to": targets}])
    assert methods(registry) == {"HEAD": 2 * COUNT + 1, "GET": 1, "PUT": COUNT}


def test_check_mode_reads_no_manifest(connect: Connect, registry: Registry) -> None:
    images.push(registry.url, "check", NEW, "1")
    images.push(registry.url, "check", OLD, "stable")
    registry.clear_requests()
    pairs = [{"image": "check:1", "to": ["check:stable", "check:new"]}]
    assert promote(connect, registry.url, check_mode=True, images=pairs)["changed"] is True
    assert methods(registry) == {"HEAD": 3}


# Looks right before the write


@pytest.mark.parametrize("fresh", [False, True])
def test_a_tag_that_was_looked_up_a_while_ago_is_looked_at_again(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    monkeypatch.setattr(promotion, "_FRESH", float("inf") if fresh else -1.0)
    with HostileRegistry() as server:
        server.add("a/b", NEW, "new")
        promote(connect, server.url, images=[{"image": "a/b:new", "to": ["a/b:live"]}])
        looks = [r.method for r in server.requests if r.path.endswith("/live")]
        assert looks == ["HEAD", "PUT", "HEAD"] if fresh else ["HEAD", "HEAD", "PUT", "HEAD"]


def test_a_tag_with_a_condition_is_always_looked_at_again(connect: Connect) -> None:
    with HostileRegistry() as server:
        server.add("a/b", NEW, "new")
        pairs = [{"image": "a/b:new", "to": ["a/b:live"], "if_digest": "absent"}]
        promote(connect, server.url, images=pairs)
        assert [r.method for r in server.requests if r.path.endswith("/live")] == [
            "HEAD",
            "HEAD",
            "PUT",
            "HEAD",
        ]


@pytest.mark.parametrize("old", [None, OLD], ids=["absent", "there"])
def test_tags_are_looked_at_again_after_contents_were_stored(
    connect: Connect, old: images.Image | None
) -> None:
    """That may take long. A tag that moved by then stops everything before any other one moves."""
    with HostileRegistry() as server:
        server.add("a/b", NEW, "new")
        if old:
            server.add("c/d", old, "live")

        def before(request: Request) -> None:
            if request.method == "POST":
                server.before = None
                server.add("c/d", OTHER, "live")

        server.before = before
        pairs = [{"image": "a/b:new", "to": ["a/b:live", "c/d:live"]}]
        with pytest.raises(
            Exception, match=f"c/d:live moved from .* to {OTHER.digest} meanwhile: no tag was"
        ):
            promote(connect, server.url, images=pairs)
        assert server.count("^PUT .*/live$") == 0


# Reads that lag behind writes


@pytest.mark.parametrize("lag", [1, 2])
def test_a_promotion_waits_until_it_sees_what_it_wrote(connect: Connect, lag: int) -> None:
    with HostileRegistry(read_lag=lag) as server:
        server.add("a/b", NEW, "new")
        server.add("a/b", OLD, "live")
        pairs = [{"image": "a/b:new", "to": ["a/b:live", "a/b:fresh", "c/d:fresh"]}]
        result = promote(connect, server.url, images=pairs)
        assert [one["digest"] for one in result["targets"]] == [NEW.digest] * 3
        # An undo is a promotion, too.
        server.behaviour.read_lag = lag
        undone = promote(connect, server.url, undo=result["previous"])
        assert [one["digest"] for one in undone["targets"]] == [OLD.digest, None, None]
        assert server.state("a/b") == {"new": NEW.digest, "live": OLD.digest}


@pytest.mark.parametrize("lag", [1, 2])
@pytest.mark.parametrize("lost", [False, True], ids=["acknowledged", "lost"])
def test_a_roll_back_puts_back_what_reads_do_not_show_yet(connect: Connect, lag: int, lost: bool) -> None:
    """One tag fails. Reads of another one show what it was before, although it has moved; it is put back all the same."""
    behaviours: dict[str, t.Any] = {"fail_first": -1, "fail_on": "PUT .*/bad$", "fail_status": 403}
    if lost:
        behaviours.update(drop_first=1, drop_on="PUT .*/(live|fresh)$", drop_when="after")
    with HostileRegistry(read_lag=lag, **behaviours) as server:
        server.add("a/b", NEW, "new")
        for tag in ("live", "other", "bad"):
            server.add("a/b", OLD, tag)
        before = server.state("a/b")
        pairs = [{"image": "a/b:new", "to": [f"a/b:{tag}" for tag in ("live", "other", "fresh", "bad")]}]
        with pytest.raises(RegistryError) as caught:
            promote(connect, server.url, images=pairs)
        assert server.state("a/b") == before
        moved = server.count("PUT .*/(live|other|fresh)$") > 0
        assert ("put back and verified" in str(caught.value)) is moved
        assert ("No tag had moved" in str(caught.value)) is not moved
        assert caught.value.result["changed"] is False
        assert [one["digest"] for one in caught.value.result["targets"]] == [OLD.digest] * 2 + [
            None,
            OLD.digest,
        ]


# Registries that delete an image with its last tag


TREE = images.index([OLD, OTHER])


def dropping(**behaviours: t.Any) -> HostileRegistry:
    """Return a registry that does, with an index whose child OLD has a tag, and whose child OTHER has none."""
    server = HostileRegistry(last_tag="drop", **behaviours)
    server.add("a/b", NEW, "new")
    server.add("a/b", TREE, "tree")
    server.add("a/b", OLD, "child")
    return server


def test_what_a_tag_had_stays_and_comes_back_with_an_undo(connect: Connect) -> None:
    with dropping() as server:
        pairs = [{"image": "a/b:new", "to": ["a/b:tree", "a/b:child"]}]
        result = promote(connect, server.url, images=pairs)
        assert set(server.repository("a/b").manifests) == {one.digest for one in (NEW, TREE, OLD, OTHER)}
        promote(connect, server.url, undo=result["previous"])
        assert server.state("a/b") == {"new": NEW.digest, "tree": TREE.digest, "child": OLD.digest}
        assert set(server.repository("a/b").manifests) == {one.digest for one in (NEW, TREE, OLD, OTHER)}


def test_a_promotion_can_be_undone_whatever_the_registry_deletes(
    connect: Connect, registry: Registry
) -> None:
    index = images.index([OTHER, images.image({"file": "part"}, architecture="arm64")])
    images.push(registry.url, "undo/app", index, "live")
    images.push(registry.url, "undo/new", images.index([NEW]), "1")
    before = images.state(registry.url, "undo/app")
    pairs = [{"image": "undo/new:1", "to": ["undo/app:live", "undo/app:fresh"]}]
    result = promote(connect, registry.url, images=pairs)
    promote(connect, registry.url, undo=result["previous"])
    assert images.state(registry.url, "undo/app") == before
    for part in (index, *index.children):
        assert images.get_manifest(registry.url, "undo/app", part.digest)[0] == part.raw


def test_a_roll_back_finds_what_the_tag_had(connect: Connect) -> None:
    with dropping(fail_first=-1, fail_on="PUT .*/child$", fail_status=403) as server:
        pairs = [{"image": "a/b:new", "to": ["a/b:tree", "a/b:child"]}]
        with pytest.raises(RegistryError) as caught:
            promote(connect, server.url, images=pairs)
        assert caught.value.result["changed"] is False
        assert server.state("a/b") == {"new": NEW.digest, "tree": TREE.digest, "child": OLD.digest}
        assert {TREE.digest, OLD.digest, OTHER.digest} <= set(server.repository("a/b").manifests)


# Referrers and signatures


SBOM = images.artifact("application/vnd.example.sbom", b"parts", "text/plain", subject=NEW)
SIGNATURE = images.artifact("application/vnd.example.cosign", b"signed", "text/plain")
SIGNATURE_TAG = images.referrers_tag(NEW) + ".sig"


@pytest.mark.parametrize("referrers", [False, True])
@pytest.mark.parametrize("signatures", [False, True])
def test_referrers_and_signatures_go_along(connect: Connect, referrers: bool, signatures: bool) -> None:
    with HostileRegistry(referrers="on") as server:
        index = images.index([NEW, OTHER])
        server.add("a/b", index, "new")
        server.add("a/b", SBOM)
        server.add("a/b", SIGNATURE, SIGNATURE_TAG)
        params: dict[str, t.Any] = {
            "images": [{"image": "a/b:new", "to": ["c/d:live", "a/b:live"]}],
            "referrers": referrers,
            "signatures": signatures,
        }
        predicted = promote(connect, server.url, check_mode=True, **params)
        assert "c/d" not in server.repositories
        result = promote(connect, server.url, **params)
        assert result == predicted
        assert result["companions"] == referrers + signatures
        content = server.repository("c/d")
        assert (SBOM.digest in content.manifests) is referrers
        assert (content.tags.get(SIGNATURE_TAG) == SIGNATURE.digest) is signatures
        assert content.tags["live"] == index.digest
        again = promote(connect, server.url, **params)
        assert (again["changed"], again["companions"]) == (False, 0)


def test_signatures_are_there_before_the_tag_moves(connect: Connect) -> None:
    with HostileRegistry() as server:
        server.add("a/b", NEW, "new")
        server.add("a/b", SIGNATURE, SIGNATURE_TAG)
        pairs = [{"image": "a/b:new", "to": ["c/d:live"]}]
        promote(connect, server.url, images=pairs, signatures=True)
        puts = [
            r.path.rpartition("/")[2]
            for r in server.requests
            if r.method == "PUT" and "/c/d/manifests/" in r.path
        ]
        assert puts.index(SIGNATURE_TAG) < puts.index("live")


def test_referrers_that_are_missing_alone_are_a_change(connect: Connect) -> None:
    with HostileRegistry(referrers="on") as server:
        server.add("a/b", NEW, "new")
        server.add("a/b", SBOM)
        server.add("c/d", NEW, "live")
        pairs = [{"image": "a/b:new", "to": ["c/d:live"]}]
        result = promote(connect, server.url, images=pairs, referrers=True)
        assert (result["changed"], result["companions"], result["previous"]) == (True, 1, [])
