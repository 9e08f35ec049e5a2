# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_rmtag removes the tags that were named; others keep their image, whatever the registry does."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    Refused,
    RegistryError,
    ServerFault,
    Unsupported,
)
from tests.hostile import HostileRegistry
from tests.hostile.server import Handler
from tests.registries import Registry, images
from tests.unit.removing import (
    AFTER,
    CHILD,
    DIGEST_DELETES,
    DOCKER,
    INNER,
    LIST,
    NO_TAG_DELETE,
    ONE,
    OUTER,
    PUTS,
    SBOM,
    SIGNATURE,
    SIGNED,
    STATE,
    TAGS,
    TWO,
    WRITES,
    Connect,
    meanwhile,
    rm,
    seeded,
)

# Siblings


@pytest.mark.parametrize("tag_delete", ["202", *NO_TAG_DELETE])
def test_siblings_stay(connect: Connect, tag_delete: str) -> None:
    with HostileRegistry(tag_delete=tag_delete) as server:
        tags = seeded(server)
        result = rm(connect, server.url, "1")
        assert tags == AFTER
        assert set(server.repositories["a/b"].manifests) == {ONE.digest, TWO.digest}
        by_tag = tag_delete == "202"
        assert [one["method"] for one in result["removed"]] == ["tag" if by_tag else "placeholder"]
        assert server.count(PUTS) == (0 if by_tag else 1)


@pytest.mark.parametrize("digest_delete", ["202", "dangling", "untag"])
@pytest.mark.parametrize("strategy", ["auto", "tag"])
def test_siblings_that_a_registry_deletes_along_are_put_back(
    connect: Connect, strategy: str, digest_delete: str
) -> None:
    """They are known by their names alone, so that a repository of any size needs no more requests."""
    with HostileRegistry(tag_delete="digest", digest_delete=digest_delete) as server:
        seeded(server)
        if digest_delete == "dangling":
            # The names stay, and lead to the image again when that is put back.
            with pytest.raises(Unsupported, match="accepted the deletion but still serves or lists 1"):
                rm(connect, server.url, "1", "2", strategy=strategy)
            assert server.state("a/b") == STATE
            return
        with pytest.raises(
            Unsupported, match="tags that were not named .*put back: 1.0, latest\\)"
        ) as caught:
            rm(connect, server.url, "1", "2", strategy=strategy)
        assert "choose the strategy placeholder" in str(caught.value)
        assert server.state("a/b") == AFTER
        assert server.repositories["a/b"].manifests[ONE.digest] == (ONE.media_type, ONE.raw)
        assert caught.value.result["changed"] is True
        assert [one["tag"] for one in caught.value.result["removed"]] == ["1"]


def test_after_siblings_were_deleted_along_the_placeholder_helps(connect: Connect) -> None:
    with HostileRegistry(tag_delete="digest") as server:
        tags = seeded(server)
        rm(connect, server.url, "1", "2", strategy="placeholder")
        assert tags == {"1.0": ONE.digest, "latest": ONE.digest}


def test_siblings_that_cannot_be_put_back_are_named(connect: Connect) -> None:
    with HostileRegistry(
        tag_delete="digest", fail_first=-1, fail_status=500, fail_on="PUT .*/manifests/1.0"
    ) as server:
        tags = seeded(server)
        with pytest.raises(Unsupported) as caught:
            rm(connect, server.url, "1")
        assert f"(put back: latest; could not be put back: 1.0 ({ONE.digest}))" in str(caught.value)
        assert tags == {"latest": ONE.digest, "2": TWO.digest}


def test_a_tag_that_another_task_removes_is_no_sibling_that_was_lost(connect: Connect) -> None:
    """The registry drops the image with its last tag, as zot 1.4.3 does: other tags may go at the same time."""
    with HostileRegistry(last_tag="drop") as server:
        tags = seeded(server, {"last": TWO, "other": DOCKER})
        meanwhile(server, "DELETE .*/last$", lambda: server.repositories["a/b"].remove_tag("other"))
        rm(connect, server.url, "last")
        assert tags == {}
        assert TWO.digest in server.repositories["a/b"].manifests


@pytest.mark.parametrize("strategy", ["auto", "placeholder"])
def test_an_image_that_goes_with_its_last_tag_is_put_back(connect: Connect, strategy: str) -> None:
    """An index may need it."""
    with HostileRegistry(last_tag="drop") as server:
        tags = seeded(server, {"x": CHILD, "y": TWO, "multi": INNER})
        rm(connect, server.url, "x", "y", strategy=strategy)
        assert tags == {"multi": INNER.digest}
        manifests = server.repositories["a/b"].manifests
        for image in (CHILD, TWO):
            assert manifests[image.digest] == (image.media_type, image.raw)


def test_an_image_that_goes_with_its_last_tag_and_cannot_be_put_back_is_warned_about(
    connect: Connect, events: t.Any
) -> None:
    with HostileRegistry(
        last_tag="drop", fail_first=-1, fail_status=500, fail_on=f"PUT .*{CHILD.digest}"
    ) as server:
        seeded(server, {"x": CHILD, "multi": INNER})
        assert rm(connect, server.url, "x")["changed"] is True
        (warning,) = events.warnings
        assert f"a/b@{CHILD.digest} is gone with its last tag" in warning


@pytest.mark.registry_does_not("keep_untagged")
def test_the_child_of_an_index_survives_its_tag_on_a_real_registry(
    connect: Connect, registry: Registry
) -> None:
    images.push(registry.url, "dropped/app", CHILD, "child")
    images.push(registry.url, "dropped/app", images.index([CHILD]), "multi")
    rm(connect, registry.url, "child", image="dropped/app")
    assert images.head(registry.url, "dropped/app", CHILD.digest) == CHILD.digest


@pytest.mark.parametrize("strategy", ["auto", "placeholder"])
def test_many_tags_at_once(connect: Connect, strategy: str) -> None:
    """Two placeholders do for 300 tags, and one probe."""
    with HostileRegistry(tag_delete="400") as server:
        many = [f"t{number:03}" for number in range(300)]
        tags = seeded(server, {**dict.fromkeys(many[:150], ONE), **dict.fromkeys(many[150:], DOCKER), **TAGS})
        result = rm(connect, server.url, *many, strategy=strategy)
        assert tags == STATE
        assert [one["tag"] for one in result["removed"]] == many
        assert {one["method"] for one in result["removed"]} == {"placeholder"}
        assert server.count(DIGEST_DELETES) == 2 + 1


@pytest.mark.parametrize(
    "tagged, prefix",
    [
        ({"x": DOCKER}, "application/vnd.docker."),
        ({"x": images.index([DOCKER], media="docker"), "y": DOCKER}, "application/vnd.docker."),
        ({"x": ONE}, "application/vnd.oci."),
        ({"x": OUTER}, "application/vnd.oci."),
        ({"x": DOCKER, "y": ONE}, "application/vnd.oci."),
    ],
)
def test_the_placeholder_is_of_the_family_of_the_image(
    connect: Connect, tagged: dict[str, images.Image], prefix: str
) -> None:
    seen: list[tuple[str, dict[str, t.Any]]] = []

    with HostileRegistry(tag_delete="405") as server:
        tags = seeded(server, tagged)

        def look() -> None:
            media_type, raw = server.repositories["a/b"].manifests[tags["x"]]
            seen.append((media_type, json.loads(raw)))

        meanwhile(server, DIGEST_DELETES, look, count=2)
        rm(connect, server.url, *tagged)
    ((media_type, manifest),) = seen
    parts = [manifest["mediaType"], manifest["config"]["mediaType"], manifest["layers"][0]["mediaType"]]
    assert all(one.startswith(prefix) for one in [media_type, *parts])
    assert tags == {}
    labels = json.loads(server.repositories["a/b"].blobs[manifest["config"]["digest"]])["config"]["Labels"]
    assert json.loads(labels["ocikit.registry.removed"]) == {tag: one.digest for tag, one in tagged.items()}


# Registries that cannot, or fail


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"delete": False}, marks=pytest.mark.registry_does("405")),
        pytest.param({"readonly": True}, marks=pytest.mark.registry_does("readonly_405")),
    ],
)
def test_deletion_that_is_not_allowed_changes_nothing(
    connect: Connect, tmp_path: pathlib.Path, options: dict[str, t.Any]
) -> None:
    with Registry(storage=tmp_path) as writable:
        for tag, image in TAGS.items():
            images.push(writable.url, "a/b", image, tag)
    with Registry(storage=tmp_path, **options) as server:
        with pytest.raises(Unsupported, match="does not allow deletion, so nothing was changed") as caught:
            rm(connect, server.url, "1")
        assert caught.value.result == {"changed": False, "removed": []}
        assert not [
            method for method, _uri, _status in server.requests() if method in ("PUT", "POST", "PATCH")
        ]
        assert images.state(server.url, "a/b") == STATE


@pytest.mark.parametrize(
    "behaviour, kind", [("405", "unsupported"), ("500", "server"), ("403tagged", "denied")]
)
@pytest.mark.parametrize("tag_delete", NO_TAG_DELETE)
def test_a_digest_that_cannot_be_deleted(
    connect: Connect, behaviour: str, kind: str, tag_delete: str
) -> None:
    """What the probe does not tell comes out with the placeholder: it is rolled back."""
    with HostileRegistry(tag_delete=tag_delete, digest_delete=behaviour) as server:
        tags = seeded(server)
        with pytest.raises(RegistryError) as caught:
            rm(connect, server.url, "1", "2")
        assert caught.value.kind == kind
        assert caught.value.result == {"changed": False, "removed": []}
        assert tags == STATE
        probed = behaviour == "405"
        assert ("all tags were put back and verified" in str(caught.value)) is not probed
        assert (server.count(PUTS) == 0) is probed


def test_a_failure_after_the_placeholder_is_rolled_back_and_can_be_repeated(connect: Connect) -> None:
    with HostileRegistry(tag_delete="400", digest_delete="500once") as server:
        tags = seeded(server)
        with pytest.raises(ServerFault, match="After this failure all tags were put back and verified"):
            rm(connect, server.url, "1", "2")
        assert tags == STATE
        assert server.repositories["a/b"].manifests[ONE.digest] == (ONE.media_type, ONE.raw)
        rm(connect, server.url, "1", "2")
        assert tags == {"1.0": ONE.digest, "latest": ONE.digest}


def test_a_failure_that_retries_overcome(connect: Connect) -> None:
    with HostileRegistry(tag_delete="400", digest_delete="500once") as server:
        tags = seeded(server)
        rm(connect, server.url, "1", retries=1)
        assert tags == AFTER


def test_a_failure_while_tags_are_moved_is_rolled_back(connect: Connect) -> None:
    with HostileRegistry(
        tag_delete="400", fail_first=-1, fail_status=500, fail_on="PUT .*/manifests/2$"
    ) as server:
        tags = seeded(server)
        with pytest.raises(ServerFault, match="all tags were put back and verified"):
            rm(connect, server.url, "1", "1.0", "2")
        assert tags == STATE


def test_what_cannot_be_put_back_is_named(connect: Connect) -> None:
    with HostileRegistry(tag_delete="400", digest_delete="500") as server:
        tags = seeded(server)

        def break_writes() -> None:
            server.behaviour.fail_first, server.behaviour.fail_on = -1, "PUT .*/manifests/(1|2)$"

        meanwhile(server, DIGEST_DELETES, break_writes, count=2)
        with pytest.raises(ServerFault) as caught:
            rm(connect, server.url, "1", "1.0", "2")
        assert f"could not be put back: 1 ({ONE.digest}), 2 ({TWO.digest})." in str(caught.value)
        assert tags["1.0"] == ONE.digest


def test_a_roll_back_that_the_registry_only_pretends_is_noticed(connect: Connect) -> None:
    with HostileRegistry(tag_delete="400", digest_delete="500") as server:
        seeded(server)
        meanwhile(
            server, DIGEST_DELETES, lambda: setattr(server.behaviour, "manifest_put", "ignored"), count=2
        )
        with pytest.raises(ServerFault, match="After this failure no read confirms what was put back: 1 "):
            rm(connect, server.url, "1")


@pytest.mark.parametrize(
    "behaviour", [{"tag_delete": "ignored"}, {"tag_delete": "400", "digest_delete": "ignored"}]
)
def test_a_deletion_that_is_accepted_but_does_not_happen(
    connect: Connect, behaviour: dict[str, t.Any]
) -> None:
    with HostileRegistry(**behaviour) as server:
        tags = seeded(server)
        with pytest.raises(Unsupported, match="accepted the deletion but still serves or lists 1") as caught:
            rm(connect, server.url, "1")
        assert caught.value.result == {"changed": False, "removed": []}
        assert tags == STATE


def test_a_deletion_that_takes_a_moment(connect: Connect) -> None:
    with HostileRegistry(tag_delete="ignored") as server:
        tags = seeded(server)
        # Seen not to have moved, and seen to be still there.
        meanwhile(server, "HEAD .*/manifests/1$", lambda: tags.pop("1"), count=3)
        assert rm(connect, server.url, "1")["changed"] is True
        assert tags == AFTER


# Changes meanwhile


@pytest.mark.parametrize("tag_delete", ["202", "400"])
def test_a_tag_that_moved_meanwhile_is_left_alone(connect: Connect, tag_delete: str) -> None:
    """It is looked up by 1 HEAD for the plan, by the next one before it would be deleted."""
    with HostileRegistry(tag_delete=tag_delete) as server:
        tags = seeded(server)
        meanwhile(server, "HEAD .*/manifests/1$", lambda: server.add("a/b", TWO, "1"))
        with pytest.raises(Refused, match=f"moved from {ONE.digest} to {TWO.digest}") as caught:
            rm(connect, server.url, "1")
        assert tags == {**STATE, "1": TWO.digest}
        assert server.count(PUTS) == server.count("DELETE .*/manifests/1$") == 0
        assert caught.value.result["changed"] is False


def test_a_tag_that_moved_while_others_have_the_placeholder_is_left_alone(connect: Connect) -> None:
    with HostileRegistry(tag_delete="400") as server:
        tags = seeded(server)
        meanwhile(server, "PUT .*/manifests/1$", lambda: server.add("a/b", DOCKER, "2"))
        with pytest.raises(
            Refused, match="moved from .* left alone. After this failure all tags were put back"
        ):
            rm(connect, server.url, "1", "2")
        assert tags == {**STATE, "2": DOCKER.digest}


def test_a_tag_that_is_pushed_after_the_placeholder_survives_a_roll_back(connect: Connect) -> None:
    with HostileRegistry(tag_delete="400", digest_delete="500") as server:
        tags = seeded(server)
        meanwhile(server, DIGEST_DELETES, lambda: server.add("a/b", DOCKER, "1"), count=2)
        with pytest.raises(ServerFault):
            rm(connect, server.url, "1", "2")
        assert tags == {**STATE, "1": DOCKER.digest}


# What cannot be read


def test_an_unreadable_sibling_is_no_obstacle(connect: Connect) -> None:
    with HostileRegistry(
        tag_delete="400", fail_first=-1, fail_status=500, fail_on=".*/manifests/latest"
    ) as server:
        tags = seeded(server)
        rm(connect, server.url, "1")
        assert tags == AFTER


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_tag_that_cannot_be_read_is_an_error(connect: Connect, check_mode: bool) -> None:
    with HostileRegistry(fail_first=-1, fail_status=500, fail_on=".*/manifests/1$") as server:
        tags = seeded(server)
        with pytest.raises(ServerFault, match="a/b:1 cannot be read"):
            rm(connect, server.url, "1", "2", check_mode=check_mode)
        assert tags == STATE
        assert server.count(WRITES) == 0


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("named", ["dangling", "dang*"])
@pytest.mark.parametrize(
    "tag_delete, strategy",
    [("202", "auto"), ("202", "tag"), ("400", "auto"), ("202", "placeholder"), ("202", "manifest")],
)
def test_a_tag_whose_manifest_is_missing(
    connect: Connect, tag_delete: str, strategy: str, named: str, check_mode: bool
) -> None:
    with HostileRegistry(tag_delete=tag_delete) as server:
        tags = seeded(server)
        tags["dangling"] = DOCKER.digest
        result = rm(connect, server.url, named, "2", "nothing", strategy=strategy, check_mode=check_mode)
        entry = next(one for one in result["removed"] if one["dangling"])
        assert (entry["tag"], entry["digest"], entry["siblings"]) == ("dangling", None, [])
        assert [one["tag"] for one in result["removed"]] == ["2", "dangling"]
        assert result["absent"] == ["nothing"]
        assert f"{server.host}/a/b:dangling missing\n" in result["diff"]["before"]
        if check_mode:
            assert "dangling" in tags and "2" in tags
        else:
            assert all(one["method"] and one["changed"] for one in result["removed"])
            assert tags == {tag: digest for tag, digest in STATE.items() if tag != "2"}


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_dangling_tag_frees_no_image(connect: Connect, check_mode: bool) -> None:
    """What it needs is not known: it may be there again in a moment."""
    with HostileRegistry() as server:
        seeded(server)["dangling"] = DOCKER.digest
        with pytest.raises(Refused, match="What dangling points to cannot be read, so nothing is deleted by"):
            rm(connect, server.url, "2", strategy="manifest", check_mode=check_mode)
        assert server.count(WRITES) == 0


def test_a_dangling_tag_that_is_pushed_meanwhile_is_left_alone(connect: Connect) -> None:
    with HostileRegistry() as server:
        tags = seeded(server)
        tags["dangling"] = DOCKER.digest
        meanwhile(server, "HEAD .*/manifests/dangling$", lambda: server.add("a/b", TWO, "dangling"))
        with pytest.raises(Refused, match=f"dangling moved from nothing to {TWO.digest}"):
            rm(connect, server.url, "dangling")
        assert tags == {**STATE, "dangling": TWO.digest}


@pytest.mark.parametrize("strategy", ["auto", "placeholder"])
def test_a_tag_that_only_loses_its_manifest_is_not_called_removed(connect: Connect, strategy: str) -> None:
    """Nexus keeps the names of tags. What was removed is what is seen to be gone."""
    with HostileRegistry(tag_delete="405", digest_delete="dangling") as server:
        seeded(server)
        with pytest.raises(
            Unsupported, match="still serves or lists 1\\. After .* all tags were put back"
        ) as caught:
            rm(connect, server.url, "1", strategy=strategy)
        assert caught.value.result == {"changed": False, "removed": []}
        assert server.state("a/b") == STATE


def test_an_image_that_could_not_be_put_back_is_not_touched(connect: Connect) -> None:
    """Only its HEAD is right: its bytes are not those of its digest."""
    with HostileRegistry(tag_delete="400") as server:
        tags = seeded(server)
        server.repositories["a/b"].manifests[ONE.digest] = (ONE.media_type, TWO.raw)
        with pytest.raises(RegistryError) as caught:
            rm(connect, server.url, "1", strategy="placeholder")
        assert caught.value.kind == "digest_mismatch"
        assert tags == STATE
        assert server.count(PUTS) == 0


def test_schema_1_could_not_be_put_back(connect: Connect) -> None:
    with Registry(schema1=True) as server:
        images.push_schema1(server.url, "a/b", "old")
        images.push(server.url, "a/b", ONE, "1")
        before = images.state(server.url, "a/b")
        server.clear_requests()
        with pytest.raises(Refused, match="is a schema 1 manifest, .* choose the strategy manifest"):
            rm(connect, server.url, "old", strategy="placeholder")
        assert {method for method, _uri, _status in server.requests()} <= {"GET", "HEAD", "DELETE"}
        assert images.state(server.url, "a/b") == before
        assert rm(connect, server.url, "old", strategy="manifest")["changed"] is True
        assert images.state(server.url, "a/b") == {"1": ONE.digest}


# Strategies


def test_strategy_tag(connect: Connect) -> None:
    with HostileRegistry() as server:
        tags = seeded(server)
        assert rm(connect, server.url, "1", strategy="tag")["removed"][0]["method"] == "tag"
        assert tags == AFTER
        assert server.count(DIGEST_DELETES) == 0


@pytest.mark.parametrize("tag_delete", NO_TAG_DELETE)
def test_strategy_tag_where_there_is_no_such_thing(connect: Connect, tag_delete: str) -> None:
    with HostileRegistry(tag_delete=tag_delete) as server:
        tags = seeded(server)
        with pytest.raises(
            Unsupported, match="cannot delete 1 by its name .* strategy auto finds another way"
        ) as caught:
            rm(connect, server.url, "1", "2", strategy="tag")
        assert caught.value.result == {"changed": False, "removed": []}
        assert (caught.value.status, caught.value.method) == (int(tag_delete[:3]), "DELETE")
        assert tags == STATE
        assert server.count(PUTS) == 0


def test_strategy_placeholder(connect: Connect) -> None:
    with HostileRegistry() as server:
        tags = seeded(server)
        assert rm(connect, server.url, "1", strategy="placeholder")["removed"][0]["method"] == "placeholder"
        assert tags == AFTER
        assert server.count("^DELETE .*/manifests/1$") == 0


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    "tagged, named, sentence",
    [
        (TAGS, ["1"], f"{ONE.digest} is also tagged 1.0, latest: name these tags"),
        (TAGS, ["1", "latest", "2"], f"{ONE.digest} is also tagged 1.0: name these tags"),
        ({"x": CHILD, "multi": INNER}, ["x"], f"{CHILD.digest} is part of the index that multi points to"),
        ({"x": CHILD, "multi": OUTER}, ["x"], f"{CHILD.digest} is part of the index that multi points to"),
        ({"x": INNER, "multi": OUTER}, ["x"], f"{INNER.digest} is part of the index that multi points to"),
        (
            {"x": CHILD, "y": INNER, "multi": OUTER},
            ["x", "y"],
            f"{INNER.digest} is part of the index that multi points to",
        ),
    ],
)
def test_strategy_manifest_refuses_what_others_need(
    connect: Connect, tagged: dict[str, images.Image], named: list[str], sentence: str, check_mode: bool
) -> None:
    with HostileRegistry() as server:
        tags = seeded(server, tagged)
        before = dict(tags)
        with pytest.raises(Refused) as caught:
            rm(connect, server.url, *named, strategy="manifest", check_mode=check_mode)
        assert sentence in str(caught.value)
        assert tags == before
        assert server.count(WRITES) == 0


@pytest.mark.parametrize("check_mode", [False, True])
def test_strategy_manifest_refuses_where_a_tag_cannot_be_read(connect: Connect, check_mode: bool) -> None:
    with HostileRegistry(fail_first=-1, fail_status=500, fail_on=".*/manifests/2$") as server:
        seeded(server)
        with pytest.raises(Refused, match="What 2 points to cannot be read"):
            rm(connect, server.url, "1", "1.0", "latest", strategy="manifest", check_mode=check_mode)
        assert server.count(WRITES) == 0


def test_strategy_manifest(connect: Connect, registry: Registry) -> None:
    for tag, image in {**TAGS, "multi": OUTER, "child": CHILD}.items():
        images.push(registry.url, "manifest/app", image, tag)
    result = rm(connect, registry.url, "multi", "child", image="manifest/app", strategy="manifest")
    assert [(one["tag"], one["method"]) for one in result["removed"]] == [
        ("child", "manifest"),
        ("multi", "manifest"),
    ]
    assert images.state(registry.url, "manifest/app") == STATE
    for image in (OUTER, CHILD):
        assert images.head(registry.url, "manifest/app", image.digest) is None
    assert images.head(registry.url, "manifest/app", INNER.digest) == INNER.digest


def test_strategy_manifest_deletes_an_index_before_its_children(connect: Connect) -> None:
    """Some registries refuse to delete what an index needs."""
    with HostileRegistry() as server:
        tags = seeded(server, {"child": CHILD, "multi": INNER})
        rm(connect, server.url, "child", "multi", strategy="manifest")
        assert tags == {}
        deleted = [one.path.rpartition("/")[2] for one in server.requests if one.method == "DELETE"]
        assert deleted == [INNER.digest, CHILD.digest]


def test_a_referrer_that_is_deleted_is_taken_off_the_fallback_tag(
    connect: Connect, registry: Registry
) -> None:
    images.push(registry.url, "signed/app", SBOM)
    for tag, image in SIGNED.items():
        images.push(registry.url, "signed/app", image, tag)
    registry.clear_requests()
    params: dict[str, t.Any] = {"image": "signed/app", "strategy": "manifest"}
    predicted = rm(connect, registry.url, "signature", check_mode=True, **params)
    assert {method for method, _uri, _status in registry.requests()} <= {"GET", "HEAD"}
    result = rm(connect, registry.url, "signature", **params)
    assert result["removed"] == [{**predicted["removed"][0], "method": "manifest"}]
    assert images.state(registry.url, "signed/app") == {
        "1": ONE.digest,
        LIST: images.referrers_index([SBOM]).digest,
    }
    for image, there in ((SIGNATURE, None), (SBOM, SBOM.digest)):
        assert images.head(registry.url, "signed/app", image.digest) == there


def test_a_referrer_that_is_listed_meanwhile_stays_listed(connect: Connect) -> None:
    late = images.artifact("application/vnd.example.late", b"l", "text/plain", subject=ONE)
    with HostileRegistry() as server:
        tags = seeded(server, SIGNED)
        added = images.referrers_index([SIGNATURE, SBOM, late])
        meanwhile(server, DIGEST_DELETES, lambda: server.add("a/b", added, LIST))
        rm(connect, server.url, "signature", strategy="manifest")
        assert tags == {"1": ONE.digest, LIST: images.referrers_index([SBOM, late]).digest}
        # The one that is deleted goes first: nobody may miss a signature that exists.
        writes = [one for one in server.requests if re.match(WRITES, f"{one.method} ")]
        assert [one.method for one in writes] == ["DELETE", "PUT"]


@pytest.mark.parametrize("strategy", ["auto", "placeholder"])
def test_a_tag_that_goes_alone_leaves_the_referrer_listed(connect: Connect, strategy: str) -> None:
    with HostileRegistry() as server:
        tags = seeded(server, SIGNED)
        rm(connect, server.url, "signature", strategy=strategy)
        assert tags == {tag: image.digest for tag, image in SIGNED.items() if tag != "signature"}


@pytest.mark.parametrize(
    "tagged",
    [
        # Part of an index that is a referrer; of an index with the name of a list, but of another image.
        {"x": SIGNATURE, LIST: images.index([images.index([SIGNATURE], subject=ONE)])},
        {"x": SIGNATURE, images.referrers_tag(TWO): images.referrers_index([SIGNATURE])},
        {"x": ONE, images.referrers_tag(ONE): images.index([ONE])},
    ],
)
def test_what_only_looks_like_a_list_of_referrers_needs_its_images(
    connect: Connect, tagged: dict[str, images.Image]
) -> None:
    with HostileRegistry() as server:
        tags = seeded(server, tagged)
        before = dict(tags)
        with pytest.raises(Refused, match="is part of the index that sha256-[0-9a-f]+ points to"):
            rm(connect, server.url, "x", strategy="manifest")
        assert tags == before and server.count(WRITES) == 0


def test_a_list_of_referrers_that_cannot_be_written(connect: Connect) -> None:
    with HostileRegistry(manifest_put="412") as server:
        tags = seeded(server, SIGNED)
        with pytest.raises(
            RegistryError, match=f"{SIGNATURE.digest} was deleted, but {LIST} lists it still: .* 412"
        ) as caught:
            rm(connect, server.url, "signature", strategy="manifest")
        assert "signature" not in tags
        assert [one["tag"] for one in caught.value.result["removed"]] == ["signature"]


def test_strategy_manifest_that_fails_half_way_tells_how_far_it_came(connect: Connect) -> None:
    failing = f"DELETE .*/{min(ONE.digest, TWO.digest)}"
    with HostileRegistry(fail_first=-1, fail_status=500, fail_on=failing) as server:
        tags = seeded(server, {"1": ONE, "2": TWO} if ONE.digest > TWO.digest else {"1": TWO, "2": ONE})
        with pytest.raises(ServerFault) as caught:
            rm(connect, server.url, "1", "2", strategy="manifest")
        assert list(tags) == ["2"]
        assert caught.value.result["changed"] is True
        assert [one["tag"] for one in caught.value.result["removed"]] == ["1"]


# Some go one way, some another


@pytest.fixture
def choosy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags that begin with ``p`` cannot be deleted by their names."""

    def delete_tag(self: Handler, tag: str) -> None:
        if tag not in self.content.tags:
            self.error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        elif tag.startswith("p"):
            self.error(405, "UNSUPPORTED", "This tag is protected.")
        else:
            del self.content.tags[tag]
            self.send(202)

    monkeypatch.setattr(Handler, "delete_tag", delete_tag)


MIXED = {"a": ONE, "b": TWO, "p1": ONE, "p2": DOCKER, "z": ONE, "stays": ONE}


@pytest.mark.usefixtures("choosy")
def test_tags_in_the_middle_that_cannot_be_deleted_by_name(connect: Connect) -> None:
    with HostileRegistry() as server:
        tags = seeded(server, MIXED)
        result = rm(connect, server.url, "a", "b", "p1", "p2", "z")
        assert tags == {"stays": ONE.digest}
        assert {one["tag"]: one["method"] for one in result["removed"]} == {
            "a": "tag",
            "b": "tag",
            "p1": "placeholder",
            "p2": "placeholder",
            "z": "tag",
        }


@pytest.mark.usefixtures("choosy")
def test_the_strategy_tag_does_not_go_another_way(connect: Connect) -> None:
    with HostileRegistry() as server:
        tags = seeded(server, MIXED)
        with pytest.raises(Unsupported, match="cannot delete p1 by its name") as caught:
            rm(connect, server.url, "a", "p1", strategy="tag")
        assert [one["tag"] for one in caught.value.result["removed"]] == ["a"]
        assert tags["p1"] == ONE.digest
        assert server.count(PUTS) == 0


@pytest.mark.usefixtures("choosy")
def test_the_message_does_not_say_that_nothing_changed_where_something_did(connect: Connect) -> None:
    with HostileRegistry(digest_delete="405") as server:
        tags = seeded(server, MIXED)
        with pytest.raises(Unsupported, match="does not allow deletion, so p1, p2 stay") as caught:
            rm(connect, server.url, "a", "p1", "p2")
        assert "nothing was changed" not in str(caught.value)
        assert [one["tag"] for one in caught.value.result["removed"]] == ["a"]
        assert "p1" in tags


def test_a_failure_among_many_tells_which_were_removed(connect: Connect) -> None:
    with HostileRegistry(fail_first=-1, fail_status=500, fail_on="DELETE .*/manifests/t20$") as server:
        many = [f"t{number:02}" for number in range(40)]
        tags = seeded(server, {**dict.fromkeys(many, ONE), **TAGS})
        with pytest.raises(ServerFault, match="a/b:t20 cannot be deleted: .* Not now\\.$") as caught:
            rm(connect, server.url, *many)
        removed = {one["tag"] for one in caught.value.result["removed"]}
        assert removed and "t20" not in removed
        assert set(tags) == (set(many) - removed) | set(TAGS)
        assert caught.value.result["changed"] is True


def test_a_second_batch_that_fails_tells_what_the_first_removed(connect: Connect) -> None:
    with HostileRegistry(tag_delete="400") as server:
        many = [f"t{number:03}" for number in range(250)]
        tags = seeded(server, {**dict.fromkeys(many, ONE), **TAGS})
        meanwhile(server, DIGEST_DELETES, lambda: setattr(server.behaviour, "digest_delete", "500"), count=3)
        with pytest.raises(ServerFault, match="all tags were put back and verified") as caught:
            rm(connect, server.url, *many)
        assert [one["tag"] for one in caught.value.result["removed"]] == many[:200]
        assert tags == {**dict.fromkeys(many[200:], ONE.digest), **STATE}
