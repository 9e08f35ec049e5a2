# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_tag lets tags point to an image as it is, checks every condition first, and tells the truth when it fails."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    DigestMismatch,
    NotFound,
    Refused,
    RegistryError,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_tag
from tests.hostile import HostileRegistry, Request
from tests.registries import Registry, images, traits
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]
WRITES = "^(PUT|POST|PATCH|DELETE) "
SAMPLES = images.samples()
ONE, TWO = images.image({"file": "one"}), images.image({"file": "two"})
ABSENT = "sha256:" + "0" * 64


def retag(
    connect: Connect, url: str, image: str, *, check_mode: bool = False, concurrency: int = 8, **params: t.Any
) -> dict[str, t.Any]:
    connection, _client = connect(url, retries=0, concurrency=concurrency)
    return task(registry_tag, connection, check_mode=check_mode, image=image, **params)


def methods(registry: Registry) -> list[str]:
    return [method for method, _uri, _status in registry.requests()]


def seeded(server: HostileRegistry) -> None:
    """Add ``a/b`` with the tags source (ONE) and old (TWO)."""
    server.add("a/b", ONE, "source")
    server.add("a/b", TWO, "old")


def below(image: images.Image) -> t.Iterator[images.Image]:
    yield image
    for child in getattr(image, "children", ()):
        yield from below(child)


# What is written


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_bytes_and_media_type_stay(connect: Connect, registry: Registry, kind: str) -> None:
    """Also in another repository, where everything that the image needs comes along without an upload."""
    image, here, there = SAMPLES[kind], f"kinds/{kind}", f"kinds/{kind}/copy"
    images.push(registry.url, here, image, "source")
    registry.clear_requests()
    result = retag(connect, registry.url, f"{here}:source", tags=["same"], to=[f"{there}:other"])
    assert result["changed"] is True
    assert result["digest"] == image.digest
    for repository, name in ((here, "same"), (there, "other")):
        assert images.get_manifest(registry.url, repository, name) == (image.raw, image.media_type)
    for one in below(image):
        assert images.get_manifest(registry.url, there, one.digest) == (one.raw, one.media_type)
        for digest, content in one.blobs.items():
            assert images.get_blob(registry.url, there, digest) == content
    uploads = [
        uri
        for method, uri, _status in registry.requests()
        if method in ("POST", "PATCH", "PUT") and "/blobs/" in uri
    ]
    needed = {digest for one in below(image) for digest in one.blobs}
    # Elsewhere the blobs show in the other repository already.
    assert len(uploads) == (len(needed) if "own_blobs" in traits() else 0)
    assert all("mount=" in uri for uri in uploads)


def test_many_targets_at_once(connect: Connect, registry: Registry) -> None:
    images.push(registry.url, "many/app", SAMPLES["nested-index"], "source")
    tags = [f"t{number}" for number in range(40)]
    to = [f"many/copy{number % 3}:{number}" for number in range(12)]
    result = retag(connect, registry.url, "many/app:source", tags=tags, to=to)
    digest = SAMPLES["nested-index"].digest
    assert [one["digest"] for one in result["targets"]] == [digest] * 52
    assert images.state(registry.url, "many/app") == dict.fromkeys([*tags, "source"], digest)
    for number in range(3):
        wanted = {str(one): digest for one in range(12) if one % 3 == number}
        assert images.state(registry.url, f"many/copy{number}") == wanted


# Requests


@pytest.mark.registry_does("head_json")
def test_requests_for_a_new_tag(connect: Connect, registry: Registry) -> None:
    images.push(registry.url, "count/new", ONE, "source")
    registry.clear_requests()
    retag(connect, registry.url, "count/new:source", tags=["new", "newer"])
    assert methods(registry) == ["HEAD"] * 3 + ["GET"] + ["PUT"] * 2


@pytest.mark.registry_does("head_json")
@pytest.mark.parametrize("condition", [{"overwrite": False}, {"if_digest": "absent"}])
def test_requests_for_a_new_tag_with_a_condition(
    connect: Connect, registry: Registry, condition: dict[str, t.Any]
) -> None:
    """The third HEAD is the look right before the write."""
    repository = f"count/{next(iter(condition)).replace('_', '-')}"
    images.push(registry.url, repository, ONE, "source")
    registry.clear_requests()
    retag(connect, registry.url, f"{repository}:source", tags=["new"], **condition)
    assert methods(registry) == ["HEAD", "HEAD", "GET", "HEAD", "PUT"]


def test_requests_where_nothing_changes(connect: Connect, registry: Registry) -> None:
    for name in ("source", "a", "b"):
        images.push(registry.url, "count/same", ONE, name)
    registry.clear_requests()
    assert retag(connect, registry.url, "count/same:source", tags=["a", "b"])["changed"] is False
    assert methods(registry) == ["HEAD"] * 3


@pytest.mark.parametrize("known", ["nothing", "expected", "source"])
def test_requests_for_a_tag_that_moves(connect: Connect, registry: Registry, known: str) -> None:
    repository = f"count/move-{known}"
    images.push(registry.url, repository, ONE, "source")
    images.push(registry.url, repository, TWO, "old")
    registry.clear_requests()
    image = f"{repository}@{ONE.digest}" if known == "source" else f"{repository}:source"
    expected = ONE.digest if known == "expected" else None
    retag(connect, registry.url, image, tags=["old"], expected_digest=expected)
    # The old image is read before, and looked for after that; where it is gone it is stored again.
    assert methods(registry)[:6] == ["HEAD", "HEAD", "GET", "GET", "PUT", "HEAD"]
    assert methods(registry)[6:] == ([] if "keep_untagged" in traits() else ["HEAD", "PUT"])
    assert images.head(registry.url, repository, "old") == ONE.digest


def test_an_index_stays_whole_when_the_tag_of_a_part_moves(connect: Connect, registry: Registry) -> None:
    index = images.index([TWO, images.image({"file": "three"}, architecture="arm64")])
    images.push(registry.url, "whole/app", index, "index")
    images.push(registry.url, "whole/app", TWO, "part")
    images.push(registry.url, "whole/app", ONE, "source")
    retag(connect, registry.url, "whole/app:source", tags=["part"])
    for image in below(index):
        assert images.get_manifest(registry.url, "whole/app", image.digest)[0] == image.raw


@pytest.mark.registry_does("head_json")
@pytest.mark.parametrize("known", [False, True])
def test_check_mode_only_looks(connect: Connect, registry: Registry, known: bool) -> None:
    images.push(registry.url, "check/app", ONE, "source")
    images.push(registry.url, "check/app", TWO, "old")
    before = images.state(registry.url, "check/app")
    registry.clear_requests()
    expected = ONE.digest if known else None
    result = retag(
        connect, registry.url, "check/app:source", check_mode=True, tags=["old"], expected_digest=expected
    )
    assert result["changed"] is True
    assert methods(registry) == ["HEAD", "HEAD"]
    retag(connect, registry.url, "check/app:source", check_mode=True, to=["check/other:new"])
    assert methods(registry) == ["HEAD"] * 4
    assert images.state(registry.url, "check/app") == before
    assert images.tags(registry.url, "check/other") == []


# Conditions


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    "image, condition, digests",
    [
        ("source", {"expected_digest": TWO.digest}, [ONE.digest, TWO.digest]),
        ("@" + ONE.digest, {"expected_digest": TWO.digest}, [ONE.digest, TWO.digest]),
        ("source", {"if_digest": ONE.digest}, ["absent", ONE.digest]),
        ("source", {"if_digest": "absent"}, [TWO.digest, "absent"]),
        ("source", {"overwrite": False}, [TWO.digest, ONE.digest]),
        ("source", {"to": [{"image": "a/b:missing", "if_digest": TWO.digest}]}, ["absent", TWO.digest]),
        ("source", {"to": [{"image": "c/d:missing", "if_digest": ONE.digest}]}, ["absent", ONE.digest]),
    ],
)
def test_a_condition_refuses_before_any_write(
    connect: Connect, image: str, condition: dict[str, t.Any], digests: list[str], check_mode: bool
) -> None:
    """Other targets, which the condition does not stop, are left alone as well."""
    with HostileRegistry() as server:
        seeded(server)
        name = f"a/b{image}" if image.startswith("@") else f"a/b:{image}"
        with pytest.raises(Refused, match="nothing was changed|but overwrite is false") as caught:
            retag(connect, server.url, name, tags=["new", "old"], check_mode=check_mode, **condition)
        assert all(digest in str(caught.value) for digest in digests)
        assert server.count(WRITES) == 0
        assert server.repositories["a/b"].tags == {"source": ONE.digest, "old": TWO.digest}


def test_conditions_that_hold(connect: Connect) -> None:
    with HostileRegistry() as server:
        seeded(server)
        result = retag(
            connect,
            server.url,
            "a/b:source",
            tags=["old"],
            to=[{"image": "a/b:new", "if_digest": "absent"}, "c/d:1"],
            expected_digest=ONE.digest,
            if_digest=None,
        )
        assert [one["changed"] for one in result["targets"]] == [True] * 3
        again = retag(connect, server.url, "a/b:source", tags=["old"], overwrite=False, if_digest=ONE.digest)
        assert again["changed"] is False


def test_conditions_do_not_stand_against_running_a_task_twice(connect: Connect) -> None:
    with HostileRegistry() as server:
        seeded(server)
        swap: dict[str, t.Any] = {"tags": ["old"], "if_digest": TWO.digest}
        create: dict[str, t.Any] = {"tags": ["new"], "if_digest": "absent"}
        for task in (swap, create):
            assert retag(connect, server.url, "a/b:source", **task)["changed"] is True
            assert retag(connect, server.url, "a/b:source", **task)["changed"] is False


def test_a_condition_of_a_target_goes_before_that_of_all(connect: Connect) -> None:
    with HostileRegistry() as server:
        seeded(server)
        to = [{"image": "a/b:new", "if_digest": "absent"}]
        retag(connect, server.url, "a/b:source", tags=["old"], to=to, if_digest=TWO.digest)
        assert server.repositories["a/b"].tags == dict.fromkeys(["source", "old", "new"], ONE.digest)


def test_a_registry_whose_head_always_says_404_does_not_defeat_conditions(connect: Connect) -> None:
    with HostileRegistry(head="404") as server:
        seeded(server)
        with pytest.raises(Refused):
            retag(connect, server.url, "a/b:source", tags=["old"], overwrite=False)
        with pytest.raises(Refused):
            retag(connect, server.url, "a/b:source", tags=["old"], if_digest="absent")
        assert server.count(WRITES) == 0


# What cannot be tagged


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("target", ["old", "new"])
@pytest.mark.parametrize("missing", ["a/b:nothing", "a/b@" + ABSENT, "no/such:1"])
def test_no_such_image(connect: Connect, missing: str, target: str, check_mode: bool) -> None:
    with HostileRegistry() as server:
        seeded(server)
        with pytest.raises(NotFound, match=f"/{missing} does not exist"):
            retag(connect, server.url, missing, to=[f"a/b:{target}"], check_mode=check_mode)
        assert server.count(WRITES) == 0


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("target", ["schema1/app:new", "schema1/app:old", "schema1/other:new"])
def test_schema_1(connect: Connect, check_mode: bool, target: str) -> None:
    with Registry(schema1=True) as server:
        images.push_schema1(server.url, "schema1/app", "source")
        images.push(server.url, "schema1/app", ONE, "old")
        with pytest.raises(
            Unsupported, match="is a schema 1 manifest, which .* do not store: push the image anew"
        ):
            retag(connect, server.url, "schema1/app:source", to=[target], check_mode=check_mode)
        assert images.tags(server.url, "schema1/app") == ["old", "source"]
        assert images.head(server.url, "schema1/app", "old") == ONE.digest
        same = retag(connect, server.url, "schema1/app:source", tags=["source"], check_mode=check_mode)
        assert same["changed"] is False


# Failures


def test_failure_of_one_target_in_the_middle(connect: Connect) -> None:
    with HostileRegistry(fail_first=-1, fail_status=500, fail_on="PUT .*/manifests/t2") as server:
        seeded(server)
        with pytest.raises(RegistryError, match="a/b:t2 cannot be written") as caught:
            retag(connect, server.url, "a/b:source", tags=["t1", "t2", "old"], to=["c/d:1"])
        digests = {"t1": ONE.digest, "t2": None, "old": ONE.digest, "1": ONE.digest}
        assert caught.value.result["changed"] is True
        assert {
            one["image"].rpartition(":")[2]: one["digest"] for one in caught.value.result["targets"]
        } == digests
        assert server.repositories["a/b"].tags == {"source": ONE.digest, "t1": ONE.digest, "old": ONE.digest}


def test_another_repository_that_fails_stops_the_rest(connect: Connect) -> None:
    with HostileRegistry(fail_first=-1, fail_status=500, fail_on="PUT /v2/c/d/manifests/") as server:
        seeded(server)
        with pytest.raises(RegistryError) as caught:
            retag(connect, server.url, "a/b:source", tags=["old"], to=["c/d:1"])
        assert caught.value.result["changed"] is False
        assert server.repositories["a/b"].tags["old"] == TWO.digest


def test_a_write_that_was_carried_out_although_its_answer_was_lost(connect: Connect) -> None:
    """The tag moved, so the result must not say that it did not."""
    with HostileRegistry(drop_first=1, drop_on="PUT .*/old", drop_when="after") as server:
        seeded(server)
        with pytest.raises(RegistryError) as caught:
            retag(connect, server.url, "a/b:source", tags=["old"])
        assert caught.value.kind == "unreachable"
        assert caught.value.result["changed"] is True
        (target,) = caught.value.result["targets"]
        assert (target["digest_before"], target["digest"]) == (TWO.digest, ONE.digest)
        assert server.repositories["a/b"].tags["old"] == ONE.digest


@pytest.mark.parametrize("to", [{"tags": ["old"]}, {"to": ["c/d:old"]}])
def test_what_became_of_a_tag_is_unknown_if_it_cannot_be_looked_up(
    connect: Connect, to: dict[str, t.Any]
) -> None:
    """The tag moved, the answer was lost, and so is every other one: the error says what is not known."""
    with HostileRegistry(drop_first=-1, drop_on="PUT .*/old", drop_when="after") as server:
        seeded(server)

        def before(request: Request) -> None:
            if request.method == "PUT" and request.path.endswith("/old"):
                server.behaviour.drop_on = "/old"

        server.before = before
        with pytest.raises(RegistryError, match="What became of .*:old could not be looked up") as caught:
            retag(connect, server.url, "a/b:source", **to)
        assert caught.value.kind == "unreachable"
        repository = "a/b" if "tags" in to else "c/d"
        assert server.repositories[repository].tags["old"] == ONE.digest
        assert (
            caught.value.result["targets"][0]["digest"] == caught.value.result["targets"][0]["digest_before"]
        )


@pytest.mark.parametrize(
    "behaviour", [{"digest_header": "wrong-put"}, {"manifest_put": "ignored", "digest_header": "missing"}]
)
def test_a_registry_that_stores_something_else(connect: Connect, behaviour: dict[str, t.Any]) -> None:
    with HostileRegistry(**behaviour) as server:
        seeded(server)
        with pytest.raises(DigestMismatch, match=f"The registry stored .* not {ONE.digest}") as caught:
            retag(connect, server.url, "a/b:source", tags=["old"])
        (target,) = caught.value.result["targets"]
        assert target["digest"] == server.repositories["a/b"].tags["old"]
        assert caught.value.result["changed"] is target["changed"] is (target["digest"] != TWO.digest)


def test_other_bytes_than_the_digest_promises_are_not_written(connect: Connect) -> None:
    with HostileRegistry(wrong_bytes="manifest") as server:
        seeded(server)
        with pytest.raises(RegistryError) as caught:
            retag(connect, server.url, f"a/b@{ONE.digest}", tags=["new"])
        assert caught.value.kind == "digest_mismatch"
        assert server.count(WRITES) == 0


def test_a_source_that_moves_meanwhile_is_taken_as_it_was_compared(connect: Connect) -> None:
    def push_meanwhile(request: Request) -> None:
        if request.method == "GET":
            server.before = None
            server.add("a/b", images.image({"file": "three"}), "source")

    with HostileRegistry() as server:
        seeded(server)
        server.before = push_meanwhile
        result = retag(connect, server.url, "a/b:source", tags=["old"])
        assert result["digest"] == ONE.digest
        assert server.repositories["a/b"].tags["old"] == ONE.digest


def test_registries_that_cannot_mount(connect: Connect) -> None:
    with HostileRegistry(mount="202") as server:
        seeded(server)
        retag(connect, server.url, "a/b:source", to=["c/d:1"])
        assert server.repositories["c/d"].tags == {"1": ONE.digest}
        assert server.repositories["c/d"].blobs == ONE.blobs
