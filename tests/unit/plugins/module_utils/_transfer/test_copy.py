# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of every kind survive every way through registry, layout, archive and directory, byte for byte."""

from __future__ import annotations

import contextlib
import json
import pathlib
import threading
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    NotFound,
    ProtocolError,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor, digest_of
from ansible_collections.ocikit.registry.plugins.module_utils._oci.graph import MAX_LEVELS
from ansible_collections.ocikit.registry.plugins.module_utils._oci.stores import CopyPlan, Source, Store
from ansible_collections.ocikit.registry.plugins.module_utils._parallel import Concurrency
from ansible_collections.ocikit.registry.plugins.module_utils._registry.repository import Repository
from ansible_collections.ocikit.registry.plugins.module_utils._storage.oci_layout import LayoutStore
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.copy import execute, plan
from tests.hostile import HostileRegistry
from tests.registries import Registry, images
from tests.unit.copying import Mover, assert_layout, assert_whole, blobs_of, tree, writes

SAMPLES = images.samples()
SINGLE = [
    name
    for name, image in SAMPLES.items()
    if image.manifest.get("config", {}).get("mediaType") in (images.OCI_CONFIG, images.DOCKER_CONFIG)
]
WAYS = [(name, form) for name in SAMPLES for form in ("oci", "oci-archive", "dir")]
# A hundred layers take their time.
WAYS = [way for way in WAYS if way not in (("many-layers", "oci-archive"), ("many-layers", "dir"))]
WAYS += [(name, "docker-archive") for name in SINGLE if name != "foreign-layer"]


def assert_only_looks(
    requests: list[tuple[str, str, int]], repositories: list[str], image: images.Image
) -> None:
    """Assert that a run without work asked for each thing that the image needs once, and read no blob."""
    uris = [(method, uri) for method, uri, _status in requests]
    assert len(uris) == len(set(uris))
    assert {method for method, uri in uris} <= {"HEAD", "GET"}
    foreign = {digest for digest in image.blobs if b"nondistributable" in image.raw}
    for repository in repositories:
        blobs = {uri for method, uri in uris if uri.startswith(f"/v2/{repository}/blobs/")}
        assert {f"/v2/{repository}/blobs/{digest}" for digest in blobs_of(image)} >= blobs
        assert foreign or len(blobs) == len(blobs_of(image))
        assert all(method == "HEAD" for method, uri in uris if "/blobs/" in uri)


def test_zstd_is_among_the_samples() -> None:
    assert "zstd" in SAMPLES


@pytest.mark.parametrize(("name", "form"), WAYS)
def test_round_trip(mover: Mover, registry: Registry, tmp_path: pathlib.Path, name: str, form: str) -> None:
    image, there, back = SAMPLES[name], f"trip/{name}", f"trip/{form}/{name}"
    images.push(registry.url, there, image, "1")
    dest = tmp_path / "dest"
    assert mover.pull(registry.url, f"{there}:1", dest, format=form, check_mode=True)["changed"]
    assert not dest.exists()
    pulled = mover.pull(registry.url, f"{there}:1", dest, format=form)
    assert pulled["images"][0]["digest"] == image.digest
    assert pulled["blobs"]["missing"] == len(blobs_of(image))
    registry.clear_requests()
    assert not mover.pull(registry.url, f"{there}:1", dest, format=form)["changed"]
    assert registry.requests() == [("HEAD", f"/v2/{there}/manifests/1", 200)]
    expected = mover.push(registry.url, dest, f"{back}:1", check_mode=True)
    assert images.tags(registry.url, back) == []
    pushed = mover.push(registry.url, dest, f"{back}:1")
    assert pushed == expected
    registry.clear_requests()
    again = mover.push(registry.url, dest, f"{back}:1")
    assert not again["changed"] and again["images"] == pushed["images"]
    assert_only_looks(registry.requests(), [back], image)
    assert_whole(registry.url, back, "1", image)


@pytest.mark.parametrize("name", SAMPLES)
def test_copy_between_registries(mover: Mover, registry: Registry, name: str) -> None:
    image = SAMPLES[name]
    images.push(registry.url, f"copy/{name}", image, "1")
    with HostileRegistry() as other:
        to = f"{other.host}/copy/{name}:1"
        expected = mover.copy(registry.url, f"copy/{name}:1", to, check_mode=True)
        assert other.count("^(POST|PUT|PATCH|DELETE)") == 0
        registry.clear_requests()
        assert mover.copy(registry.url, f"copy/{name}:1", to) == expected
        assert_whole(other.url, f"copy/{name}", "1", image)
        sent = [r for r in other.requests if r.method == "PUT" and "/uploads/" in r.path]
        assert len(sent) == expected["blobs"]["missing"] == len(blobs_of(image))
        assert sum(r.size for r in sent) == expected["blobs"]["missing_bytes"]
        reads = [uri for method, uri, _status in registry.requests() if method == "GET"]
        assert len(reads) == len(set(reads))
        other.requests.clear()
        registry.clear_requests()
        assert not mover.copy(registry.url, f"copy/{name}:1", to)["changed"]
        assert_only_looks([(r.method, r.path, 200) for r in other.requests], [f"copy/{name}"], image)
        assert registry.requests() == [("HEAD", f"/v2/copy/{name}/manifests/1", 200)]


@pytest.mark.registry_does_not("subject")
def test_a_subject_gets_its_fallback_tag_where_the_registry_keeps_no_referrers(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path
) -> None:
    subject, signature = SAMPLES["oci"], SAMPLES["signature"]
    images.push(registry.url, "subject/a", subject, "1")
    images.push(registry.url, "subject/a", signature, "signature")
    mover.pull(registry.url, "subject/a:signature", tmp_path / "layout")
    mover.push(registry.url, tmp_path / "layout", "subject/b:signature")
    raw, _type = images.get_manifest(registry.url, "subject/b", images.referrers_tag(subject))
    assert [entry["digest"] for entry in json.loads(raw)["manifests"]] == [signature.digest]
    assert json.loads(raw)["manifests"][0]["artifactType"] == "application/vnd.example.signature"


def test_schema_1_is_refused_and_nothing_is_written(mover: Mover, tmp_path: pathlib.Path) -> None:
    with Registry(schema1=True) as registry:
        images.push_schema1(registry.url, "old", "1")
        with pytest.raises(
            Unsupported, match="is a schema 1 image, which oci cannot hold: set format to dir"
        ):
            mover.pull(registry.url, "old:1", tmp_path / "layout")
        registry.clear_requests()
        with pytest.raises(Unsupported, match="is a schema 1 manifest"):
            mover.copy(registry.url, "old:1", "new:1")
        assert writes(registry) == []
    assert tree(tmp_path) == {}


def nested(depth: int) -> images.Image:
    image: images.Image = SAMPLES["oci"]
    for _level in range(depth):
        image = images.index([image])
    return image


def test_nesting_has_an_end(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    images.push(registry.url, "nested", nested(MAX_LEVELS - 1), "right")
    images.push(registry.url, "nested", nested(MAX_LEVELS), "deep")
    assert mover.pull(registry.url, "nested:right", tmp_path / "layout")["changed"]
    before = tree(tmp_path)
    with pytest.raises(ProtocolError, match="nested too deeply"):
        mover.pull(registry.url, "nested:deep", tmp_path / "layout")
    assert tree(tmp_path) == before


def test_a_manifest_that_is_root_and_child_is_written_before_its_parent(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path
) -> None:
    index = t.cast(images.Index, SAMPLES["index"])
    images.push(registry.url, "both", index, "index")
    images.push(registry.url, "both", index.children[0], "child")
    with HostileRegistry() as other:
        mover.copy(
            registry.url,
            images=[
                {"image": "both:child", "to": f"{other.host}/both:child"},
                {"image": "both:index", "to": f"{other.host}/both:index"},
            ],
        )
        puts = [
            r.path.rpartition("/")[2] for r in other.requests if r.method == "PUT" and "/manifests/" in r.path
        ]
        assert puts == [index.children[1].digest, "child", "index"] or puts == [
            "child",
            index.children[1].digest,
            "index",
        ]
        assert images.state(other.url, "both") == {"child": index.children[0].digest, "index": index.digest}


def test_blobs_that_garbage_collection_took_are_sent_again(registry: Registry, mover: Mover) -> None:
    """The registry says that it has a blob, and then that it has not."""
    image = SAMPLES["oci"]
    images.push(registry.url, "collected", image, "1")

    with HostileRegistry() as other:
        other.add("collected", image)
        store = other.repository("collected")
        del store.manifests[image.digest]

        def collect(request: t.Any) -> None:
            if request.method == "PUT" and "/manifests/" in request.path and not emptied:
                emptied.append(True)
                store.blobs.clear()

        emptied: list[bool] = []
        other.before = collect
        assert mover.copy(registry.url, "collected:1", f"{other.host}/collected:1")["blobs"]["present"] == 2
        assert_whole(other.url, "collected", "1", image)


@pytest.mark.parametrize("what", ["manifest", "blob"])
@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-archive", "dir"])
def test_wrong_bytes_leave_nothing_that_looks_like_an_image(
    mover: Mover, tmp_path: pathlib.Path, what: str, form: str
) -> None:
    with HostileRegistry(wrong_bytes=what) as hostile:
        hostile.add("wrong", SAMPLES["oci"], "1")
        with pytest.raises(Exception, match="not valid JSON|not the right one"):
            mover.pull(hostile.url, "wrong:1", tmp_path / "dest", format=form)
    left = [one for one in tmp_path.rglob("*") if one.is_file() and one.name != "oci-layout"]
    assert left == []


def test_wrong_bytes_of_a_source_are_not_stored_by_the_destination(mover: Mover) -> None:
    with HostileRegistry(wrong_bytes="blob") as hostile, HostileRegistry() as other:
        hostile.add("wrong", SAMPLES["oci"], "1")
        with pytest.raises(Exception, match="not the right one"):
            mover.copy(hostile.url, "wrong:1", f"{other.host}/copy:1")
        assert not other.repositories or not other.repository("copy").blobs
        assert images.tags(other.url, "copy") == []


def test_connections_that_break_are_taken_up_again(mover: Mover, tmp_path: pathlib.Path) -> None:
    image = images.image([images.layer({"file": "x" * 50000}, compression="")])
    with HostileRegistry(cut_first=6, cut_after=9000) as hostile, HostileRegistry() as other:
        hostile.add("cut", image, "1")
        mover.copy(hostile.url, "cut:1", f"{other.host}/cut:1")
        assert_whole(other.url, "cut", "1", image)
        hostile.counters.clear()
        mover.pull(hostile.url, "cut:1", tmp_path / "layout")
        assert_layout(tmp_path / "layout")
        assert any(r.headers.get("Range") for r in hostile.requests)


@pytest.mark.parametrize(
    "behaviour",
    [{"monolithic": "405"}, {"drop_first": 1, "drop_on": "^PUT .*/uploads/"}, {"single_post": "202"}],
    ids=["refused", "broken", "no-post"],
)
def test_uploads_go_on_in_chunks(
    mover: Mover, registry: Registry, monkeypatch: pytest.MonkeyPatch, behaviour: dict[str, t.Any]
) -> None:
    from ansible_collections.ocikit.registry.plugins.module_utils._registry import blobs as _blobs

    monkeypatch.setattr(_blobs, "CHUNK", 20000)
    image = images.image([images.layer({"file": "x" * 50000}, compression="")])
    images.push(registry.url, "chunks", image, "1")
    with HostileRegistry(**behaviour) as other:
        # One after the other, the largest first: that is the one whose upload is disturbed.
        mover.copy(registry.url, "chunks:1", f"{other.host}/chunks:1", options={"concurrency": 1})
        assert_whole(other.url, "chunks", "1", image)
        first = other.requests[[r.method for r in other.requests].index("POST") + 1]
        assert first.method in ("PUT", "POST")
        assert (other.count("^PATCH") >= 3) == ("single_post" not in behaviour)
        assert other.uploads == {}


def test_an_upload_in_chunks_is_resumed(
    mover: Mover, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.ocikit.registry.plugins.module_utils._registry import blobs as _blobs

    monkeypatch.setattr(_blobs, "CHUNK", 20000)
    image = images.image([images.layer({"file": "x" * 90000}, compression="")])
    images.push(registry.url, "resumed", image, "1")
    with HostileRegistry(monolithic="405", drop_first=2, drop_on="^PATCH") as other:
        mover.copy(registry.url, "resumed:1", f"{other.host}/resumed:1", options={"concurrency": 1})
        assert_whole(other.url, "resumed", "1", image)
        assert other.count("^GET .*/uploads/") == 2


class Gathering:
    """A destination that stores nothing, and lets blobs arrive when ``number`` of them are on their way."""

    def __init__(self, number: int) -> None:
        self.most = 0
        self._moving = 0
        self._barrier = threading.Barrier(number, timeout=20)
        self._lock = threading.Lock()

    def writing(self, *_unused: object) -> t.ContextManager[None]:
        return contextlib.nullcontext()

    def put_blob(self, *_unused: object) -> bool:
        with self._lock:
            self._moving += 1
            self.most = max(self.most, self._moving)
        self._barrier.wait()
        with self._lock:
            self._moving -= 1
        return True


@pytest.mark.parametrize(
    ("given", "count", "mebibytes", "at_once"),
    [
        (None, 13, 2, 13),
        (None, 48, 2, 16),
        (None, 20, 6, 10),
        (None, 24, 100, 8),
        (3, 12, 2, 3),
        (12, 36, 2, 12),
        (24, 48, 100, 24),
    ],
)
def test_more_small_blobs_than_large_ones_move_at_a_time(
    given: int | None, count: int, mebibytes: int, at_once: int
) -> None:
    """Eight by default, or up to sixteen of 64 MiB; a number of the user is the limit."""
    blobs = [
        Descriptor("text/plain", digest_of(str(number).encode()), mebibytes << 20) for number in range(count)
    ]
    work = CopyPlan(blobs=blobs, sources={blob.digest: t.cast(Source, None) for blob in blobs})
    destination = Gathering(at_once)
    moved = execute(work, t.cast(Store, destination), {}, Concurrency(given))
    assert moved.copied == blobs and destination.most == at_once


def test_what_gets_no_name_is_stored_by_digest(
    connect: t.Any, registry: Registry, tmp_path: pathlib.Path
) -> None:
    image = SAMPLES["oci"]
    images.push(registry.url, "nameless", image, "1")
    _connection, client = connect(registry.url)
    source, layout = Repository(client, "nameless"), LayoutStore(str(tmp_path / "layout"))
    manifest = client.manifest("nameless", "1")
    moved = execute(plan([(source, manifest)], layout, 2), layout, {}, 2)
    assert {blob.digest for blob in moved.copied} == set(image.blobs)
    assert layout.exists(manifest.descriptor) and layout.entries() == []


def test_platforms_of_indexes_within_an_index(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path
) -> None:
    """Pulling, pushing and copying find an image however deep it is, with its attestation."""
    amd64, arm64 = SAMPLES["oci"], images.image({"f": "arm64"}, architecture="arm64")
    inner = images.index([amd64, arm64], attestations=True)
    # Wrappers as BuildKit makes them: the outer entry names no platform.
    wrapper = images.index([inner])
    images.push(registry.url, "deep", wrapper, "1")
    for kind in ("oci", "oci-archive", "docker-archive", "dir"):
        dest = tmp_path / kind
        pulled = mover.pull(registry.url, "deep:1", dest, format=kind, platforms=["linux/arm64"])
        assert pulled["images"][0]["digest"] == arm64.digest
    mover.pull(registry.url, "deep:1", tmp_path / "whole")
    pushed = mover.push(registry.url, tmp_path / "whole", "deep/pushed:1", platforms=["linux/amd64"])
    assert pushed["images"][0]["digest"] == amd64.digest
    assert_whole(registry.url, "deep/pushed", "1", amd64)
    both = ["linux/amd64", "linux/arm64"]
    assert (
        mover.copy(registry.url, "deep:1", "deep/both:1", platforms=both)["images"][0]["digest"]
        == wrapper.digest
    )
    more = images.index([inner, images.image({"f": "s390x"}, architecture="s390x")])
    images.push(registry.url, "deep", more, "more")
    copied = mover.copy(registry.url, "deep:more", "deep/two:1", platforms=both)["images"][0]
    raw, _type = images.get_manifest(registry.url, "deep/two", copied["digest"])
    assert [entry["digest"] for entry in json.loads(raw)["manifests"]] == [
        one.digest for one in inner.children
    ]


def test_platforms(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    index = t.cast(images.Index, SAMPLES["attested-index"])
    amd64, arm64 = index.children[:2]
    third = images.image({"f": "s390x"}, architecture="s390x")
    images.push(registry.url, "platforms", images.index([amd64, arm64, third], attestations=True), "multi")
    images.push(registry.url, "platforms", amd64, "single")
    images.push(registry.url, "platforms", SAMPLES["signature"], "artifact")
    one = mover.pull(registry.url, "platforms:multi", tmp_path / "one", platforms=["linux/aarch64"])[
        "images"
    ][0]
    assert one["digest"] == arm64.digest and one["source_digest"] != one["digest"]
    again = mover.pull(registry.url, "platforms:multi", tmp_path / "one", platforms=["linux/arm64/v8"])
    assert not again["changed"]
    wanted = ["linux/arm64", "linux/amd64", "linux/amd64"]
    two = mover.pull(registry.url, "platforms:multi", tmp_path / "two", platforms=wanted)["images"][0]
    assert_layout(tmp_path / "two")
    raw = tree(tmp_path / "two")[f"blobs/sha256/{two['digest'][7:]}"]
    entries = json.loads(raw or b"")["manifests"]
    assert [entry["digest"] for entry in entries][:2] == [amd64.digest, arm64.digest]
    assert [entry["platform"]["architecture"] for entry in entries] == [
        "amd64",
        "arm64",
        "unknown",
        "unknown",
    ]
    copied = mover.copy(registry.url, "platforms:multi", "platforms/copy:1", platforms=wanted)
    assert copied["images"][0]["digest"] == two["digest"] == images.head(registry.url, "platforms/copy", "1")
    assert not mover.copy(registry.url, "platforms:multi", "platforms/copy:1", platforms=wanted)["changed"]
    everything = ["linux/amd64", "linux/arm64", "linux/s390x"]
    whole = mover.pull(registry.url, "platforms:multi", tmp_path / "three", platforms=everything)["images"][0]
    assert whole["digest"] == whole["source_digest"]
    single = mover.pull(registry.url, "platforms:single", tmp_path / "single", platforms=["linux/amd64"])
    assert single["images"][0]["digest"] == amd64.digest
    pushed = mover.push(registry.url, tmp_path / "single", "platforms/push:1", platforms=["linux/amd64"])
    assert pushed["images"][0]["digest"] == amd64.digest
    with pytest.raises(
        NotFound, match="no image for linux/ppc64le: it has linux/amd64, linux/arm64, linux/s390x"
    ):
        mover.pull(registry.url, "platforms:multi", tmp_path / "none", platforms=["linux/ppc64le"])
    with pytest.raises(NotFound, match="no image for linux/arm64: it is a single image for linux/amd64"):
        mover.pull(registry.url, "platforms:single", tmp_path / "none", platforms=["linux/arm64"])
    with pytest.raises(NotFound, match="no image for linux/arm64: it is a single image for linux/amd64"):
        mover.push(registry.url, tmp_path / "single", "platforms/push:2", platforms=["linux/arm64"])
    artifact = mover.copy(registry.url, "platforms:artifact", "platforms/copy:2", platforms=["linux/arm64"])
    assert artifact["images"][0]["digest"] == SAMPLES["signature"].digest
    assert not (tmp_path / "none").exists()
    assert images.tags(registry.url, "platforms/push") == ["1"]
