# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fallback tags are written so that nothing gets lost."""

from __future__ import annotations

import dataclasses
import json
import threading
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import ProtocolError, RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor, Manifest
from ansible_collections.ocikit.registry.plugins.module_utils._oci.digest_tags import fallback_tag
from ansible_collections.ocikit.registry.plugins.module_utils._registry import fallback_tag as _fallback_tag
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.fallback_tag import (
    add_to_fallback_tag,
    referrer_descriptor,
    remove_from_fallback_tag,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.repository import Repository
from tests.hostile import HostileRegistry
from tests.hostile.server import Request
from tests.registries import Registry, images

Connect = t.Callable[..., t.Tuple[t.Any, RegistryClient]]
SIGNATURE = "application/vnd.example.signature"
SBOM = "application/spdx+json"


def subject_of(name: str) -> images.Image:
    return images.image({"name.txt": name})


def listed(url: str, repository: str, subject: images.Image) -> list[dict[str, t.Any]]:
    """Return what the fallback tag lists, read without the code under test."""
    raw, media_type = images.get_manifest(url, repository, subject.digest.replace(":", "-"))
    assert media_type == images.OCI_INDEX
    return t.cast("list[dict[str, t.Any]]", json.loads(raw)["manifests"])


def descriptor_of(made: images.Image) -> Descriptor:
    return referrer_descriptor(Manifest.parse(made.raw, made.media_type))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fallback_tag, "_PAUSE", 0)


def test_write_fallback_tag_on_a_real_registry(connect: Connect, registry: Registry) -> None:
    repository, subject = "referrers/write", subject_of("write")
    signature = images.artifact(SIGNATURE, b"signed", subject=subject)
    sbom = images.artifact(SBOM, b"sbom", subject=subject, annotations={"org.example.a": "b"})
    for made in (subject, signature, sbom):
        images.push(registry.url, repository, made)
    _connection, client = connect(registry.url)
    pushed = client.put_manifest(
        repository, signature.digest, Manifest.parse(signature.raw, signature.media_type)
    )
    assert not pushed.maintains_referrers

    assert add_to_fallback_tag(Repository(client, repository), subject.digest, descriptor_of(signature))
    assert add_to_fallback_tag(
        Repository(client, repository), subject.digest, descriptor_of(signature), descriptor_of(sbom)
    )
    entries = [
        {**signature.descriptor(), "artifactType": SIGNATURE},
        {**sbom.descriptor(), "artifactType": SBOM, "annotations": {"org.example.a": "b"}},
    ]
    assert listed(registry.url, repository, subject) == entries

    registry.clear_requests()
    assert not add_to_fallback_tag(Repository(client, repository), subject.digest, descriptor_of(sbom))
    assert {method for method, _path, _status in registry.requests()} == {"GET"}

    assert remove_from_fallback_tag(Repository(client, repository), subject.digest, signature.digest)
    assert listed(registry.url, repository, subject) == entries[1:]
    assert not remove_from_fallback_tag(Repository(client, repository), subject.digest, signature.digest)
    assert remove_from_fallback_tag(Repository(client, repository), subject.digest, sbom.digest)
    assert listed(registry.url, repository, subject) == []


def test_nothing_to_remove_writes_nothing(connect: Connect, registry: Registry) -> None:
    subject = subject_of("nothing to remove")
    _connection, client = connect(registry.url)
    assert not remove_from_fallback_tag(
        Repository(client, "referrers/nothing"), subject.digest, subject.digest
    )
    assert images.tags(registry.url, "referrers/nothing") == []


def test_entries_that_others_wrote_stay_as_they_are(connect: Connect) -> None:
    subject = subject_of("others")
    old, new = (images.artifact(SIGNATURE, content, subject=subject) for content in (b"old", b"new"))
    index = images.index([old], annotations={"org.example.keeper": "somebody"})
    content = index.manifest
    content["manifests"][0].update(data="e30=", unknown={"a": 1})
    index = dataclasses.replace(index, raw=json.dumps(content).encode())
    with HostileRegistry() as server:
        server.add("a/b", new)
        server.add("a/b", index, images.referrers_tag(subject))
        _connection, client = connect(server.url)
        assert add_to_fallback_tag(Repository(client, "a/b"), subject.digest, descriptor_of(new))
        raw, _media_type = images.get_manifest(server.url, "a/b", images.referrers_tag(subject))
        after = json.loads(raw)
        assert after["annotations"] == {"org.example.keeper": "somebody"}
        assert after["manifests"][0] == content["manifests"][0]
        assert [entry["digest"] for entry in after["manifests"]] == [old.digest, new.digest]


def test_a_tag_that_is_no_index_is_left_alone(connect: Connect) -> None:
    subject = subject_of("left alone")
    with HostileRegistry() as server:
        server.add("a/b", subject, images.referrers_tag(subject))
        _connection, client = connect(server.url)
        with pytest.raises(ProtocolError, match="has to list referrers, but holds"):
            add_to_fallback_tag(Repository(client, "a/b"), subject.digest, descriptor_of(subject))
        assert images.state(server.url, "a/b") == {images.referrers_tag(subject): subject.digest}
        assert server.count("^PUT ") == 0


@pytest.mark.registry_does("whole_indexes")
def test_entries_whose_manifests_are_gone_do_not_block(connect: Connect, registry: Registry) -> None:
    repository, subject = "referrers/gone", subject_of("gone")
    gone, kept, new = (
        images.artifact(SIGNATURE, content, subject=subject) for content in (b"gone", b"kept", b"new")
    )
    for made in (subject, gone, kept, new):
        images.push(registry.url, repository, made)
    images.push(registry.url, repository, images.referrers_index([gone, kept]), images.referrers_tag(subject))
    _connection, client = connect(registry.url)
    assert client.delete_manifest(repository, gone.digest).outcome == "deleted"
    assert add_to_fallback_tag(Repository(client, repository), subject.digest, descriptor_of(new))
    assert [entry["digest"] for entry in listed(registry.url, repository, subject)] == [
        kept.digest,
        new.digest,
    ]


@pytest.mark.registry_does("whole_indexes")
def test_a_referrer_that_does_not_exist_is_not_listed(connect: Connect, registry: Registry) -> None:
    subject = subject_of("not pushed")
    images.push(registry.url, "referrers/missing", subject, "v1")
    _connection, client = connect(registry.url)
    missing = images.artifact(SIGNATURE, b"never pushed", subject=subject)
    with pytest.raises(RegistryError) as failed:
        add_to_fallback_tag(Repository(client, "referrers/missing"), subject.digest, descriptor_of(missing))
    assert failed.value.code == "MANIFEST_BLOB_UNKNOWN"
    assert images.tags(registry.url, "referrers/missing") == ["v1"]


def test_a_write_that_another_process_undid_is_repeated(connect: Connect) -> None:
    subject = subject_of("race")
    ours, theirs = (images.artifact(SIGNATURE, content, subject=subject) for content in (b"ours", b"theirs"))
    with HostileRegistry() as server:
        server.add("a/b", ours)
        tag, reads = images.referrers_tag(subject), []

        def undo(request: Request) -> None:
            """Before our second read: what another process wrote that had read when we had not written yet."""
            if request.method == "GET" and request.path.endswith(tag):
                reads.append(request)
                if len(reads) == 2:
                    server.add("a/b", images.referrers_index([theirs]), tag)

        server.before = undo
        _connection, client = connect(server.url)
        assert add_to_fallback_tag(Repository(client, "a/b"), subject.digest, descriptor_of(ours))
        assert {entry["digest"] for entry in listed(server.url, "a/b", subject)} == {
            ours.digest,
            theirs.digest,
        }


def test_a_tag_that_keeps_nothing_is_an_error(connect: Connect) -> None:
    subject = subject_of("ignored")
    signature = images.artifact(SIGNATURE, subject=subject)
    with HostileRegistry(manifest_put="ignored") as server:
        server.add("a/b", signature)
        _connection, client = connect(server.url)
        with pytest.raises(ProtocolError, match="does not keep the referrers"):
            add_to_fallback_tag(Repository(client, "a/b"), subject.digest, descriptor_of(signature))
        assert 1 < server.count("^PUT ") < 10


def test_threads_do_not_undo_each_other(connect: Connect, registry: Registry) -> None:
    repository, subject = "referrers/threads", subject_of("threads")
    made = [images.artifact(SIGNATURE, f"{number}".encode(), subject=subject) for number in range(8)]
    for one in (subject, *made):
        images.push(registry.url, repository, one)
    _connection, client = connect(registry.url)
    threads = [
        threading.Thread(
            target=add_to_fallback_tag,
            args=(Repository(client, repository), subject.digest, descriptor_of(one)),
        )
        for one in made
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entry["digest"] for entry in listed(registry.url, repository, subject)) == sorted(
        one.digest for one in made
    )


def test_a_list_that_is_slow_to_be_written_holds_up_no_other(connect: Connect) -> None:
    slow, fast = (images.image({"file": name}) for name in ("slow", "fast"))
    written = threading.Event()
    with HostileRegistry() as server:
        _connection, client = connect(server.url)

        def add(subject: images.Image) -> None:
            signature = images.artifact(SIGNATURE, b"signed", subject=subject)
            server.add("a/b", signature)
            add_to_fallback_tag(Repository(client, "a/b"), subject.digest, descriptor_of(signature))

        def add_fast() -> None:
            add(fast)
            written.set()

        def watch(request: Request) -> None:
            if request.method == "PUT" and request.path.endswith(fallback_tag(slow.digest)):
                threading.Thread(target=add_fast).start()
                written.wait(20)

        server.before = watch
        add(slow)
        assert written.is_set()
        assert set(server.repository("a/b").tags) == {fallback_tag(one.digest) for one in (slow, fast)}
