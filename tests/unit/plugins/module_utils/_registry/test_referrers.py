# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What refers to an image is found in each way there is, and read before it is believed."""

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
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.fallback_tag import (
    add_to_fallback_tag,
    referrer_descriptor,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.referrers import (
    find_referrers,
    find_referring,
    read_cosign_tags,
    read_referrers,
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


def descriptor_of(made: images.Image) -> Descriptor:
    return referrer_descriptor(Manifest.parse(made.raw, made.media_type))


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
        found = find_referrers(Repository(client, "a/b"), subject.digest)
        assert found.source == "api"
        assert {(one.digest, one.artifact_type) for one in found.descriptors} == {
            (signature.digest, SIGNATURE),
            (sbom.digest, SBOM),
        }
        only = find_referrers(Repository(client, "a/b"), subject.digest, SBOM)
        assert [(one.digest, one.annotations) for one in only.descriptors] == [
            (sbom.digest, {"org.example.a": "b"})
        ]
        assert find_referrers(Repository(client, "a/b"), sbom.digest) == ([], "api")
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
    found = find_referrers(Repository(client, "a/b"), subject_of("pages").digest, SBOM)
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
        find_referrers(Repository(client, "a/b"), subject_of("pages").digest)


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
    found = find_referrers(Repository(client, repository), subject.digest)
    assert found.source == "fallback_tag"
    assert [(one.digest, one.artifact_type) for one in found.descriptors] == [
        (signature.digest, SIGNATURE),
        (sbom.digest, SBOM),
    ]
    assert [
        one.digest for one in find_referrers(Repository(client, repository), subject.digest, SBOM).descriptors
    ] == [sbom.digest]
    assert find_referrers(Repository(client, repository), sbom.digest) == ([], "fallback_tag")
    # That there is no API is found out once.
    assert sum("/referrers/sha256:" in path for _method, path, _status in registry.requests()) == 1


def test_fallback_tag_that_is_no_index_lists_nothing(connect: Connect) -> None:
    subject = subject_of("no index")
    with HostileRegistry() as server:
        server.add("a/b", subject, images.referrers_tag(subject))
        _connection, client = connect(server.url)
        assert find_referrers(Repository(client, "a/b"), subject.digest) == ([], "fallback_tag")


def test_referrers_that_may_not_be_read_are_an_error(connect: Connect) -> None:
    with HostileRegistry(fail_first=-1, fail_status=403, fail_on="/referrers/") as server:
        _connection, client = connect(server.url)
        with pytest.raises(RegistryError, match="referrers of a/b@sha256.* cannot be listed") as failed:
            find_referrers(Repository(client, "a/b"), subject_of("x").digest)
        assert failed.value.kind == "denied"


def test_cosign_tags(connect: Connect, registry: Registry) -> None:
    subject, signature = subject_of("cosign"), images.image([images.layer({"sig": "1"})])
    tag = subject.digest.replace(":", "-")
    images.push(registry.url, "referrers/cosign", subject)
    images.push(registry.url, "referrers/cosign", signature, f"{tag}.sig")
    images.push(registry.url, "referrers/cosign", signature, f"{tag}.other")
    _connection, client = connect(registry.url)
    tags = read_cosign_tags(Repository(client, "referrers/cosign"), subject.digest)
    assert {name: manifest.digest for name, manifest in tags.items()} == {f"{tag}.sig": signature.digest}
    assert read_cosign_tags(Repository(client, "referrers/nowhere"), subject.digest) == {}


def test_what_is_listed_is_read_before_it_is_believed(connect: Connect) -> None:
    subject, other = subject_of("subject"), subject_of("other")
    right, gone = (images.artifact(SBOM, content, subject=subject) for content in (b"right", b"gone"))
    wrong, none = images.artifact(SBOM, b"wrong", subject=other), images.artifact(SBOM, b"none")
    with HostileRegistry() as server:
        for made in (subject, right, wrong, none):
            server.add("a/b", made)
        listing = images.referrers_index([right, gone, wrong, none])
        server.add("a/b", dataclasses.replace(listing, children=()), images.referrers_tag(subject))
        _connection, client = connect(server.url)
        repository = Repository(client, "a/b", 4)
        assert len(find_referrers(repository, subject.digest).descriptors) == 4
        assert [manifest.digest for manifest in read_referrers(repository, subject.digest)] == [right.digest]


def test_all_that_refers_to_an_image_is_found(connect: Connect, registry: Registry) -> None:
    """Referrers of the index, of indexes within it, of its images, and of each other; cosign's tags with their names."""
    name, inner_image, image = "referrers/all", subject_of("inner"), subject_of("image")
    inner = images.index([inner_image])
    root = images.index([inner, image])
    images.push(registry.url, name, root, "1")
    of_root = images.artifact(SBOM, b"root", subject=root)
    of_inner = images.artifact(SBOM, b"inner", subject=inner)
    of_image = images.artifact(SBOM, b"image", subject=inner_image)
    signature = images.artifact(SIGNATURE, b"signature", subject=of_image)
    signed = images.image([images.layer({"sig": "1"})])
    _connection, client = connect(registry.url)
    repository = Repository(client, name, 4)
    for made in (of_root, of_inner, of_image, signature):
        images.push(registry.url, name, made)
        subject = made.manifest["subject"]["digest"]
        if repository.referrers(subject) is None:
            add_to_fallback_tag(repository, subject, descriptor_of(made))
    tag = cosign_tag_names(image.digest)[0]
    images.push(registry.url, name, signed, tag)

    def referring(**kinds: bool) -> dict[str, list[str]]:
        manifest = Manifest.parse(root.raw, root.media_type)
        return {one.manifest.digest: one.tags for one in find_referring(repository, manifest, **kinds)}

    subjects: dict[str, list[str]] = {one.digest: [] for one in (of_root, of_inner, of_image, signature)}
    assert referring() == {**subjects, signed.digest: [tag]}
    assert referring(signatures=False) == subjects
    assert referring(referrers=False) == {signed.digest: [tag]}


def test_references_without_end_are_an_error(connect: Connect) -> None:
    """A registry where every manifest has one more referrer."""
    root = subject_of("endless")
    with HostileRegistry(referrers="on") as server:
        server.add("a/b", root, "1")

        def one_more(request: Request) -> None:
            kind, _slash, digest = request.path.rpartition("/v2/a/b/")[2].partition("/")
            if kind == "referrers":
                media_type, raw = server.repository("a/b").manifests[digest]
                subject = images.Image(raw, media_type, {})
                server.add("a/b", images.artifact(SBOM, digest.encode(), subject=subject))

        server.before = one_more
        _connection, client = connect(server.url)
        with pytest.raises(ProtocolError, match="without end"):
            find_referring(Repository(client, "a/b"), Manifest.parse(root.raw, root.media_type))


BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGNING = {"dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1"}


def listed_as_cosign_does(*referrers: images.Image) -> images.Image:
    """A list of referrers whose entries have the type of the empty configuration, and no annotations."""
    listed = images.referrers_index(referrers)
    manifest = listed.manifest
    for entry in manifest["manifests"]:
        entry["artifactType"] = images.OCI_EMPTY
        entry.pop("annotations", None)
    return dataclasses.replace(listed, raw=json.dumps(manifest).encode())


def test_entries_of_a_fallback_tag_that_say_nothing_are_described_by_their_manifests(
    connect: Connect,
) -> None:
    subject = subject_of("a")
    bundle = images.artifact(BUNDLE, b"{}", BUNDLE, subject=subject, annotations=SIGNING)
    sbom = images.artifact(SBOM, b"sbom", subject=subject)
    gone = images.artifact(BUNDLE, b"gone", BUNDLE, subject=subject)
    with HostileRegistry() as server:
        for made in (subject, bundle, sbom):
            server.add("a/b", made)
        server.add("a/b", listed_as_cosign_does(bundle, sbom, gone), images.referrers_tag(subject))
        server.repository("a/b").remove(gone.digest)
        _connection, client = connect(server.url)
        repository = Repository(client, "a/b")
        assert find_referrers(repository, subject.digest, BUNDLE).descriptors == [descriptor_of(bundle)]
        found = find_referrers(repository, subject.digest).descriptors
        assert [one.artifact_type for one in found] == [BUNDLE, SBOM, images.OCI_EMPTY]
        assert found[0].annotations == SIGNING


@pytest.mark.parametrize(
    ("artifact_type", "found"),
    [
        (BUNDLE, True),
        ("application/vnd.dev.sigstore.bundle+json;version=0.2", True),
        ("application/vnd.dev.cosign.artifact.sig.v1+json", True),
        ("application/vnd.dev.cosign.artifact.att.v1+json", True),
        ("application/vnd.cncf.notary.signature", True),
        (SBOM, False),
        ("application/vnd.example.signature", False),
    ],
)
def test_signatures_among_referrers_are_found_without_the_others(
    connect: Connect, artifact_type: str, found: bool
) -> None:
    subject = subject_of("a")
    signature = images.artifact(artifact_type, b"signed", subject=subject)
    with HostileRegistry() as server:
        for made in (subject, signature):
            server.add("a/b", made)
        server.add("a/b", listed_as_cosign_does(signature), images.referrers_tag(subject))
        _connection, client = connect(server.url)
        root = Manifest.parse(subject.raw, subject.media_type)
        repository = Repository(client, "a/b")
        referring = find_referring(repository, root, referrers=False, signatures=True)
        assert [one.manifest.digest for one in referring] == [signature.digest] * found
        referring = find_referring(repository, root, referrers=True, signatures=False)
        assert [one.manifest.digest for one in referring] == [signature.digest]
