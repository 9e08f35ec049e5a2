# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Referrers are found in each way there is, and fallback tags are written so that nothing gets lost."""

from __future__ import annotations

import dataclasses
import http.server
import json
import threading
import typing as t
import urllib.parse

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import ProtocolError, RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor, Manifest
from ansible_collections.ocikit.registry.plugins.module_utils._oci.digest_tags import (
    cosign_tag_names,
    fallback_tag,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry import referrers as _referrers
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.referrers import (
    add_to_fallback_tag,
    attestations,
    cosign_tags,
    find_referrers,
    referrer_descriptor,
    remove_from_fallback_tag,
)
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
    return json.loads(raw)["manifests"]


def descriptor_of(made: images.Image) -> Descriptor:
    return referrer_descriptor(Manifest.parse(made.raw, made.media_type))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_referrers, "_PAUSE", 0)


def test_tag_names() -> None:
    assert fallback_tag("sha256:" + "a" * 64) == "sha256-" + "a" * 64
    assert fallback_tag("sha512:" + "b" * 128) == "sha512-" + "b" * 64
    assert cosign_tag_names("sha256:" + "a" * 64) == [
        f"sha256-{'a' * 64}.{suffix}" for suffix in ("sig", "att", "sbom")
    ]
    # Such a name is too long to be a tag, so nobody can have written it.
    assert cosign_tag_names("sha512:" + "b" * 128) == []


def test_descriptor_rules() -> None:
    typed = images.artifact(SBOM, subject=subject_of("a"), annotations={"org.example.a": "b"})
    assert descriptor_of(typed) == Descriptor(images.OCI_MANIFEST, typed.digest, len(typed.raw))
    assert descriptor_of(typed).artifact_type == SBOM
    assert descriptor_of(typed).annotations == {"org.example.a": "b"}
    untyped = images.image({"a": "b"}, subject=subject_of("a"))
    assert descriptor_of(untyped).artifact_type == images.OCI_CONFIG
    assert descriptor_of(images.index([untyped])).artifact_type is None


@pytest.mark.parametrize("mode", ["on", "unfiltered"])
def test_api(connect: Connect, mode: str) -> None:
    subject = subject_of("api")
    signature = images.artifact(SIGNATURE, b"signed", subject=subject)
    sbom = images.artifact(SBOM, b"sbom", subject=subject, annotations={"org.example.a": "b"})
    with HostileRegistry(referrers=mode) as server:
        for made in (subject, signature, sbom):
            server.add("a/b", made)
        _connection, client = connect(server.url)
        found = find_referrers(client, "a/b", subject.digest)
        assert found.source == "api"
        assert {(one.digest, one.artifact_type) for one in found.descriptors} == {
            (signature.digest, SIGNATURE),
            (sbom.digest, SBOM),
        }
        only = find_referrers(client, "a/b", subject.digest, SBOM)
        assert [(one.digest, one.annotations) for one in only.descriptors] == [
            (sbom.digest, {"org.example.a": "b"})
        ]
        assert find_referrers(client, "a/b", sbom.digest) == ([], "api")
        assert server.count("GET /v2/a/b/manifests/") == 0


class PagedReferrers(http.server.BaseHTTPRequestHandler):
    """A referrers API of three pages, the first of which a filter left empty."""

    pages: t.ClassVar[list[list[dict[str, t.Any]]]] = []
    broken_from: t.ClassVar[int] = 9

    def do_GET(self) -> None:
        number = int(urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("page", ["0"])[0])
        body = json.dumps({"schemaVersion": 2, "manifests": self.pages[number]}).encode()
        self.send_response(404 if number >= self.broken_from else 200)
        self.send_header("Content-Type", images.OCI_INDEX)
        self.send_header("Content-Length", str(len(body)))
        if number + 1 < len(self.pages):
            self.send_header("Link", f'<?page={number + 1}>; rel="next"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: t.Any) -> None:  # pylint: disable=redefined-builtin
        pass


@pytest.fixture
def paged() -> t.Iterator[tuple[str, type[PagedReferrers]]]:
    class Handler(PagedReferrers):
        pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", Handler
        server.shutdown()


def test_pages_of_the_api(connect: Connect, paged: tuple[str, type[PagedReferrers]]) -> None:
    url, handler = paged
    made = [images.artifact(SBOM, f"{number}".encode()) for number in range(3)]
    entries = [{**one.descriptor(), "artifactType": SBOM} for one in made]
    handler.pages = [[], entries[:2], entries[1:]]
    _connection, client = connect(url)
    found = find_referrers(client, "a/b", subject_of("pages").digest, SBOM)
    assert found.source == "api"
    assert [one.digest for one in found.descriptors] == [one.digest for one in made]


def test_a_page_that_fails_is_not_taken_for_no_api(
    connect: Connect, paged: tuple[str, type[PagedReferrers]]
) -> None:
    url, handler = paged
    handler.pages = [[images.artifact(SBOM).descriptor()], []]
    handler.broken_from = 1
    _connection, client = connect(url)
    with pytest.raises(RegistryError, match="cannot be listed"):
        find_referrers(client, "a/b", subject_of("pages").digest)


@pytest.mark.registry_does_not("referrers")
def test_fallback_tag_of_a_real_registry(connect: Connect, registry: Registry) -> None:
    subject = subject_of("fallback")
    signature = images.artifact(SIGNATURE, b"signed", subject=subject)
    sbom = images.artifact(SBOM, b"sbom", subject=subject)
    repository = "referrers/read"
    for made in (subject, signature, sbom):
        images.push(registry.url, repository, made)
    images.push(
        registry.url, repository, images.referrers_index([signature, sbom]), images.referrers_tag(subject)
    )
    _connection, client = connect(registry.url)
    registry.clear_requests()
    found = find_referrers(client, repository, subject.digest)
    assert found.source == "fallback_tag"
    assert [(one.digest, one.artifact_type) for one in found.descriptors] == [
        (signature.digest, SIGNATURE),
        (sbom.digest, SBOM),
    ]
    assert [one.digest for one in find_referrers(client, repository, subject.digest, SBOM).descriptors] == [
        sbom.digest
    ]
    assert find_referrers(client, repository, sbom.digest) == ([], "fallback_tag")
    # That there is no API is found out once.
    assert sum("/referrers/sha256:" in path for _method, path, _status in registry.requests()) == 1


def test_fallback_tag_that_is_no_index_lists_nothing(connect: Connect) -> None:
    subject = subject_of("no index")
    with HostileRegistry() as server:
        server.add("a/b", subject, images.referrers_tag(subject))
        _connection, client = connect(server.url)
        assert find_referrers(client, "a/b", subject.digest) == ([], "fallback_tag")


def test_referrers_that_may_not_be_read_are_an_error(connect: Connect) -> None:
    with HostileRegistry(fail_first=-1, fail_status=403, fail_on="/referrers/") as server:
        _connection, client = connect(server.url)
        with pytest.raises(RegistryError, match="referrers of a/b@sha256.* cannot be listed") as failed:
            find_referrers(client, "a/b", subject_of("x").digest)
        assert failed.value.kind == "denied"


def test_cosign_tags(connect: Connect, registry: Registry) -> None:
    subject, signature = subject_of("cosign"), images.image([images.layer({"sig": "1"})])
    tag = subject.digest.replace(":", "-")
    images.push(registry.url, "referrers/cosign", subject)
    images.push(registry.url, "referrers/cosign", signature, f"{tag}.sig")
    images.push(registry.url, "referrers/cosign", signature, f"{tag}.other")
    _connection, client = connect(registry.url)
    found = cosign_tags(client, "referrers/cosign", subject.digest, 3)
    assert found == {f"{tag}.sig": Descriptor(images.OCI_MANIFEST, signature.digest, len(signature.raw))}
    assert found[f"{tag}.sig"].artifact_type == images.OCI_CONFIG
    assert cosign_tags(client, "referrers/nowhere", subject.digest) == {}


def test_attestations() -> None:
    amd64, arm64 = subject_of("amd64"), images.image({"a": "b"}, architecture="arm64")
    index = images.index([amd64, arm64], attestations=True)
    found = attestations(Manifest.parse(index.raw, index.media_type))
    assert [(one.digest, one.attests) for one in found] == [
        (images.attestation(made).digest, made.digest) for made in (amd64, arm64)
    ]
    assert attestations(Manifest.parse(amd64.raw, amd64.media_type)) == []


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

    assert add_to_fallback_tag(client, repository, subject.digest, descriptor_of(signature))
    assert add_to_fallback_tag(
        client, repository, subject.digest, descriptor_of(signature), descriptor_of(sbom)
    )
    entries = [
        {**signature.descriptor(), "artifactType": SIGNATURE},
        {**sbom.descriptor(), "artifactType": SBOM, "annotations": {"org.example.a": "b"}},
    ]
    assert listed(registry.url, repository, subject) == entries

    registry.clear_requests()
    assert not add_to_fallback_tag(client, repository, subject.digest, descriptor_of(sbom))
    assert {method for method, _path, _status in registry.requests()} == {"GET"}

    assert remove_from_fallback_tag(client, repository, subject.digest, signature.digest)
    assert listed(registry.url, repository, subject) == entries[1:]
    assert not remove_from_fallback_tag(client, repository, subject.digest, signature.digest)
    assert remove_from_fallback_tag(client, repository, subject.digest, sbom.digest)
    assert listed(registry.url, repository, subject) == []


def test_nothing_to_remove_writes_nothing(connect: Connect, registry: Registry) -> None:
    subject = subject_of("nothing to remove")
    _connection, client = connect(registry.url)
    assert not remove_from_fallback_tag(client, "referrers/nothing", subject.digest, subject.digest)
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
        assert add_to_fallback_tag(client, "a/b", subject.digest, descriptor_of(new))
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
            add_to_fallback_tag(client, "a/b", subject.digest, descriptor_of(subject))
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
    assert add_to_fallback_tag(client, repository, subject.digest, descriptor_of(new))
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
        add_to_fallback_tag(client, "referrers/missing", subject.digest, descriptor_of(missing))
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
        assert add_to_fallback_tag(client, "a/b", subject.digest, descriptor_of(ours))
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
            add_to_fallback_tag(client, "a/b", subject.digest, descriptor_of(signature))
        assert 1 < server.count("^PUT ") < 10


def test_threads_do_not_undo_each_other(connect: Connect, registry: Registry) -> None:
    repository, subject = "referrers/threads", subject_of("threads")
    made = [images.artifact(SIGNATURE, f"{number}".encode(), subject=subject) for number in range(8)]
    for one in (subject, *made):
        images.push(registry.url, repository, one)
    _connection, client = connect(registry.url)
    threads = [
        threading.Thread(
            target=add_to_fallback_tag, args=(client, repository, subject.digest, descriptor_of(one))
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
            add_to_fallback_tag(client, "a/b", subject.digest, descriptor_of(signature))

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
