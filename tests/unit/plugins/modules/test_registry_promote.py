# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_promote moves all tags or none, says what became of each, and takes it back."""

from __future__ import annotations

import threading
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils import _parallel
from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    NotFound,
    Refused,
    RegistryError,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_promote
from tests.hostile import HostileRegistry, Request
from tests.registries import Registry, images
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]
WRITES = "^(PUT|POST|PATCH|DELETE) "
OLD, NEW, OTHER = (images.image({"file": name}) for name in ("old", "new", "other"))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parallel, "_PAUSES", (0, 0.01))


def run(
    connect: Connect, url: str, check_mode: bool = False, concurrency: int = 8, **params: t.Any
) -> dict[str, t.Any]:
    connection, _client = connect(url, retries=0, concurrency=concurrency)
    return run_with(connection, check_mode, **params)


def run_with(connection: RegistryClients, check_mode: bool = False, **params: t.Any) -> dict[str, t.Any]:
    return task(registry_promote, connection, check_mode=check_mode, **params)


def pairs(*to: str, source: str = "a/b:new", **more: t.Any) -> list[dict[str, t.Any]]:
    return [{"image": source, "to": [one], **more} for one in to]


def seeded(**behaviours: t.Any) -> HostileRegistry:
    """A registry whose repository a/b has the tags new (NEW), one, two, three (OLD)."""
    server = HostileRegistry(**behaviours)
    server.add("a/b", NEW, "new")
    for tag in ("one", "two", "three"):
        server.add("a/b", OLD, tag)
    return server


BEFORE = {"new": NEW.digest, "one": OLD.digest, "two": OLD.digest, "three": OLD.digest}
ALL = pairs("a/b:one", "a/b:two", "a/b:three")


def digests(result: t.Mapping[str, t.Any]) -> dict[str, str | None]:
    return {one["image"].rpartition(":")[2]: one["digest"] for one in result["targets"]}


# On a real registry


@pytest.mark.registry_does("own_blobs")
def test_promotion_is_predicted_done_once_and_undone(connect: Connect, registry: Registry) -> None:
    index = images.index([NEW, OTHER])
    images.push(registry.url, "stage/app", NEW, "1")
    images.push(registry.url, "stage/all", index, "1")
    images.push(registry.url, "prod/app", OLD, "stable")
    wanted = [
        {"image": "stage/app:1", "to": ["prod/app:stable", "prod/app:1"]},
        {"image": "stage/all:1", "to": ["prod/all"]},
    ]
    registry.clear_requests()
    predicted = run(connect, registry.url, check_mode=True, images=wanted)
    assert {method for method, _uri, _status in registry.requests()} <= {"GET", "HEAD"}
    assert images.state(registry.url, "prod/app") == {"stable": OLD.digest}

    result = run(connect, registry.url, images=wanted)
    assert result == predicted
    assert (result["blobs"]["missing"], result["blobs"]["mounted"]) == (0, 6)
    assert images.state(registry.url, "prod/app") == {"stable": NEW.digest, "1": NEW.digest}
    assert images.state(registry.url, "prod/all") == {"1": index.digest}
    assert images.get_manifest(registry.url, "prod/all", OTHER.digest)[0] == OTHER.raw
    name = f"{registry.host}/prod/app:stable"
    assert f"{name} {OLD.digest}\n" in result["diff"]["before"]
    assert f"{name} {NEW.digest}\n" in result["diff"]["after"]

    registry.clear_requests()
    again = run(connect, registry.url, images=wanted)
    assert (again["changed"], again["previous"], again["diff"]) == (False, [], {"before": "", "after": ""})
    asked = [(method, uri) for method, uri, _status in registry.requests()]
    # Two sources and three targets; then what the index consists of, and all blobs.
    assert asked[:5] == [("HEAD", uri) for _method, uri in asked[:5]]
    assert {method for method, uri in asked if "/blobs/" in uri} == {"HEAD"}
    assert len(asked) == len(set(asked))

    undo = {"undo": result["previous"]}
    predicted = run(connect, registry.url, check_mode=True, **undo)
    assert images.state(registry.url, "prod/app") == {"stable": NEW.digest, "1": NEW.digest}
    undone = run(connect, registry.url, **undo)
    assert undone == predicted
    assert undone["changed"] is True
    assert images.state(registry.url, "prod/app") == {"stable": OLD.digest}
    assert images.tags(registry.url, "prod/all") == []
    assert run(connect, registry.url, **undo)["changed"] is False
    # An undo is a promotion like any other.
    redo = [one for one in undone["previous"] if one["digest"]]
    assert run(connect, registry.url, undo=redo)["changed"] is True
    assert images.state(registry.url, "prod/app") == {"stable": NEW.digest}


@pytest.mark.registry_does("own_blobs")
def test_between_two_registries_with_an_account_each(connect: Connect, registry: Registry) -> None:
    images.push(registry.url, "two/app", NEW, "1")
    with Registry(users={"alice": "secret"}) as there:
        images.push(there.url, "two/app", OLD, "1", auth=("alice", "secret"))
        side = {"registry": there.url, "username": "alice", "password": "secret"}
        wanted = [{"image": "two/app:1", "to": ["two/app", "two/copy:1"]}]
        result = run(connect, registry.url, images=wanted, destination=side)
        state = images.state(there.url, "two/app", auth=("alice", "secret"))
        assert state == {"1": NEW.digest}
        assert images.head(there.url, "two/copy", "1", auth=("alice", "secret")) == NEW.digest
        assert (result["blobs"]["missing"], result["blobs"]["mounted"]) == (2, 2)
        undone = run(connect, registry.url, undo=result["previous"], destination=side)
        assert [one["digest"] for one in undone["targets"]] == [OLD.digest, None]
        assert images.head(there.url, "two/app", "1", auth=("alice", "secret")) == OLD.digest


def test_tags_may_swap(connect: Connect, registry: Registry) -> None:
    images.push(registry.url, "swap/app", OLD, "blue")
    images.push(registry.url, "swap/app", NEW, "green")
    wanted = [
        {"image": "swap/app:blue", "to": ["swap/app:green"]},
        {"image": "swap/app:green", "to": ["swap/app:blue"]},
    ]
    run(connect, registry.url, images=wanted)
    assert images.state(registry.url, "swap/app") == {"blue": NEW.digest, "green": OLD.digest}


@pytest.mark.registry_does("keep_untagged")
def test_undo_without_deletion_changes_nothing(connect: Connect) -> None:
    with Registry(delete=False) as server:
        images.push(server.url, "a/b", NEW, "new")
        images.push(server.url, "a/b", OLD, "one")
        result = run(connect, server.url, images=pairs("a/b:one", "a/b:fresh"))
        with pytest.raises(Unsupported, match="does not allow deletion.*No tag had moved") as caught:
            run(connect, server.url, undo=result["previous"])
        assert caught.value.result["changed"] is False
        assert images.state(server.url, "a/b") == dict.fromkeys(("new", "one", "fresh"), NEW.digest)


# Conditions


def refused(connect: Connect, kind: type[RegistryError], match: str, **params: t.Any) -> str:
    with seeded() as server:
        with pytest.raises(kind, match=match) as caught:
            run(connect, server.url, **params)
        assert server.count(WRITES) == 0
        assert server.repositories["a/b"].tags == BEFORE
    return str(caught.value)


def test_all_that_stands_in_the_way_is_said_at_once(connect: Connect) -> None:
    wanted = [
        *pairs("a/b:one", source="a/b:missing"),
        *pairs("a/b:two", expected_digest=OTHER.digest),
        *pairs("a/b:three", if_digest="absent"),
        *pairs("a/b:four", if_digest=OLD.digest),
        *pairs("a/b:five"),
    ]
    said = refused(connect, NotFound, "a/b:missing does not exist", images=wanted)
    assert f"not the expected {OTHER.digest}" in said
    assert f"a/b:three is {OLD.digest}, not absent" in said
    assert f"a/b:four is absent, not {OLD.digest}" in said
    assert "five" not in said


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({}, "Set either images or undo"),
        ({"images": pairs("a/b:one"), "undo": []}, "Set either images or undo"),
        ({"images": []}, "No image is named"),
        ({"images": [{"image": "a/b:new", "to": []}]}, "No target is named for"),
        ({"images": pairs("a/b:one", "a/b:one")}, "a/b:one is named twice"),
        ({"images": pairs(f"a/b:one@{OLD.digest}")}, "cannot be a target"),
        ({"images": pairs("a/b", source=f"a/b@{NEW.digest}")}, "cannot be a target"),
        ({"images": pairs("a/b:one", expected_digest="abc")}, "not a valid expected_digest"),
        ({"images": pairs("a/b:one", if_digest="abc")}, "not a valid if_digest"),
        ({"images": pairs("a/b:one", expected_digest="")}, "'' is not a valid expected_digest"),
        ({"images": pairs("a/b:one", if_digest="")}, "if_digest is empty"),
        (
            {"undo": [{"image": "a/b:1", "digest_before": False, "digest": OLD.digest}]},
            "'False' is not a valid digest_before",
        ),
        ({"undo": [{"image": "a/b", "digest_before": None, "digest": OLD.digest}]}, "cannot be undone"),
        (
            {"undo": [{"image": "a/b:1", "digest_before": 5, "digest": OLD.digest}]},
            "not a valid digest_before",
        ),
        ({"undo": [{"image": "a/b:1", "digest_before": None, "digest": "x"}]}, "not a valid digest"),
    ],
)
def test_bad_input(connect: Connect, params: dict[str, t.Any], match: str) -> None:
    refused(connect, InvalidInput, match, **params)


def test_undo_is_refused_once_a_tag_moved_on(connect: Connect) -> None:
    undo = [
        {"image": "a/b:one", "digest_before": NEW.digest, "digest": OLD.digest},
        {"image": "a/b:two", "digest_before": NEW.digest, "digest": OTHER.digest},
        {"image": "a/b:three", "digest_before": OTHER.digest, "digest": OLD.digest},
    ]
    said = refused(connect, Refused, f"a/b:two is {OLD.digest}, not {OTHER.digest}", undo=undo)
    assert f"a/b:three@{OTHER.digest} any more" in said
    assert "a/b:one" not in said


def test_nothing_moves_before_everything_is_stored(connect: Connect) -> None:
    """The second repository cannot take a blob: no tag of the first one shows anything."""
    with seeded(fail_first=-1, fail_on="POST /v2/x/y/", fail_status=500) as server:
        with pytest.raises(RegistryError, match="No tag had moved") as caught:
            run(connect, server.url, images=pairs("a/b:one", "c/d:one", "x/y:one"))
        assert caught.value.kind == "server"
        assert caught.value.result["changed"] is False
        assert caught.value.result["previous"] == []
        assert server.count("^PUT .*/manifests/(one|two|three)$") == 0
        assert server.repositories["a/b"].tags == BEFORE
        # Stored, and not visible.
        assert NEW.digest in server.repositories["c/d"].manifests
        assert server.repositories["c/d"].tags == {}


def test_a_tag_that_moves_meanwhile_stops_everything(connect: Connect) -> None:
    with seeded() as server:

        def move(request: Request) -> None:
            if request.method == "POST":
                server.add("a/b", OTHER, "two")

        server.before = move
        with pytest.raises(Refused, match=f"a/b:two moved from {OLD.digest} to {OTHER.digest} meanwhile"):
            run(connect, server.url, images=pairs("a/b:one", "a/b:two", "c/d:one"))
        assert server.repositories["a/b"].tags == {**BEFORE, "two": OTHER.digest}


# Failures in the middle


def test_failure_in_the_middle_is_rolled_back(connect: Connect) -> None:
    with seeded(fail_first=-1, fail_on="PUT .*/manifests/two$", fail_status=500) as server:
        with pytest.raises(
            RegistryError, match="All tags that had moved were put back and verified"
        ) as caught:
            run(connect, server.url, images=ALL + pairs("a/b:fresh", "c/d:fresh"))
        assert caught.value.kind == "server"
        result = caught.value.result
        assert (result["changed"], result["previous"]) == (False, [])
        assert server.count("PUT .*/manifests/(one|three|fresh)$") > 0
        assert server.repositories["a/b"].tags == BEFORE
        assert server.repositories["c/d"].tags == {}
        assert digests(result) == {**dict.fromkeys(("one", "two", "three"), OLD.digest), "fresh": None}
        rolled_back = {one["image"].partition("/")[2]: one["rolled_back"] for one in result["targets"]}
        assert rolled_back["a/b:one"] is True
        assert rolled_back["a/b:two"] is False
        assert not any(one["message"] for one in result["targets"])


def test_new_tags_go_again_by_the_placeholder(connect: Connect) -> None:
    """No deletion by name: a digest that is shared with other tags must not go with the new tag."""
    with seeded(tag_delete="405", fail_first=-1, fail_on="PUT .*/manifests/two$", fail_status=403) as server:
        with pytest.raises(RegistryError, match="put back and verified") as caught:
            run(connect, server.url, images=pairs("a/b:fresh", "a/b:two"))
        assert caught.value.kind == "denied"
        assert server.repositories["a/b"].tags == BEFORE
        fresh = caught.value.result["targets"][0]
        assert (fresh["digest"], fresh["rolled_back"], fresh["changed"]) == (None, True, False)


def test_roll_back_that_fails_is_said_plainly(connect: Connect) -> None:
    """The second PUT of one, which would put it back, fails as well as the only one of two."""
    with seeded() as server:
        puts: dict[str, int] = {}
        lock = threading.Lock()

        def fail(request: Request) -> None:
            tag = request.path.rpartition("/")[2]
            if request.method == "PUT" and tag in BEFORE:
                with lock:
                    puts[tag] = puts.get(tag, 0) + 1
                broken = tag == "two" or (tag == "one" and puts[tag] > 1)
                server.behaviour.fail_first = -1 if broken else 0
                server.behaviour.fail_on = f"PUT .*/{tag}$" if broken else ""

        server.before = fail
        with pytest.raises(RegistryError) as caught:
            run(connect, server.url, concurrency=1, images=pairs("a/b:one", "a/b:two"))
        server.before, server.behaviour.fail_first = None, 0
        assert server.repositories["a/b"].tags == {**BEFORE, "one": NEW.digest}
        said, result = str(caught.value), caught.value.result
        assert "Not every tag is what it was before" in said
        assert f"a/b:one could not be put back ({OLD.digest} before)" in said
        assert "put back and verified" not in said
        one, two = result["targets"]
        assert (one["digest"], one["changed"], one["rolled_back"]) == (NEW.digest, True, False)
        assert one["message"] in said
        assert (two["digest"], two["changed"], two["message"]) == (OLD.digest, False, None)
        assert result["changed"] is True
        # What could not be put back then can be undone later.
        assert [entry["image"].rpartition(":")[2] for entry in result["previous"]] == ["one"]
        assert run(connect, server.url, undo=result["previous"])["changed"] is True
        assert server.repositories["a/b"].tags == BEFORE


def test_new_tag_that_cannot_be_removed_is_said_plainly(connect: Connect) -> None:
    behaviours = {"tag_delete": "405", "digest_delete": "405"}
    with seeded(fail_first=-1, fail_on="PUT .*/manifests/two$", fail_status=500, **behaviours) as server:
        with pytest.raises(RegistryError, match="did not exist before, and could not be removed") as caught:
            run(connect, server.url, images=pairs("a/b:fresh", "a/b:two"))
        assert server.repositories["a/b"].tags == {**BEFORE, "fresh": NEW.digest}
        fresh, two = caught.value.result["targets"]
        assert (fresh["digest"], fresh["changed"], fresh["rolled_back"]) == (NEW.digest, True, False)
        assert (two["changed"], two["message"]) == (False, None)


def test_registry_that_goes_silent_is_not_taken_for_rolled_back(connect: Connect) -> None:
    with seeded() as server:

        def break_off(request: Request) -> None:
            if request.method == "PUT" and request.path.endswith("/two"):
                server.behaviour.drop_first = -1

        server.before = break_off
        with pytest.raises(RegistryError, match="may have moved, which could not be looked up") as caught:
            run(connect, server.url, images=ALL)
        assert caught.value.kind == "unreachable"
        assert caught.value.result["changed"] is True
        begun = {r.path.rpartition("/")[2] for r in server.requests if r.method == "PUT"}
        for one in caught.value.result["targets"]:
            # Where nothing was sent, nothing can have happened.
            assert bool(one["message"]) is (one["image"].rpartition(":")[2] in begun)
            assert not one["rolled_back"]


def test_write_that_was_carried_out_though_it_failed_is_rolled_back(connect: Connect) -> None:
    with seeded(drop_first=1, drop_on="PUT .*/manifests/two$", drop_when="after") as server:
        with pytest.raises(RegistryError, match="put back and verified") as caught:
            run(connect, server.url, images=ALL)
        assert caught.value.kind == "unreachable"
        assert server.repositories["a/b"].tags == BEFORE
        assert [one["rolled_back"] for one in caught.value.result["targets"]][1] is True


def test_tag_of_somebody_else_is_left_alone(connect: Connect) -> None:
    """While the promotion fails, another process moves a tag that had moved."""
    with seeded(fail_first=-1, fail_on="PUT .*/manifests/three$", fail_status=500) as server:

        def move(request: Request) -> None:
            if request.method == "PUT" and request.path.endswith("/three"):
                server.add("a/b", OTHER, "one")

        server.before = move
        with pytest.raises(RegistryError, match="by something else meanwhile, and is left alone") as caught:
            run(connect, server.url, concurrency=1, images=ALL)
        assert server.repositories["a/b"].tags == {**BEFORE, "one": OTHER.digest}
        assert digests(caught.value.result) == {"one": OTHER.digest, "two": OLD.digest, "three": OLD.digest}


def test_registry_that_keeps_nothing_is_noticed(connect: Connect) -> None:
    with seeded(manifest_put="ignored") as server:
        with pytest.raises(RegistryError, match=f"one is {OLD.digest} right after it became {NEW.digest}"):
            run(connect, server.url, images=ALL)
        assert server.repositories["a/b"].tags == BEFORE


def test_interruption_rolls_back(connect: Connect) -> None:
    with seeded() as server:
        connection, client = connect(server.url, retries=0, concurrency=1)
        put = client.put_manifest

        def interrupted(repository: str, reference: str, manifest: t.Any, guard: t.Any = None) -> t.Any:
            pushed = put(repository, reference, manifest, guard)
            if reference == "two":
                # As if a signal came while the answer was read.
                client.put_manifest = put  # type: ignore[method-assign]
                raise KeyboardInterrupt
            return pushed

        client.put_manifest = interrupted  # type: ignore[method-assign]
        with pytest.raises(
            RegistryError, match="interrupted. All tags that had moved were put back"
        ) as caught:
            run_with(connection, images=ALL)
        assert server.repositories["a/b"].tags == BEFORE
        assert caught.value.result["changed"] is False


def test_undo_that_fails_in_the_middle_leaves_the_promotion(connect: Connect) -> None:
    with seeded() as server:
        wanted = [*ALL, *pairs("a/b:fresh")]
        result = run(connect, server.url, images=wanted)
        promoted = dict(server.repositories["a/b"].tags)
        assert promoted == dict.fromkeys(("new", "one", "two", "three", "fresh"), NEW.digest)
        server.behaviour.fail_on, server.behaviour.fail_first = "PUT .*/manifests/two$", -1
        with pytest.raises(RegistryError, match="put back and verified"):
            run(connect, server.url, undo=result["previous"])
        assert server.repositories["a/b"].tags == promoted
        server.behaviour.fail_first = 0
        run(connect, server.url, undo=result["previous"])
        assert server.repositories["a/b"].tags == BEFORE


def test_schema1_is_refused_before_anything(connect: Connect) -> None:
    with Registry(schema1=True) as server:
        images.push_schema1(server.url, "a/b", "ancient")
        images.push(server.url, "a/b", NEW, "new")
        before = images.state(server.url, "a/b")
        for wanted in (pairs("a/b:ancient"), pairs("a/b:other", source="a/b:ancient")):
            with pytest.raises(Unsupported, match="a/b:ancient is a schema 1 image"):
                run(connect, server.url, check_mode=True, images=wanted)
            with pytest.raises(Unsupported, match="a/b:ancient is a schema 1 image"):
                run(connect, server.url, images=wanted)
        assert images.state(server.url, "a/b") == before
