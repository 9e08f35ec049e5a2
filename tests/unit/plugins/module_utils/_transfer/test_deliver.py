# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent when images are delivered: each digest once, mounts inside a registry, nothing where nothing is missing."""

from __future__ import annotations

import collections
import contextlib
import json
import pathlib
import re
import subprocess
import sys
import threading
import time
import typing as t

import pytest
import urllib3.util.connection

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    NotFound,
    Refused,
    RegistryError,
    Unauthorized,
)
from ansible_collections.ocikit.registry.plugins.modules import registry_promote, registry_tag
from tests.hostile import HostileRegistry, Request
from tests.registries import Registry, images
from tests.unit.copying import Mover, Result, assert_whole, writes
from tests.unit.plugins.module_utils._storage.test_oci_layout import environment
from tests.unit.task import task

BASE = images.layer({"base": "base\n"})
ONE = images.image([BASE, images.layer({"one": "1\n"})])
TWO = images.image([BASE, images.layer({"two": "2\n"})])
INDEX = images.index([ONE, images.image([BASE], architecture="arm64", variant="v8")])


def uploads(hostile: HostileRegistry) -> dict[str, int]:
    """How often each blob was sent with a PUT."""
    puts = [r for r in hostile.requests if r.method == "PUT" and "/uploads/" in r.path]
    return dict(collections.Counter(r.query["digest"][0] for r in puts))


@pytest.mark.registry_does("own_blobs")
def test_inside_one_registry_blobs_are_mounted(mover: Mover, registry: Registry) -> None:
    images.push(registry.url, "mount/a", INDEX, "1")
    expected = mover.copy(registry.url, "mount/a:1", "mount/b:1", check_mode=True)
    assert expected["blobs"] == {"missing": 0, "missing_bytes": 0, "mounted": 4, "present": 0, "foreign": 0}
    registry.clear_requests()
    assert mover.copy(registry.url, "mount/a:1", "mount/b:1") == expected
    posts = [(uri, status) for method, uri, status in registry.requests() if method == "POST"]
    assert len(posts) == 4 and all("mount=sha256" in uri and status == 201 for uri, status in posts)
    assert [one for one in registry.requests() if one[0] == "GET" and "/blobs/" in one[1]] == []
    assert_whole(registry.url, "mount/b", "1", INDEX)


@pytest.mark.parametrize("sides", [1, 2])
def test_a_registry_with_its_port_is_the_same_one(
    mover: Mover, monkeypatch: pytest.MonkeyPatch, sides: int
) -> None:
    with HostileRegistry() as hostile:
        hostile.add("a", INDEX, "1")
        connect = urllib3.util.connection.create_connection
        place = hostile.host.split(":")

        def create_connection(address: tuple[str, int], *more: t.Any, **options: t.Any) -> t.Any:
            assert address == ("127.0.0.1", 80)
            return connect((place[0], int(place[1])), *more, **options)

        monkeypatch.setattr(urllib3.util.connection, "create_connection", create_connection)
        other: dict[str, t.Any] = {} if sides == 1 else {"destination": {"registry": "127.0.0.1:80"}}
        result = mover.copy("http://127.0.0.1", "a:1", "127.0.0.1:80/b:1", **other)
        assert (result["blobs"]["mounted"], result["blobs"]["missing"]) == (4, 0)
        assert uploads(hostile) == {}


@pytest.mark.parametrize(
    "platforms", [["linux/amd64"], ["linux/arm64/v8"], ["linux/amd64", "linux/arm64/v8"]]
)
def test_the_expected_digest_is_that_of_the_source(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, platforms: list[str]
) -> None:
    """Also where only a part of an index is taken: whoever names it knows the digest of what the tag is."""
    other = images.image([BASE], architecture="s390x")
    index = images.index([*INDEX.children, other])
    images.push(registry.url, "expected/a", index, "1")
    chosen = {"platforms": platforms, "expected_digest": index.digest}
    # An image and an index, for no registry has to let a tag move from one to the other.
    target = f"expected/of-{len(platforms)}"
    copied = mover.copy(registry.url, "expected/a:1", f"{target}:1", **chosen)
    pulled = mover.pull(registry.url, "expected/a:1", tmp_path / "layout", **chosen)
    digest = copied["images"][0]["digest"]
    assert digest != index.digest and copied["images"][0]["source_digest"] == index.digest
    assert images.head(registry.url, target, "1") == digest
    assert [one["digest"] for one in pulled["images"]] == [digest]
    registry.clear_requests()
    chosen["expected_digest"] = digest
    with pytest.raises(Refused, match=f"has the digest {index.digest}, not the expected {digest}"):
        mover.copy(registry.url, "expected/a:1", "expected/c:1", **chosen)
    with pytest.raises(Refused, match=f"has the digest {index.digest}, not the expected {digest}"):
        mover.pull(registry.url, "expected/a:1", tmp_path / "other", **chosen)
    assert writes(registry) == [] and not (tmp_path / "other").exists()


@pytest.mark.parametrize("mount", ["202", "404"])
def test_a_mount_that_is_refused_is_an_upload(mover: Mover, mount: str) -> None:
    with HostileRegistry(mount=mount) as hostile:
        hostile.add("a", ONE, "1")
        moved = mover.copy(hostile.url, "a:1", "b:1")
        assert moved["blobs"]["missing"] == 3 and moved["blobs"]["mounted"] == 0
        assert uploads(hostile) == dict.fromkeys(ONE.blobs, 1)
        assert hostile.uploads == {}
        assert_whole(hostile.url, "b", "1", ONE)


def test_a_source_that_may_not_be_mounted_is_read_with_its_own_credentials(mover: Mover) -> None:
    """The destination's account may not pull the source, and its token service refuses the whole request."""
    with HostileRegistry(auth="bearer", realm="same") as hostile:
        hostile.add("secret/a", ONE, "1")

        def refuse(request: t.Any) -> None:
            asked = " ".join(request.query.get("scope", []))
            hostile.behaviour.user = (
                ("nobody", "x") if "b:pull,push" in asked and "secret/a" in asked else user
            )

        user = hostile.behaviour.user
        hostile.before = refuse
        access = {"username": "alice", "password": "secret"}
        moved = mover.copy(
            hostile.url, "secret/a:1", f"{hostile.host}/b:1", options=access, destination=access
        )
        assert moved["blobs"]["missing"] == 3
        assert hostile.repositories["b"].tags == {"1": ONE.digest}


def test_each_digest_moves_once_and_other_repositories_get_mounts(mover: Mover, registry: Registry) -> None:
    images.push(registry.url, "once/a", ONE, "1")
    images.push(registry.url, "once/a", TWO, "2")
    pairs = [("once/a:1", "x/one:1"), ("once/a:2", "x/two:2"), ("once/a:1", "x/two:1"), ("once/a:2", "y:2")]
    with HostileRegistry() as hostile:
        entries = [{"image": image, "to": f"{hostile.host}/{to}"} for image, to in pairs]
        expected = mover.copy(registry.url, images=entries, check_mode=True)
        registry.clear_requests()
        moved = mover.copy(registry.url, images=entries)
        assert moved == expected
        assert uploads(hostile) == dict.fromkeys({**ONE.blobs, **TWO.blobs}, 1)
        sizes = {name: len(data) for name, data in {**ONE.blobs, **TWO.blobs}.items()}
        assert moved["blobs"] == {
            "missing": 5,
            "missing_bytes": sum(sizes.values()),
            "mounted": 6,
            "present": 0,
            "foreign": 0,
        }
        reads = [uri for method, uri, _status in registry.requests() if method == "GET" and "/blobs/" in uri]
        assert sorted(reads) == sorted(f"/v2/once/a/blobs/{name}" for name in sizes)
        assert_whole(hostile.url, "x/two", "1", ONE)
        assert_whole(hostile.url, "y", "2", TWO)
        hostile.requests.clear()
        again = mover.copy(registry.url, images=entries)
        assert not again["changed"] and {r.method for r in hostile.requests} == {"HEAD", "GET"}
        looked_for = [r.path for r in hostile.requests if "/blobs/" in r.path]
        # Each repository is asked once for each blob that its images need.
        assert len(looked_for) == len(set(looked_for)) == len(ONE.blobs) + 5 + len(TWO.blobs)


@pytest.mark.registry_does("own_blobs")
def test_mount_from(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    images.push(registry.url, "base", images.image([BASE]), "1")
    images.push(registry.url, "app", ONE, "1")
    mover.pull(registry.url, "app:1", tmp_path / "layout")
    expected = mover.push(
        registry.url, tmp_path / "layout", "new:1", mount_from=["absent", "base", "new"], check_mode=True
    )
    registry.clear_requests()
    moved = mover.push(registry.url, tmp_path / "layout", "new:1", mount_from=["absent", "base", "new"])
    assert moved == expected and moved["blobs"]["mounted"] == 1 and moved["blobs"]["missing"] == 2
    requests = registry.requests()
    assert [status for method, uri, status in requests if method == "POST" and "from=base" in uri] == [201]
    looked = [uri for method, uri, _status in requests if method == "HEAD" and "/v2/base/" in uri]
    assert len(looked) == len(set(looked)) == 3
    named = mover.push(registry.url, tmp_path / "layout", "new:2", mount_from=[f"{registry.host}/base"])
    assert named["changed"]
    with pytest.raises(InvalidInput, match="must be a repository"):
        mover.push(registry.url, tmp_path / "layout", "new:3", mount_from=["base:1"])


def test_tags_digests_and_conditions(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    images.push(registry.url, "conditions", ONE, "1")
    images.push(registry.url, "conditions", TWO, "2")
    mover.pull(registry.url, "conditions:1", tmp_path / "layout")

    def push(image: str, **params: t.Any) -> Result:
        return mover.push(registry.url, tmp_path / "layout", image, **params)

    before = images.state(registry.url, "conditions")
    registry.clear_requests()
    with pytest.raises(Refused, match="conditions:2 exists with the digest .* overwrite is false"):
        push("conditions:new", tags=["1", "2"], overwrite=False)
    with pytest.raises(Refused, match="as if_digest demands"):
        push("conditions:2", if_digest="absent")
    with pytest.raises(InvalidInput, match="No tag is named"):
        push("conditions")
    with pytest.raises(InvalidInput, match=f"the image in .* has the digest {ONE.digest}"):
        push(f"conditions@{TWO.digest}")
    assert writes(registry) == [] and images.state(registry.url, "conditions") == before
    moved = push("conditions:1", tags=["2", "new", "1"], if_digest=None)
    assert [target["changed"] for target in moved["targets"]] == [False, True, True]
    assert images.state(registry.url, "conditions") == dict.fromkeys(("1", "2", "new"), ONE.digest)
    assert push(f"by-digest@{ONE.digest}")["changed"]
    assert images.tags(registry.url, "by-digest") == [] and images.head(registry.url, "by-digest", ONE.digest)
    assert not push(f"by-digest@{ONE.digest}")["changed"]


def test_copy_conditions(mover: Mover, registry: Registry) -> None:
    images.push(registry.url, "cc", ONE, "1")
    images.push(registry.url, "cc", TWO, "2")
    before = images.state(registry.url, "cc")
    registry.clear_requests()
    cases: list[tuple[dict[str, t.Any], type[Exception], str]] = [
        ({"image": "cc:1", "to": "cc:2", "overwrite": False}, Refused, "overwrite is false"),
        ({"image": "cc:1", "to": "cc:3", "expected_digest": TWO.digest}, Refused, "not the expected"),
        (
            {"image": "cc:1", "to": "cc:3", "expected_digest": "x"},
            InvalidInput,
            "is not a valid expected_digest",
        ),
        ({"image": "cc:absent", "to": "cc:3"}, NotFound, "cc:absent does not exist"),
        ({"image": "cc:1", "to": f"cc@{TWO.digest}"}, InvalidInput, "cannot be written: .* has the digest"),
        ({"image": "cc:1"}, InvalidInput, "Set either image and to, or images"),
        ({}, InvalidInput, "Set either image and to, or images"),
        (
            {"images": [{"image": "cc:1", "to": "cc:9"}, {"image": "cc:2", "to": "cc:9"}]},
            InvalidInput,
            "cc:9 is named twice as a target",
        ),
        (
            {"images": [{"image": "cc:1", "to": "cc:8"}, {"image": "cc:absent", "to": "cc:9"}]},
            NotFound,
            "cc:absent does not exist",
        ),
        (
            {"images": [{"image": "cc:1", "to": "cc:8"}], "expected_digest": ONE.digest},
            InvalidInput,
            "expected_digest is for one image only",
        ),
    ]
    for params, kind, sentence in cases:
        with pytest.raises(kind, match=sentence):
            mover.copy(registry.url, **params)
    assert writes(registry) == [] and images.state(registry.url, "cc") == before
    # The tag is taken over, also where it is only meant.
    images.push(registry.url, "cc", ONE, "latest")
    assert mover.copy(registry.url, "cc", "cd")["targets"][0]["image"] == f"{registry.host}/cd:latest"
    assert mover.copy(registry.url, "cc:1", "cd")["targets"][0]["image"] == f"{registry.host}/cd:1"
    by_digest = mover.copy(registry.url, f"cc@{TWO.digest}", "cd")
    assert by_digest["targets"][0]["image"] == f"{registry.host}/cd@{TWO.digest}"
    assert images.state(registry.url, "cd") == {"latest": ONE.digest, "1": ONE.digest}
    assert images.head(registry.url, "cd", TWO.digest) == TWO.digest


def test_a_failure_tells_which_tags_moved(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    images.push(registry.url, "half", ONE, "1")
    mover.pull(registry.url, "half:1", tmp_path / "layout")
    with HostileRegistry(fail_first=-1, fail_status=403, fail_on="^PUT .*/manifests/bad") as hostile:
        with pytest.raises(RegistryError) as caught:
            mover.push(hostile.url, tmp_path / "layout", "half:good", tags=["bad"])
        assert hostile.repositories["half"].tags == {"good": ONE.digest}
    assert caught.value.result == {
        "changed": True,
        "targets": [
            {
                "image": f"{hostile.host}/half:good",
                "digest_before": None,
                "digest": ONE.digest,
                "changed": True,
                "repaired": False,
            },
            {
                "image": f"{hostile.host}/half:bad",
                "digest_before": None,
                "digest": None,
                "changed": False,
                "repaired": False,
            },
        ],
    }


def test_a_failure_names_the_tags_that_cannot_be_looked_up(mover: Mover, tmp_path: pathlib.Path) -> None:
    with HostileRegistry(drop_first=-1, drop_on="PUT .*/1$", drop_when="after") as hostile:
        hostile.add("app", ONE, "source")

        def before(request: Request) -> None:
            if request.method == "PUT" and request.path.endswith("/1"):
                hostile.behaviour.drop_on = "/1$"

        mover.pull(hostile.url, "app:source", tmp_path / "layout")
        hostile.before = before
        with pytest.raises(RegistryError, match=r"What became of \S+/app:1 could not be looked up") as caught:
            mover.push(hostile.url, tmp_path / "layout", "app:1", tags=["2"], options={"concurrency": 1})
        assert hostile.repositories["app"].tags["1"] == ONE.digest
    assert [one["digest"] for one in caught.value.result["targets"]] == [None, None]


def test_two_accounts(mover: Mover) -> None:
    with Registry(users={"reader": "one"}) as left, Registry(users={"writer": "two"}, tls=True) as right:
        images.push(left.url, "app", ONE, "1", auth=("reader", "one"))
        access = {"username": "reader", "password": "one"}
        there = {"registry": right.url, "username": "writer", "password": "two", "ca_path": right.ca}
        copied = mover.copy(left.url, "app:1", "mirror/app:1", options=access, destination=there)
        assert copied["targets"][0]["image"] == f"{right.host}/mirror/app:1"
        assert_whole_with(right, "mirror/app", ("writer", "two"))
        with pytest.raises(RegistryError) as caught:
            mover.copy(
                left.url, "app:1", "mirror/app:2", options=access, destination={**there, "ca_path": None}
            )
        assert caught.value.kind == "tls"
        # Nothing that proves who asks is taken over from the source.
        bare = {"registry": right.url, "ca_path": right.ca}
        with pytest.raises(Unauthorized, match="asks for a user name and password"):
            mover.copy(left.url, "app:1", "mirror/app:2", options=access, destination=bare)
        wrong = {**there, "password": "wrong"}
        with pytest.raises(Unauthorized, match="does not accept the user name and password"):
            mover.copy(left.url, "app:1", "mirror/app:2", options=access, destination=wrong)
        assert images.tags(right.url, "mirror/app", auth=("writer", "two"), verify=right.ca or True) == ["1"]


def assert_whole_with(registry: Registry, repository: str, auth: tuple[str, str]) -> None:
    access: dict[str, t.Any] = {"auth": auth, "verify": registry.ca}
    assert images.head(registry.url, repository, "1", **access) == ONE.digest
    assert all(
        images.get_blob(registry.url, repository, name, **access) == data for name, data in ONE.blobs.items()
    )


SIGNATURE = images.artifact("application/vnd.example.signature", b"signed", "text/plain", subject=INDEX)
SBOM = images.artifact("application/vnd.example.sbom", b"sbom", "text/plain", subject=ONE)
OF_SBOM = images.artifact("application/vnd.example.signature", b"of the sbom", "text/plain", subject=SBOM)
COSIGN = images.image({"cosign": "signature"}, annotations={"dev.cosign": "x"})


def seed_referrers(url: str, api: bool) -> None:
    images.push(url, "ref/app", INDEX, "1")
    for referrer, subject in ((SIGNATURE, INDEX), (SBOM, ONE), (OF_SBOM, SBOM)):
        images.push(url, "ref/app", referrer)
        if not api:
            images.push(url, "ref/app", images.referrers_index([referrer]), images.referrers_tag(subject))
    images.push(url, "ref/app", COSIGN, f"{images.referrers_tag(INDEX)}.sig")
    images.push(url, "ref/app", COSIGN, f"{images.referrers_tag(ONE)}.att")


@pytest.mark.parametrize("there", ["off", "on"])
@pytest.mark.parametrize("here", ["off", "on"])
def test_referrers_and_signatures(mover: Mover, here: str, there: str) -> None:
    with HostileRegistry(referrers=here) as left, HostileRegistry(referrers=there) as right:
        seed_referrers(left.url, here == "on")
        to = f"{right.host}/ref/copy:1"
        assert mover.copy(left.url, "ref/app:1", to)["companions"] == 0
        assert list(right.repositories["ref/copy"].tags) == ["1"]
        wanted = {"referrers": True, "signatures": True}
        expected = mover.copy(left.url, "ref/app:1", to, check_mode=True, **wanted)
        assert right.count("^(PUT|POST)") == right.count("^(PUT|POST)")
        moved = mover.copy(left.url, "ref/app:1", to, **wanted)
        assert moved == expected and moved["changed"]
        assert moved["companions"] == 4
        for image in (SIGNATURE, SBOM, OF_SBOM):
            assert_whole(right.url, "ref/copy", image.digest, image)
        tags = {
            f"{images.referrers_tag(INDEX)}.sig": COSIGN.digest,
            f"{images.referrers_tag(ONE)}.att": COSIGN.digest,
        }
        found = dict(right.repositories["ref/copy"].tags)
        assert {name: found[name] for name in tags} == tags
        listings = {images.referrers_tag(image): image for image in (INDEX, ONE, SBOM)}
        assert (set(found) == {"1", *tags}) if there == "on" else (set(found) == {"1", *tags, *listings})
        if there == "off":
            for tag, referrer in zip(listings, (SIGNATURE, SBOM, OF_SBOM)):
                raw, _type = images.get_manifest(right.url, "ref/copy", tag)
                assert [entry["digest"] for entry in json.loads(raw)["manifests"]] == [referrer.digest]
        right.requests.clear()
        again = mover.copy(left.url, "ref/app:1", to, **wanted)
        assert not again["changed"] and again["companions"] == 0
        assert right.count("^(PUT|POST|PATCH|DELETE)") == 0


def test_a_referrer_that_a_killed_run_did_not_list_is_listed(mover: Mover) -> None:
    with HostileRegistry() as left, HostileRegistry() as right:
        seed_referrers(left.url, False)
        to = f"{right.host}/ref/app:1"
        mover.copy(left.url, "ref/app:1", to, referrers=True)
        del right.repositories["ref/app"].tags[images.referrers_tag(ONE)]
        again = mover.copy(left.url, "ref/app:1", to, referrers=True)
        assert again["changed"] and again["companions"] == 1
        raw, _type = images.get_manifest(right.url, "ref/app", images.referrers_tag(ONE))
        assert [entry["digest"] for entry in json.loads(raw)["manifests"]] == [SBOM.digest]


def test_the_tag_of_an_artifact_comes_after_its_listing(mover: Mover) -> None:
    with HostileRegistry() as left, HostileRegistry() as right:
        seed_referrers(left.url, False)
        left.repositories["ref/app"].tags["sbom"] = SBOM.digest
        mover.copy(left.url, "ref/app:sbom", f"{right.host}/ref/app:sbom")
        puts = [
            r.path.rpartition("/")[2] for r in right.requests if r.method == "PUT" and "/manifests/" in r.path
        ]
        assert puts == [SBOM.digest, images.referrers_tag(ONE), "sbom"]


def test_foreign_layers(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    layer = images.foreign_layer(["http://127.0.0.1:9/layer"], {"far.txt": "far\n"})
    image = images.image([layer, BASE], media="docker")
    images.push(registry.url, "foreign", image, "1")
    with HostileRegistry() as hostile:
        left = mover.copy(registry.url, "foreign:1", f"{hostile.host}/foreign:1")
        assert left["blobs"]["foreign"] == 1 and left["blobs"]["missing"] == 2
        with pytest.raises(NotFound):
            mover.copy(registry.url, "foreign:1", f"{hostile.host}/wanted:1", foreign_layers=True)
        assert "wanted" not in hostile.repositories or not hostile.repositories["wanted"].tags
        hostile.repositories["foreign"].blobs[layer.descriptor("docker")["digest"]] = layer.data
        pulled = mover.pull(
            hostile.url, "foreign:1", tmp_path / "f.tar", format="docker-archive", foreign_layers=True
        )
        assert pulled["blobs"]["foreign"] == 0 and pulled["blobs"]["missing"] == 3
        mover.push(hostile.url, tmp_path / "f.tar", "back:1", foreign_layers=True)
        assert hostile.repositories["back"].blobs[layer.descriptor("docker")["digest"]] == layer.data


def largest_memory(url: str, **arguments: t.Any) -> int:
    """Move an image in a process of its own, and return its largest size in MiB: the interpreter and imports included."""
    command = [sys.executable, "-m", "tests.unit.interruption", json.dumps({"url": url, **arguments})]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout) >> 10


def test_large_blobs_need_little_memory(tmp_path: pathlib.Path) -> None:
    """128 MiB in one layer."""
    with Registry(storage=tmp_path / "here") as here, Registry(storage=tmp_path / "there") as there:
        image = images.image([images.layer({"large": b"\0" * (128 << 20)}, compression="")])
        images.push(here.url, "large", image, "1")
        archive = str(tmp_path / "a.tar")
        assert largest_memory(here.url, what="copy", image="large:1", to=f"{there.host}/large:1") < 100
        assert (
            largest_memory(here.url, what="pull", image="large:1", dest=archive, format="oci-archive") < 100
        )
        assert largest_memory(here.url, what="push", src=archive, image=f"{there.host}/pushed:1") < 100
        for repository in ("large", "pushed"):
            assert images.head(there.url, repository, "1") == image.digest


@pytest.mark.parametrize("least", [0, 24 << 20])
def test_chunks_of_many_blobs_need_little_memory(least: int) -> None:
    """Eight layers at once, to a registry that takes chunks only, of 16 MiB or of the size that it asks for."""
    layers = [images.layer({"large": bytes([number]) * (32 << 20)}, compression="") for number in range(8)]
    image = images.image(layers)
    with HostileRegistry() as here, HostileRegistry(monolithic="405", chunk_min=least) as there:
        here.add("large", image, "1")
        assert largest_memory(here.url, what="copy", image="large:1", to=f"{there.host}/large:1") < 100
        assert there.repositories["large"].blobs.keys() == image.blobs.keys()
        assert there.count("^PATCH .*/large/") > 8


# What is asked at the same time


@contextlib.contextmanager
def together(number: int, pattern: str, *servers: HostileRegistry) -> t.Iterator[None]:
    """Let ``servers`` answer requests that match ``pattern`` only when ``number`` of them are waiting."""
    barrier = threading.Barrier(number, timeout=20)

    def before(request: Request) -> None:
        if re.search(pattern, f"{request.method} {request.path}"):
            barrier.wait()

    for server in servers:
        server.before = before
    yield
    for server in servers:
        server.before = None


def test_a_push_asks_for_its_tag_and_all_blobs_at_once(mover: Mover, tmp_path: pathlib.Path) -> None:
    image = images.image([images.layer({f"file{number}": str(number)}) for number in range(12)])
    with HostileRegistry() as here, HostileRegistry() as there:
        here.add("a", image, "1")
        mover.pull(here.url, "a:1", tmp_path / "layout")
        with together(14, "^HEAD ", there):
            assert mover.push(there.url, tmp_path / "layout", "b:1")["blobs"]["missing"] == 13
        assert_whole(there.url, "b", "1", image)
        there.requests.clear()
        with together(14, "^HEAD ", there):
            assert not mover.push(there.url, tmp_path / "layout", "b:1")["changed"]
        assert len(there.requests) == there.count("^HEAD ") == 14
        there.requests.clear()
        mover.push(there.url, tmp_path / "layout", "b:1", options={"concurrency": 1})
        assert there.requests[0].path == "/v2/b/manifests/1", "conditions depend on it"


def test_a_copy_asks_for_source_and_target_at_once_and_then_for_all_blobs(mover: Mover) -> None:
    image = images.image([images.layer({f"file{number}": str(number)}) for number in range(12)])
    with HostileRegistry() as here, HostileRegistry() as there:
        here.add("a", image, "1")
        with together(2, "^HEAD .*/manifests/1$", here, there):
            mover.copy(here.url, "a:1", f"{there.host}/b:1")
        assert_whole(there.url, "b", "1", image)
        assert [r.path for r in here.requests if "/manifests/" in r.path] == [
            "/v2/a/manifests/1",
            f"/v2/a/manifests/{image.digest}",
        ]
        there.requests.clear()
        with together(13, "^HEAD .*/blobs/", there):
            assert not mover.copy(here.url, "a:1", f"{there.host}/b:1")["changed"]
        assert [r.method for r in there.requests] == ["HEAD", "GET", *["HEAD"] * 13]


def test_a_pull_looks_up_all_images_at_once(mover: Mover, tmp_path: pathlib.Path) -> None:
    with HostileRegistry() as here:
        names = [f"a:{number}" for number in range(8)]
        for number in range(8):
            here.add("a", images.image({"file": str(number)}), str(number))
        with together(8, "^GET .*/manifests/", here):
            mover.pull(here.url, names, tmp_path / "layout")
        with together(8, "^HEAD .*/manifests/", here):
            assert not mover.pull(here.url, names, tmp_path / "layout")["changed"]
        with pytest.raises(NotFound, match="a:none does not exist"):
            mover.pull(here.url, ["a:none", *names], tmp_path / "layout")


def test_uploads_and_the_downloads_for_them_start_at_once(mover: Mover) -> None:
    with HostileRegistry() as here, HostileRegistry() as there:
        here.add("a", ONE, "1")
        # Each of the three blobs has an upload and a download.
        with together(6, "^(POST .*/uploads/|GET .*/blobs/)", here, there):
            mover.copy(here.url, "a:1", f"{there.host}/b:1")
        assert_whole(there.url, "b", "1", ONE)
        assert here.count("^GET .*/blobs/") == there.count("^POST ") == 3


@pytest.mark.parametrize("concurrency", [1, 8])
def test_no_upload_stays_open_for_a_download_that_fails(mover: Mover, concurrency: int) -> None:
    with HostileRegistry() as here, HostileRegistry() as there:
        here.add("a", ONE, "1")
        here.repository("a").blobs.pop(images.digest(BASE.data))
        with pytest.raises(NotFound, match=f"The blob {images.digest(BASE.data)} in a cannot be read"):
            mover.copy(here.url, "a:1", f"{there.host}/b:1", options={"concurrency": concurrency})
        assert there.state("b") == {} and not there.uploads


def test_a_question_that_failed_is_asked_again(mover: Mover, tmp_path: pathlib.Path) -> None:
    with HostileRegistry() as here:
        here.add("a", ONE, "1")
        mover.pull(here.url, "a:1", tmp_path / "layout")
    with HostileRegistry(fail_first=1, fail_on="^HEAD .*/blobs/") as there:
        mover.push(there.url, tmp_path / "layout", "b:1")
        assert_whole(there.url, "b", "1", ONE)
    with HostileRegistry(fail_first=-1, fail_on="^HEAD .*/blobs/") as there:
        with pytest.raises(RegistryError, match="cannot be looked up") as failure:
            mover.push(there.url, tmp_path / "layout", "b:1")
        assert [target["digest"] for target in failure.value.result["targets"]] == [None]
        assert there.count("^(POST|PUT|PATCH|DELETE) ") == 0


# What a destination has, but not whole


def damaged(server: HostileRegistry, repository: str, part: str) -> None:
    """Store INDEX under the tag 1, without one of the parts that it needs."""
    server.add(repository, INDEX, "1")
    content = server.repository(repository)
    child = INDEX.children[1]
    gone = {
        "child": [child.digest],
        "layer": [images.digest(BASE.data)],
        "config": [child.manifest["config"]["digest"]],
        "child and blobs": [child.digest, *child.blobs],
    }[part]
    for digest in gone:
        content.manifests.pop(digest, None)
        content.blobs.pop(digest, None)


PARTS = ["child", "layer", "config", "child and blobs"]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("way", ["copy", "push", "tag", "promote"])
def test_what_a_destination_lacks_of_an_image_that_it_has_is_sent(
    mover: Mover, connect: t.Any, tmp_path: pathlib.Path, way: str, part: str
) -> None:
    """Check mode predicts it, it counts as a change, and the tag stays."""
    with HostileRegistry() as server:
        server.add("source", INDEX, "1")
        damaged(server, "broken", part)
        mover.pull(server.url, "source:1", tmp_path / "layout")

        def run(check_mode: bool) -> Result:
            if way == "copy":
                return mover.copy(server.url, "source:1", "broken:1", check_mode=check_mode)
            if way == "push":
                return mover.push(server.url, tmp_path / "layout", "broken:1", check_mode=check_mode)
            clients, _client = connect(server.url)
            if way == "tag":
                return task(registry_tag, clients, check_mode=check_mode, image="source:1", to=["broken:1"])
            pairs = [{"image": "source:1", "to": ["broken:1"]}]
            return task(registry_promote, clients, check_mode=check_mode, images=pairs)

        predicted = run(True)
        assert server.count("^(POST|PUT|PATCH|DELETE)") == 0
        result = run(False)
        assert result == predicted
        assert result["changed"] is True and result["diff"] == {"before": "", "after": ""}
        assert [(one["changed"], one["repaired"]) for one in result["targets"]] == [(False, True)]
        assert_whole(server.url, "broken", "1", INDEX)
        assert server.count("^PUT .*/manifests/1$") == 0
        again = run(False)
        assert again["changed"] is False and again["targets"][0]["repaired"] is False


def test_a_child_that_the_destination_lists_and_cannot_serve_is_sent_again(mover: Mover) -> None:
    with HostileRegistry() as server, HostileRegistry() as other:
        server.add("source", INDEX, "1")
        other.add("copy", INDEX, "1")
        child = INDEX.children[1]

        def lose(request: Request) -> None:
            if request.method == "GET" and request.path.endswith(child.digest):
                other.repository("copy").manifests.pop(child.digest, None)

        other.before = lose
        result = mover.copy(server.url, "source:1", f"{other.host}/copy:1")
        assert result["targets"][0]["repaired"] is True
        other.before = None
        assert_whole(other.url, "copy", "1", INDEX)


def test_other_images_in_the_repository_are_not_called_repaired(mover: Mover) -> None:
    with HostileRegistry() as server:
        server.add("source", INDEX, "1")
        server.add("source", TWO, "2")
        damaged(server, "broken", "child")
        server.add("broken", TWO, "2")
        pairs = [{"image": f"source:{tag}", "to": f"broken:{tag}"} for tag in ("1", "2")] + [
            {"image": "source:2", "to": "broken:3"}
        ]
        result = mover.copy(server.url, images=pairs)
        assert [one["repaired"] for one in result["targets"]] == [True, False, False]
        assert [one["changed"] for one in result["targets"]] == [False, False, True]


def test_what_lies_in_the_own_repository_is_not_looked_for(mover: Mover) -> None:
    with HostileRegistry() as server:
        server.add("a", INDEX, "1")
        assert mover.copy(server.url, "a:1", "a:2")["changed"]
        assert server.count("/blobs/") == 0
        server.requests.clear()
        assert not mover.copy(server.url, "a:1", "a:2")["changed"]
        assert [r.method for r in server.requests] == ["HEAD", "HEAD"]


def test_a_blob_of_the_same_digest_is_no_manifest(mover: Mover) -> None:
    """What was asked for as a blob, a layer, says nothing of a manifest that a second target is."""
    inner = images.image({"file": "inner"})
    carrier = images.image([images.Layer(inner.raw, inner.digest, "none")])
    with HostileRegistry() as here, HostileRegistry() as there:
        here.add("car", carrier, "1")
        here.add("inner", inner, "1")
        there.repository("app").blobs[inner.digest] = inner.raw
        several = [
            {"image": "car:1", "to": [f"{there.host}/app:1"]},
            {"image": "inner:1", "to": [f"{there.host}/app@{inner.digest}"]},
        ]
        mover.copy(here.url, None, None, images=several, platforms=["linux/amd64"])
        assert there.find("app", inner.digest) is not None


def test_after_a_question_that_failed_no_more_are_asked(mover: Mover, tmp_path: pathlib.Path) -> None:
    image = images.image([images.layer({f"file{number}": str(number)}) for number in range(40)])
    with HostileRegistry() as here:
        here.add("a", image, "1")
        mover.pull(here.url, "a:1", tmp_path / "layout")
    with HostileRegistry(fail_first=10_000, fail_on="^HEAD .*/blobs/") as there:
        with pytest.raises(RegistryError):
            mover.push(there.url, tmp_path / "layout", "b:1", options={"retries": 0})
        assert there.count("^HEAD .*/blobs/") <= 2 * 16


def test_the_number_of_the_user_limits_all_requests_of_a_pull(mover: Mover, tmp_path: pathlib.Path) -> None:
    """Also where several images are looked up at once, and each is looked for in the indexes of an index."""
    lock, waiting, most = threading.Lock(), 0, 0

    def before(_request: Request) -> None:
        nonlocal waiting, most
        with lock:
            waiting += 1
            most = max(most, waiting)
        time.sleep(0.02)
        with lock:
            waiting -= 1

    with HostileRegistry() as here:
        for number in range(4):
            children = [images.index([images.image({"file": f"{number}-{child}"})]) for child in range(4)]
            here.add("a", images.index(children), str(number))
        here.before = before
        names = [f"a:{number}" for number in range(4)]
        mover.pull(
            here.url, names, tmp_path / "layout", platforms=["linux/amd64"], options={"concurrency": 3}
        )
        here.before = None
    assert most == 3
