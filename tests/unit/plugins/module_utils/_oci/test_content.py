# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptors, platforms and manifests: what is believed of bytes that somebody else wrote."""

from __future__ import annotations

import base64
import hashlib
import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    DigestMismatch,
    InvalidInput,
    ProtocolError,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_ARTIFACT,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    SCHEMA1,
    SCHEMA1_SIGNED,
    Descriptor,
    Manifest,
    Platform,
    digest_of,
)
from tests.registries import images

DIGEST = "sha256:" + "a" * 64
AMD64, UNKNOWN = (
    {"os": name, "architecture": cpu} for name, cpu in (("linux", "amd64"), ("unknown", "unknown"))
)
OTHER = "sha256:" + "b" * 64
CONFIG = {"mediaType": OCI_CONFIG, "digest": DIGEST, "size": 2}
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": OTHER, "size": 3}
IMAGE = {"schemaVersion": 2, "config": CONFIG, "layers": [LAYER]}
INDEX: dict[str, t.Any] = {"schemaVersion": 2, "manifests": []}


def raw(value: t.Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", "linux/amd64"),
        ("Linux/AMD64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("linux/riscv64", "linux/riscv64"),
    ],
)
def test_platforms_are_normalised(text: str, expected: str) -> None:
    assert str(Platform.parse(text)) == expected
    assert Platform.parse(text).distance(Platform.parse(expected)) == 0


@pytest.mark.parametrize(
    "text", ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/amd 64", "linux/ä", "linux//v8"]
)
def test_texts_that_are_no_platform(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a platform: write os/architecture"):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("platform", "image", "distance"),
    [
        ("linux/arm/v7", "linux/arm", 0),
        ("linux/arm/v7", "linux/arm/v6", 1000),
        ("linux/arm", "linux/arm/v5", 2000),
        ("linux/arm/v6", "linux/arm/v7", None),
        ("linux/arm/v7", "linux/arm64", None),
        ("linux/amd64/v3", "linux/amd64/v2", 1000),
        ("linux/amd64/v3", "linux/amd64", 2000),
        ("linux/amd64", "linux/amd64/v3", None),
        ("linux/amd64", "linux/386", None),
        ("linux/arm64/v9", "linux/arm64", 1000),
        ("linux/arm64", "linux/arm64/v8.0", 0),
        ("linux/arm64", "linux/arm64/v8.2", None),
        ("linux/arm64/v8.2", "linux/arm64/v8.1", 1),
        ("linux/ppc64le/power9", "linux/ppc64le/power9", 0),
        ("linux/ppc64le/power9", "linux/ppc64le/power8", None),
        ("linux/ppc64le", "linux/ppc64le/power8", None),
        ("linux/amd64", "windows/amd64", None),
        ("macos/arm64", "darwin/arm64", 0),
        ("windows/amd64", "windows/amd64:10.0.17763.1", 0),
        ("windows/amd64:10.0.17763", "windows/amd64:10.0.17763.1", 0),
        ("windows/amd64:10.0.17763.1", "windows/amd64:10.0.17763.1", 0),
        ("windows/amd64:10.0.1776", "windows/amd64:10.0.17763.1", None),
        ("windows/amd64:10.0.17763", "windows/amd64", None),
    ],
)
def test_variants_and_versions_that_a_platform_runs(platform: str, image: str, distance: int | None) -> None:
    assert Platform.parse(platform).distance(Platform.parse(image)) == distance


def test_the_version_of_the_operating_system_is_part_of_messages_but_not_of_results() -> None:
    platform = Platform.parse("windows/amd64:10.0.17763.1")
    assert (str(platform), platform.name) == ("windows/amd64:10.0.17763.1", "windows/amd64")
    assert Platform.parse(str(platform)) == platform


@pytest.mark.parametrize(
    ("platform", "known"),
    [
        ({"os": "linux", "architecture": "amd64"}, True),
        ({"os": "unknown", "architecture": "unknown"}, False),
        ({}, False),
        ({"os": None, "architecture": ["amd64"]}, False),
        ({"os": 1, "architecture": {}, "variant": True, "os.version": 3.5}, False),
    ],
)
def test_platforms_of_descriptors(platform: dict[str, t.Any], known: bool) -> None:
    found = Descriptor.from_dict({**CONFIG, "platform": platform}).platform
    assert found is not None and found.known is known


@pytest.mark.parametrize("platform", [None, "linux/amd64", [], 3, True])
def test_what_is_no_platform_object_counts_as_none(platform: object) -> None:
    assert Descriptor.from_dict({**CONFIG, "platform": platform}).platform is None


@pytest.mark.parametrize(
    "digest",
    [
        None,
        3,
        [],
        {},
        "",
        "sha256:",
        "../../etc/passwd",
        "sha256:../x",
        DIGEST.upper(),
        DIGEST + "0",
        DIGEST[:-1],
    ]
    + [DIGEST + "\n", "md5:" + "a" * 32, "sha512:" + "a" * 64, "sha256:" + "g" * 64, "x\x1b[2J"],
)
def test_hostile_digests_are_refused(digest: object) -> None:
    with pytest.raises(ProtocolError, match="without a valid digest") as caught:
        Descriptor.from_dict({**CONFIG, "digest": digest})
    assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("size", [None, -1, "2", 2.0, True, [2], float("inf"), 1 << 63])
def test_hostile_sizes_are_refused(size: object) -> None:
    with pytest.raises(ProtocolError, match="no valid size"):
        Descriptor.from_dict({**CONFIG, "size": size})


@pytest.mark.parametrize("media_type", [None, 3, [], {}])
def test_hostile_media_types_are_refused(media_type: object) -> None:
    with pytest.raises(ProtocolError, match="no media type"):
        Descriptor.from_dict({**CONFIG, "mediaType": media_type})


@pytest.mark.parametrize("value", [None, "x", 3, [], [CONFIG]])
def test_what_is_no_descriptor(value: object) -> None:
    with pytest.raises(ProtocolError, match="not an object"):
        Descriptor.from_dict(value)


def test_optional_fields_of_other_types_are_left_out() -> None:
    hostile = {
        "annotations": {"a": "1", "vnd.docker.reference.digest": [OTHER]},
        "urls": ["u", 3],
        "artifactType": {},
    }
    found = Descriptor.from_dict({**CONFIG, **hostile})
    assert (found.annotations, found.urls, found.artifact_type, found.attests) == (
        {"a": "1"},
        ("u",),
        None,
        None,
    )
    assert Descriptor.from_dict({**CONFIG, "annotations": ["a"], "urls": "u"}).annotations == {}


@pytest.mark.parametrize("name", sorted(images.samples()))
def test_sample_images_are_what_they_were_made_as(name: str) -> None:
    sample = images.samples()[name]
    for served in (
        sample.media_type,
        f"{sample.media_type}; charset=utf-8",
        None,
        "application/json",
        "text/plain",
    ):
        manifest = Manifest.parse(sample.raw, served, sample.digest)
        assert (manifest.digest, manifest.media_type, manifest.raw) == (
            sample.digest,
            sample.media_type,
            sample.raw,
        )
    parsed = json.loads(sample.raw)
    assert manifest.is_index is ("manifests" in parsed)
    needed = [*parsed.get("manifests", []), *filter(None, [parsed.get("config")]), *parsed.get("layers", [])]
    assert [one.digest for one in manifest.successors()] == list(
        dict.fromkeys(one["digest"] for one in needed)
    )


@pytest.mark.parametrize(
    ("content", "served", "expected"),
    [
        (IMAGE, None, OCI_MANIFEST),
        (IMAGE, "application/octet-stream", OCI_MANIFEST),
        (IMAGE, DOCKER_MANIFEST, DOCKER_MANIFEST),
        ({**IMAGE, "mediaType": ""}, DOCKER_MANIFEST, DOCKER_MANIFEST),
        ({**IMAGE, "mediaType": DOCKER_MANIFEST}, "application/json", DOCKER_MANIFEST),
        ({**IMAGE, "mediaType": "application/x-own"}, "application/json", OCI_MANIFEST),
        (INDEX, "", OCI_INDEX),
        (INDEX, DOCKER_LIST + "; charset=utf-8", DOCKER_LIST),
        (INDEX, OCI_INDEX.upper(), OCI_INDEX),
        ({"fsLayers": [], "history": []}, None, SCHEMA1),
        ({"fsLayers": [], "signatures": [{}]}, "application/json", SCHEMA1_SIGNED),
        ({"mediaType": OCI_ARTIFACT, "blobs": [LAYER]}, "application/json", OCI_ARTIFACT),
    ],
)
def test_the_type_comes_from_header_field_or_shape(content: t.Any, served: str | None, expected: str) -> None:
    assert Manifest.parse(raw(content), served).media_type == expected


@pytest.mark.parametrize(
    ("content", "served", "says"),
    [
        ({**INDEX, "layers": []}, OCI_INDEX, "ambiguous"),
        ({**INDEX, "config": None}, OCI_INDEX, "ambiguous"),
        ({**INDEX, "fsLayers": []}, None, "ambiguous"),
        ({**IMAGE, "manifests": []}, OCI_MANIFEST, "ambiguous"),
        ({**IMAGE, "mediaType": OCI_MANIFEST}, DOCKER_MANIFEST, "was served as"),
        ({**IMAGE, "mediaType": "application/x-own"}, OCI_MANIFEST, "was served as"),
        ({**IMAGE, "mediaType": [OCI_MANIFEST]}, OCI_MANIFEST, "was served as"),
        (INDEX, OCI_MANIFEST, "fields are not those of"),
        (IMAGE, OCI_INDEX, "fields are not those of"),
        ({"mediaType": OCI_INDEX}, None, "fields are not those of"),
        ({}, "text/html", "no manifest of a known type \\(served as text/html\\)"),
        ({"errors": []}, None, "no manifest of a known type \\(served as nothing\\)"),
        ({"mediaType": {}}, "x/\x1b[31m", "no manifest of a known type"),
        ([], OCI_MANIFEST, "not a JSON object"),
        ("text", OCI_MANIFEST, "not a JSON object"),
    ],
)
def test_contradictions_are_refused(content: t.Any, served: str | None, says: str) -> None:
    with pytest.raises(ProtocolError, match=says) as caught:
        Manifest.parse(raw(content), served)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"[" * 100000,
        b'{"a":' * 100000,
        b"<html></html>",
        b'{"a": 1' + b"0" * 5000,
    ],
)
def test_what_is_no_json_is_one_sentence(content: bytes) -> None:
    with pytest.raises(ProtocolError, match="The manifest is not valid JSON."):
        Manifest.parse(content, OCI_MANIFEST)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "mediaType",
                        "manifests",
                        "layers",
                        "config",
                        "digest",
                        "size",
                        "platform",
                        "subject",
                        "annotations",
                        "signatures",
                        "protected",
                        "fsLayers",
                        "blobs",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_any_json_is_a_manifest_or_a_protocol_error(value: t.Any) -> None:
    for served in (None, OCI_INDEX, OCI_MANIFEST, SCHEMA1_SIGNED):
        try:
            manifest = Manifest.parse(raw(value), served)
            manifest.successors()
            assert manifest.subject is None or manifest.subject.digest
            assert manifest.descriptor.size == len(raw(value))
            assert manifest.artifact_type is None or isinstance(manifest.artifact_type, str)
        except ProtocolError:
            pass


@pytest.mark.parametrize("field", ["layers", "config", "subject"])
@pytest.mark.parametrize("value", ["x", 3, {"digest": "../x"}, [["x"]]])
def test_bad_fields_are_refused_when_they_are_used(field: str, value: object) -> None:
    manifest = Manifest.parse(raw({**IMAGE, field: value}), OCI_MANIFEST)
    with pytest.raises(ProtocolError):
        getattr(manifest, field)


def test_the_digest_is_checked_before_anything_is_parsed() -> None:
    with pytest.raises(DigestMismatch, match=f"Other content was sent for {DIGEST}"):
        Manifest.parse(b"[" * 100000, OCI_MANIFEST, DIGEST)


def test_digests_of_both_algorithms() -> None:
    content = raw(IMAGE)
    sha512 = "sha512:" + hashlib.sha512(content).hexdigest()
    assert digest_of(content) == "sha256:" + hashlib.sha256(content).hexdigest()
    assert Manifest.parse(content, OCI_MANIFEST, sha512).digest == sha512
    with pytest.raises(DigestMismatch):
        Manifest.parse(content + b" ", OCI_MANIFEST, sha512)


def signed_schema1() -> tuple[bytes, str]:
    """A schema 1 manifest with a signature block, and the digest of what is signed."""
    payload = b'{\n   "schemaVersion": 1,\n   "name": "a/b",\n   "fsLayers": []\n}'
    head, tail = payload[:-2], payload[-2:]
    protected = {"formatLength": len(head), "formatTail": base64.urlsafe_b64encode(tail).decode().rstrip("=")}
    encoded = base64.urlsafe_b64encode(json.dumps(protected).encode()).decode().rstrip("=")
    signatures = json.dumps([{"protected": encoded, "signature": "x"}]).encode()
    return head + b',\n   "signatures": ' + signatures + tail, digest_of(payload)


def test_schema_1_has_the_digest_of_what_is_signed() -> None:
    content, digest = signed_schema1()
    for served in (SCHEMA1_SIGNED, SCHEMA1):
        manifest = Manifest.parse(content, served, digest)
        assert manifest.digest == digest and manifest.is_schema1 and manifest.successors() == []
    with pytest.raises(DigestMismatch):
        Manifest.parse(content.replace(b"a/b", b"a/c"), SCHEMA1_SIGNED, digest)
    with pytest.raises(DigestMismatch):
        Manifest.parse(content, OCI_MANIFEST, digest)


@pytest.mark.parametrize(
    "protected",
    [
        None,
        3,
        "",
        "%%%",
        "bm90IGpzb24",
        *(
            base64.urlsafe_b64encode(one).decode()
            for one in (
                b"[]",
                b"{}",
                b'{"formatLength": 1e999, "formatTail": ""}',
                b'{"formatLength": "x", "formatTail": ""}',
                b'{"formatLength": 1, "formatTail": 3}',
                b"[" * 100000,
            )
        ),
    ],
)
def test_broken_schema_1_signatures_do_not_break_us(protected: object) -> None:
    content = raw({"fsLayers": [], "signatures": [{"protected": protected}]})
    assert Manifest.parse(content, SCHEMA1_SIGNED).digest.startswith("sha256:")


@pytest.mark.parametrize(
    ("platform", "annotation", "attests"),
    [
        ({"os": "unknown", "architecture": "unknown"}, OTHER, OTHER),
        ({"os": "unknown", "architecture": "unknown"}, None, None),
        ({"os": "linux", "architecture": "amd64"}, OTHER, None),
        ({"os": "unknown", "architecture": "amd64"}, OTHER, None),
        ({}, OTHER, None),
        (None, OTHER, None),
    ],
)
def test_only_unknown_platform_and_annotation_make_an_attestation(
    platform: t.Any, annotation: str | None, attests: str | None
) -> None:
    annotations = {"vnd.docker.reference.digest": annotation} if annotation else {}
    found = Descriptor.from_dict({**CONFIG, "platform": platform, "annotations": annotations})
    assert found.attests == attests


@pytest.mark.parametrize(
    ("media_type", "platform", "manifest_type", "is_manifest", "may_be_index"),
    [
        (OCI_MANIFEST, None, OCI_MANIFEST, True, False),
        (OCI_INDEX, None, OCI_INDEX, True, True),
        (OCI_INDEX, {}, OCI_INDEX, True, True),
        (OCI_MANIFEST.upper(), None, OCI_MANIFEST, True, False),
        (OCI_MANIFEST + "; charset=utf-8", None, OCI_MANIFEST, True, False),
        (DOCKER_LIST.title() + ";x", None, DOCKER_LIST, True, True),
        ("", None, None, False, True),
        ("", AMD64, None, True, True),
        ("application/x-own", AMD64, None, True, True),
        ("application/x-own", UNKNOWN, None, False, False),
        ("application/x-own", None, None, False, False),
        (OCI_LAYER_GZIP, None, None, False, False),
    ],
)
def test_how_engines_may_read_an_entry_of_an_index(
    media_type: str, platform: t.Any, manifest_type: str | None, is_manifest: bool, may_be_index: bool
) -> None:
    entry = Descriptor.from_dict({**CONFIG, "mediaType": media_type, "platform": platform})
    assert (entry.manifest_type, entry.is_manifest, entry.may_be_index) == (
        manifest_type,
        is_manifest,
        may_be_index,
    )


def test_artifacts() -> None:
    manifest = Manifest.parse(
        raw({**IMAGE, "artifactType": "application/x-a", "subject": LAYER}), OCI_MANIFEST
    )
    assert (manifest.artifact_type, manifest.is_image) == ("application/x-a", True)
    assert manifest.subject is not None and manifest.subject.digest == OTHER
    assert Manifest.parse(raw(IMAGE), OCI_MANIFEST).artifact_type == OCI_CONFIG
    artifact = Manifest.parse(raw({"blobs": [LAYER], "config": None}), OCI_ARTIFACT)
    assert [one.digest for one in artifact.layers] == [OTHER] and artifact.config is None
