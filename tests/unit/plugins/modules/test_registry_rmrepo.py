# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_rmrepo deletes all of a repository and nothing else, or says what is left."""

from __future__ import annotations

import re
import typing as t

import pytest
import requests

from ansible_collections.ocikit.registry.plugins.module_utils import _parallel
from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    RegistryError,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_rmrepo
from tests.hostile import HostileRegistry
from tests.registries import Registry, images, stored, traits
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]
WRITES = "^(PUT|POST|PATCH|DELETE) "


def simple(text: str, subject: images.Image | None = None) -> images.Image:
    return images.image({"file": text}, subject=subject)


ONE = simple("one")
TWO = simple("two")
CHILD = simple("child")
INNER = images.index([CHILD, simple("other child")])
OUTER = images.index([INNER, TWO], attestations=True)
SUBJECT = simple("subject without a tag")
SIGNATURE = images.artifact("application/vnd.example.signature", b"s", "text/plain", subject=SUBJECT)
SBOM = images.artifact("application/vnd.example.sbom", b"b", "text/plain", subject=ONE)
SBOM_SIGNATURE = images.artifact("application/vnd.example.signature", b"ss", "text/plain", subject=SBOM)
FALLBACK = images.referrers_index([SBOM])
COSIGN = images.artifact("application/vnd.example.cosign", b"c", "text/plain")

TAGGED = {
    "1": ONE,
    "latest": ONE,
    "multi": OUTER,
    "schema2": images.image({"file": "docker"}, media="docker"),
    "signature": SIGNATURE,
    images.referrers_tag(ONE): FALLBACK,
    images.referrers_tag(ONE) + ".sig": COSIGN,
}


def tagged() -> dict[str, images.Image]:
    """What a registry stores of TAGGED."""
    return {tag: image for tag, image in TAGGED.items() if stored(image)}


def everything() -> set[str]:
    """The digests of all manifests that the tags lead to."""
    found: set[str] = set()

    def add(image: images.Image) -> None:
        found.add(image.digest)
        for child in getattr(image, "children", ()):
            add(child)

    for image in (*tagged().values(), SUBJECT):
        add(image)
    return found


def seed(url: str, repository: str) -> None:
    for image in (SUBJECT, SBOM):
        images.push(url, repository, image)
    for tag, image in tagged().items():
        images.push(url, repository, image, tag)


def remove(
    connect: Connect, url: str, repository: str, check_mode: bool = False, **params: t.Any
) -> dict[str, t.Any]:
    clients, _client = connect(url, retries=0)
    named = {"repository": repository, "confirm": repository, **params}
    return task(registry_rmrepo, clients, check_mode=check_mode, **named)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parallel, "_PAUSES", (0, 0.01))


def deletions(requests: t.Iterable[tuple[str, str, int]]) -> list[str]:
    return [
        uri.rpartition("/")[2] for method, uri, status in requests if method == "DELETE" and status == 202
    ]


def test_everything_goes_and_nothing_else(connect: Connect, registry: Registry) -> None:
    seed(registry.url, "all/app")
    images.push(registry.url, "all/app-2", OUTER, "multi")
    before = images.state(registry.url, "all/app-2")
    registry.clear_requests()
    predicted = remove(connect, registry.url, "all/app", check_mode=True)
    assert {method for method, _uri, _status in registry.requests()} <= {"GET", "HEAD"}

    result = remove(connect, registry.url, "all/app")
    assert result == predicted
    assert result["changed"] is True
    assert {one["digest"] for one in result["manifests"]} == everything()
    assert {one["tag"]: one["digest"] for one in result["tags"]} == {
        tag: image.digest for tag, image in tagged().items()
    }
    assert all(one["deleted"] for one in [*result["tags"], *result["manifests"]])
    deleted = [name for name in deletions(registry.requests()) if ":" in name]
    if "digest_tags" in traits():
        assert deleted == [one["digest"] for one in result["manifests"]]
    else:
        # The first with a tag is deleted again once its tags are.
        assert set(deleted) == {one["digest"] for one in result["manifests"]}
    assert images.tags(registry.url, "all/app") == []
    assert not [digest for digest in everything() if images.head(registry.url, "all/app", digest)]
    assert images.state(registry.url, "all/app-2") == before
    assert images.head(registry.url, "all/app-2", CHILD.digest) == CHILD.digest

    again = remove(connect, registry.url, "all/app")
    assert (again["changed"], again["tags"], again["manifests"], again["note"]) == (False, [], [], None)
    assert again["diff"] == {"before": "", "after": ""}


def test_order_and_tags_of_the_result(connect: Connect, registry: Registry) -> None:
    seed(registry.url, "order/app")
    result = remove(connect, registry.url, "order/app")
    place = {one["digest"]: number for number, one in enumerate(result["manifests"])}
    for image in (OUTER, INNER, FALLBACK):
        assert all(place[image.digest] < place[child.digest] for child in image.children)
    for referrer, subject in ((SIGNATURE, SUBJECT), (SBOM, ONE)):
        assert place[referrer.digest] < place[subject.digest]
    # An index is followed by what is its own, so that a failure leaves little behind.
    family = {OUTER.digest, *(child.digest for child in (*OUTER.children, *INNER.children))}
    assert max(map(place.__getitem__, family)) - min(map(place.__getitem__, family)) == len(family) - 1
    assert {tuple(one["tags"]) for one in result["manifests"] if one["digest"] == ONE.digest} == {
        ("1", "latest")
    }


def test_a_manifest_in_several_indexes_goes_after_all_of_them(connect: Connect, registry: Registry) -> None:
    inner = images.index([CHILD])
    indexes = [images.index([CHILD, simple(text)]) for text in ("a", "b", "c")] + [
        images.index([CHILD, inner])
    ]
    for number, index in enumerate(indexes):
        images.push(registry.url, "shared/app", index, f"index-{number}")
    digests = [one["digest"] for one in remove(connect, registry.url, "shared/app")["manifests"]]
    assert len(digests) == len(set(digests)) == 9
    assert digests.index(CHILD.digest) > max(digests.index(index.digest) for index in [inner, *indexes])


def test_diff(connect: Connect, registry: Registry) -> None:
    images.push(registry.url, "diff/app", images.index([CHILD]), "multi")
    diff = remove(connect, registry.url, "diff/app", check_mode=True)["diff"]
    name = f"{registry.host}/diff/app"
    assert diff["before"] == (
        f"{name}:multi {images.index([CHILD]).digest}\n{name}@{CHILD.digest} {CHILD.digest}\n"
    )
    assert diff["after"] == f"{name}:multi absent\n{name}@{CHILD.digest} absent\n"


def test_unknown_repository(connect: Connect, registry: Registry) -> None:
    registry.clear_requests()
    result = remove(connect, registry.url, "no/such")
    assert (result["changed"], result["tags"], result["manifests"]) == (False, [], [])
    assert [method for method, _uri, _status in registry.requests()] == ["GET"]


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    "confirm", ["app", "confirm/ap", "127.0.0.1/confirm/app", "", "CONFIRM/APP", "confirm/app "]
)
def test_confirm(connect: Connect, registry: Registry, confirm: str, check_mode: bool) -> None:
    images.push(registry.url, "confirm/app", ONE, "1")
    registry.clear_requests()
    with pytest.raises(InvalidInput, match="only if confirm is 'confirm/app'"):
        remove(connect, registry.url, "confirm/app", confirm=confirm, check_mode=check_mode)
    assert registry.requests() == []


def test_confirm_has_no_host(connect: Connect, registry: Registry) -> None:
    images.push(registry.url, "full/app", ONE, "1")
    assert remove(connect, registry.url, f"{registry.host}/full/app", confirm="full/app")["changed"] is True


@pytest.mark.parametrize("written", ["a/b:1", "a/b@" + ONE.digest])
def test_a_tag_or_digest_is_no_repository(connect: Connect, registry: Registry, written: str) -> None:
    with pytest.raises(InvalidInput, match="leave out the tag and the digest"):
        remove(connect, registry.url, written, confirm="a/b")


def test_digests_must_be_digests(connect: Connect, registry: Registry) -> None:
    with pytest.raises(InvalidInput, match="not a valid digest"):
        remove(connect, registry.url, "a/b", digests=["1.2"])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"delete": False}, marks=pytest.mark.registry_does("405")),
        pytest.param({"readonly": True}, marks=pytest.mark.registry_does("readonly_405")),
    ],
)
def test_deletion_that_is_not_allowed_changes_nothing(
    connect: Connect, tmp_path: t.Any, options: dict[str, t.Any]
) -> None:
    with Registry(storage=tmp_path) as writable:
        seed(writable.url, "a/b")
    with Registry(storage=tmp_path, **options) as server:
        before = images.state(server.url, "a/b")
        with pytest.raises(Unsupported, match="does not allow deletion, so nothing was changed") as caught:
            remove(connect, server.url, "a/b")
        assert caught.value.result["changed"] is False
        assert not any(one["deleted"] for one in caught.value.result["manifests"])
        assert images.state(server.url, "a/b") == before
        writes = [uri for method, uri, _status in server.requests() if re.match(WRITES, method + " ")]
        assert len(writes) == 1 and writes[0].rpartition("/")[2] not in everything()


def test_what_cannot_be_read_is_not_deleted(connect: Connect) -> None:
    with HostileRegistry(
        fail_first=-1, fail_status=500, fail_on=f"GET .*/manifests/{CHILD.digest}"
    ) as server:
        for tag, image in TAGGED.items():
            server.add("a/b", image, tag)
        with pytest.raises(RegistryError) as caught:
            remove(connect, server.url, "a/b")
        assert caught.value.kind == "server"
        assert server.count(WRITES) == 0


def test_other_content_than_the_digest_promises_is_not_deleted(connect: Connect) -> None:
    with HostileRegistry() as server:
        server.add("a/b", ONE, "1")
        server.repositories["a/b"].manifests[ONE.digest] = (ONE.media_type, TWO.raw)
        with pytest.raises(RegistryError) as caught:
            remove(connect, server.url, "a/b")
        assert caught.value.kind == "digest_mismatch"
        assert server.count(WRITES) == 0


def test_a_child_that_is_gone_is_no_obstacle(connect: Connect, registry: Registry) -> None:
    index = images.index([CHILD, TWO])
    images.push(registry.url, "sparse/app", index, "multi")
    first = remove(connect, registry.url, "sparse/app", check_mode=True)
    url = f"{registry.url}/v2/sparse/app/manifests/{CHILD.digest}"
    assert requests.delete(url, timeout=20).status_code == 202
    result = remove(connect, registry.url, "sparse/app")
    left = {one["digest"] for one in first["manifests"]} - {CHILD.digest}
    assert {one["digest"] for one in result["manifests"]} == left
    assert not [digest for digest in left if images.head(registry.url, "sparse/app", digest)]


def test_referrers_by_the_api(connect: Connect) -> None:
    with HostileRegistry(referrers="on") as server:
        server.add("a/b", ONE, "1")
        for image in (SBOM, SBOM_SIGNATURE):
            server.add("a/b", image)
        result = remove(connect, server.url, "a/b")
        assert [one["digest"] for one in result["manifests"]] == [
            image.digest for image in (SBOM_SIGNATURE, SBOM, ONE)
        ]
        assert server.repositories["a/b"].manifests == {}


def test_tags_go_first_where_tagged_manifests_stay(connect: Connect) -> None:
    with HostileRegistry(digest_delete="403tagged") as server:
        for tag, image in TAGGED.items():
            server.add("a/b", image, tag)
        result = remove(connect, server.url, "a/b")
        assert all(one["deleted"] for one in [*result["tags"], *result["manifests"]])
        assert (server.repositories["a/b"].manifests, server.repositories["a/b"].tags) == ({}, {})
        # The probe, each manifest, and the first one with tags a second time: what it takes is found out once.
        assert server.count("^DELETE .*/sha256:") == 1 + len(result["manifests"]) + 1


def test_tagged_manifests_stay_and_so_do_tags(connect: Connect) -> None:
    with HostileRegistry(digest_delete="403tagged", tag_delete="405") as server:
        server.add("a/b", ONE, "1")
        with pytest.raises(RegistryError, match="0 of 1 manifests were deleted") as caught:
            remove(connect, server.url, "a/b")
        assert caught.value.kind == "denied"
        assert caught.value.result["changed"] is False
        assert server.repositories["a/b"].tags == {"1": ONE.digest}


def test_a_tag_that_moves_is_not_deleted_by_name(connect: Connect) -> None:
    with HostileRegistry(digest_delete="403tagged") as server:
        server.add("a/b", ONE, "1")
        server.add("a/b", ONE, "2")

        def push_meanwhile(request: t.Any) -> None:
            if request.method == "DELETE":
                server.before = None
                server.add("a/b", TWO, "1")

        server.before = push_meanwhile
        with pytest.raises(Unsupported, match="something was pushed meanwhile") as caught:
            remove(connect, server.url, "a/b")
        assert server.repositories["a/b"].tags == {"1": TWO.digest}
        assert set(server.repositories["a/b"].manifests) == {TWO.digest}
        assert caught.value.result["tags"] == [
            {"tag": "1", "digest": ONE.digest, "deleted": False},
            {"tag": "2", "digest": ONE.digest, "deleted": True},
        ]
        assert remove(connect, server.url, "a/b")["changed"] is True
        assert server.repositories["a/b"].manifests == {}


def test_failure_at_the_first_manifest(connect: Connect) -> None:
    with HostileRegistry(digest_delete="500once") as server:
        for tag, image in TAGGED.items():
            server.add("a/b", image, tag)
        with pytest.raises(
            RegistryError, match="0 of [0-9]+ manifests were deleted: run this again"
        ) as caught:
            remove(connect, server.url, "a/b")
        assert (caught.value.kind, caught.value.result["changed"]) == ("server", False)
        assert set(server.repositories["a/b"].tags) == set(TAGGED)
        assert remove(connect, server.url, "a/b")["changed"] is True
        assert (server.repositories["a/b"].manifests, server.repositories["a/b"].tags) == ({}, {})


def test_failure_half_way(connect: Connect) -> None:
    """One child resists. Its siblings still go, as nothing would lead to them; other images are left to a later run."""
    failing = f"DELETE .*/{CHILD.digest}"
    index, later = images.index([CHILD, TWO, ONE]), simple("later")
    with HostileRegistry(fail_first=1, fail_status=500, fail_on=failing) as server:
        server.add("a/b", index, "a")
        server.add("a/b", later, "b")
        planned = remove(connect, server.url, "a/b", check_mode=True)["manifests"]
        with pytest.raises(RegistryError) as caught:
            remove(connect, server.url, "a/b")
        result = caught.value.result
        there = set(server.repositories["a/b"].manifests)
        assert result["changed"] is True
        assert [one["digest"] for one in result["manifests"]] == [one["digest"] for one in planned]
        assert {one["digest"] for one in result["manifests"] if not one["deleted"]} == there
        assert {one["tag"] for one in result["tags"] if not one["deleted"]} == set(
            server.repositories["a/b"].tags
        )
        assert there - {later.digest} == {CHILD.digest}
        assert result["stranded"] == [CHILD.digest]
        assert CHILD.digest in str(caught.value)

        again = remove(connect, server.url, "a/b", digests=result["stranded"])
        assert {one["digest"] for one in again["manifests"]} == there
        assert (server.repositories["a/b"].manifests, server.repositories["a/b"].tags) == ({}, {})
        assert remove(connect, server.url, "a/b", digests=result["stranded"])["changed"] is False


@pytest.mark.parametrize(
    ("switch", "sentence"),
    [
        ({"digest_delete": "ignored"}, "accepted all deletions, but still serves or lists sha256:"),
        (
            {"digest_delete": "ignored", "tag_delete": "ignored"},
            "accepted all deletions, but still serves or lists 1, sha256:",
        ),
        ({"digest_delete": "ignored", "tag_delete": "405"}, "nor 1 by its name, so both stay: .* 405"),
    ],
)
def test_deletions_that_do_not_happen_are_noticed(
    connect: Connect, switch: dict[str, t.Any], sentence: str
) -> None:
    with HostileRegistry(**switch) as server:
        tags = server.repository("a/b").tags
        server.add("a/b", ONE, "1")
        with pytest.raises(Unsupported, match=sentence) as caught:
            remove(connect, server.url, "a/b")
        assert caught.value.result["changed"] is (not tags)
        assert not any(one["deleted"] for one in caught.value.result["manifests"])
        assert [one["deleted"] for one in caught.value.result["tags"]] == [not tags]


@pytest.mark.parametrize("tag_delete", ["202", "400"])
def test_tag_that_leads_to_nothing(connect: Connect, tag_delete: str) -> None:
    with HostileRegistry(tag_delete=tag_delete) as server:
        server.add("a/b", ONE, "1")
        server.repositories["a/b"].tags["dangling"] = TWO.digest
        result = remove(connect, server.url, "a/b")
        assert {"tag": "dangling", "digest": None, "deleted": True} in result["tags"]
        assert server.repositories["a/b"].tags == {} and server.repositories["a/b"].manifests == {}


@pytest.mark.parametrize("digest_delete", ["keep-tags", "dangling"])
def test_tags_that_survive_their_digest_go_by_their_names(connect: Connect, digest_delete: str) -> None:
    """As on go-containerregistry's registry, CUE's and Nexus."""
    with HostileRegistry(digest_delete=digest_delete) as server:
        for tag, image in TAGGED.items():
            server.add("a/b", image, tag)
        result = remove(connect, server.url, "a/b")
        assert all(one["deleted"] for one in [*result["tags"], *result["manifests"]])
        assert server.repositories["a/b"].tags == {} == server.state("a/b")


@pytest.mark.parametrize("digest_delete", ["keep-tags", "dangling"])
def test_tags_that_survive_their_digest_and_their_name_keep_it(connect: Connect, digest_delete: str) -> None:
    with HostileRegistry(digest_delete=digest_delete, tag_delete="405") as server:
        server.add("a/b", ONE, "1")
        server.add("a/b", TWO, "2")
        with pytest.raises(
            Unsupported, match="does not delete tags along with .*, so both stay: .* 405"
        ) as caught:
            remove(connect, server.url, "a/b")
        result = caught.value.result
        assert result["changed"] is False
        assert not any(one["deleted"] for one in [*result["tags"], *result["manifests"]])
        assert server.state("a/b") == {"1": ONE.digest, "2": TWO.digest}


def test_garbage_collection_is_needed_on_distribution(connect: Connect, registry: Registry) -> None:
    images.push(registry.url, "space/app", ONE, "1")
    result = remove(connect, registry.url, "space/app")
    assert result["needs_garbage_collection"] is True
    assert "registry garbage-collect" in result["note"]
    assert images.get_blob(registry.url, "space/app", next(iter(ONE.blobs))) is not None


def test_garbage_collection_that_happened_is_seen(connect: Connect) -> None:
    with HostileRegistry() as server:
        server.add("a/b", ONE, "1")

        def collect(request: t.Any) -> None:
            if request.method == "HEAD" and "/blobs/" in request.path:
                server.repositories["a/b"].blobs.clear()

        server.before = collect
        result = remove(connect, server.url, "a/b")
        assert result["needs_garbage_collection"] is False
        assert "nothing left to do" in result["note"]
