# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every image that an engine could run from an index is verified, whatever its entry calls it."""

from __future__ import annotations

import dataclasses
import json
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_verify
from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]

GOOD = images.image({"a": "good"}, labels={"approved": "yes"}, created="2026-01-01T00:00:00Z")
BAD = images.image({"a": "bad", "b": "x" * 5000}, labels={"approved": "no"}, created="2014-01-01T00:00:00Z")
BAD_SIZE = sum(len(blob) for blob in BAD.blobs.values())
SILENT_CONFIG = b'{"config":{"Labels":{"approved":"yes"}},"rootfs":{"type":"layers","diff_ids":[]}}'
# Each is a requirement that GOOD meets and BAD does not.
REQUIREMENTS: list[dict[str, t.Any]] = [
    {"labels": {"approved": "yes"}},
    {"max_age": "9y"},
    {"max_size": str(BAD_SIZE - 1)},
]
MARK = {"vnd.docker.reference.digest": GOOD.digest, "vnd.docker.reference.type": "attestation-manifest"}
AMD64 = {"os": "linux", "architecture": "amd64"}
UNKNOWN = {"os": "unknown", "architecture": "unknown"}


def silent_image() -> images.Image:
    """An image whose configuration names no platform."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": images.OCI_MANIFEST,
        "config": images.descriptor(SILENT_CONFIG, images.OCI_CONFIG),
        "layers": [],
    }
    raw = json.dumps(manifest).encode()
    return images.Image(raw, images.OCI_MANIFEST, {images.digest(SILENT_CONFIG): SILENT_CONFIG})


def index_of(*entries: tuple[images.Image, dict[str, t.Any]], **fields: t.Any) -> images.Index:
    """An index with these images, whose descriptors have other fields than usual. None leaves a field out."""
    descriptors = []
    for image, changes in entries:
        descriptor = {**image.descriptor(), **changes}
        descriptors.append({name: value for name, value in descriptor.items() if value is not None})
    manifest = {"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": descriptors, **fields}
    children = tuple(image for image, _changes in entries)
    return images.Index(json.dumps(manifest).encode(), images.OCI_INDEX, {}, None, children)


def verify(connect: Connect, index: images.Image, **params: t.Any) -> list[dict[str, t.Any]]:
    """Verify ``index``, and return the violations."""
    with HostileRegistry() as server:
        server.add("a/b", index, "1")
        clients, _client = connect(server.url, retries=0)
        result = task(registry_verify, clients, images=["a/b:1"], report_only=True, **params)
        return t.cast("list[dict[str, t.Any]]", result["violations"])


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
@pytest.mark.parametrize("platforms", [[], ["linux/amd64"]], ids=str)
@pytest.mark.parametrize(
    "changes",
    [
        {"annotations": MARK},
        {"annotations": {"vnd.docker.reference.digest": "sha256:" + "0" * 64}},
        {"annotations": MARK, "platform": None},
        {"annotations": MARK, "platform": {"os": "unknown", "architecture": ""}},
        {"annotations": MARK, "platform": {"os": "linux", "architecture": "unknown"}},
        {"platform": UNKNOWN},
        {"platform": None},
        {"platform": {}},
        {"mediaType": f"{images.OCI_MANIFEST}; charset=utf-8"},
        {"mediaType": images.OCI_MANIFEST.upper()},
        {"mediaType": "application/vnd.example.unknown+json"},
        {"mediaType": "application/octet-stream", "platform": None},
        {"mediaType": ""},
        {"mediaType": images.OCI_INDEX},
        {"artifactType": "application/vnd.example.sbom"},
    ],
    ids=str,
)
def test_an_image_is_verified_whatever_its_entry_says(
    connect: Connect, changes: dict[str, t.Any], platforms: list[str], requirement: dict[str, t.Any]
) -> None:
    # What is marked unknown/unknown runs for no platform.
    required = [] if changes.get("platform") == UNKNOWN else platforms
    violations = verify(connect, index_of((GOOD, {}), (BAD, changes)), platforms=required, **requirement)
    assert violations, "the image passed unseen"
    assert {violation["demand"] for violation in violations} <= {*requirement, "readable"}
    assert verify(connect, index_of((GOOD, {})), platforms=required, **requirement) == []


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_a_nested_image_is_verified(connect: Connect, requirement: dict[str, t.Any]) -> None:
    inner = index_of((BAD, {}))
    for changes in (
        {},
        {"mediaType": "application/vnd.example+json"},
        {"platform": AMD64},
        {"annotations": MARK},
    ):
        for platforms in ([], ["linux/amd64"]):
            nested = index_of((GOOD, {}), (inner, changes))
            assert verify(connect, nested, platforms=platforms, **requirement), changes
    assert verify(connect, index_of((index_of((index_of((GOOD, {})), {})), {})), **requirement) == []


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_an_attestation_is_no_image(connect: Connect, requirement: dict[str, t.Any]) -> None:
    index = images.index([GOOD], attestations=True)
    assert verify(connect, index, **requirement) == []
    assert verify(connect, index, platforms=["linux/amd64"], **requirement) == []


@pytest.mark.parametrize("requirement", [{}, *REQUIREMENTS], ids=str)
def test_an_index_without_images_is_a_violation(connect: Connect, requirement: dict[str, t.Any]) -> None:
    attestation = images.attestation(GOOD)
    marked = {"platform": UNKNOWN, "annotations": MARK}
    for index in (
        index_of(),
        index_of(manifests=None),
        index_of((attestation, marked)),
        index_of((index_of(), {})),
        index_of((index_of((attestation, marked)), {})),
    ):
        (violation,) = verify(connect, index, **requirement)
        assert (violation["demand"], violation["message"]) == ("exists", "it is an index without images.")


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_a_child_that_is_missing_hides_no_other(connect: Connect, requirement: dict[str, t.Any]) -> None:
    missing = images.image({"a": "missing"})
    index = index_of((missing, {}), (BAD, {}), (GOOD, {}))
    with HostileRegistry() as server:
        server.add("a/b", index, "1")
        del server.repository("a/b").manifests[missing.digest]
        clients, _client = connect(server.url, retries=0)
        result = task(registry_verify, clients, images=["a/b:1"], report_only=True, **requirement)
    assert [violation["demand"] for violation in result["violations"]] == ["readable", *requirement]
    assert "cannot be read" in result["violations"][0]["message"]


def test_an_index_within_an_index_that_is_missing_is_a_violation(connect: Connect) -> None:
    inner = index_of((GOOD, {}))
    with HostileRegistry() as server:
        server.add("a/b", index_of((inner, {}), (GOOD, {})), "1")
        del server.repository("a/b").manifests[inner.digest]
        clients, _client = connect(server.url, retries=0)
        result = task(registry_verify, clients, images=["a/b:1"], report_only=True)
    (violation,) = result["violations"]
    assert violation["demand"] == "readable" and inner.digest in violation["message"]


@pytest.mark.parametrize(
    "field", [{"mediaType": None}, {"digest": "sha256:0"}, {"size": -1}, {"size": None}], ids=str
)
def test_an_entry_that_is_no_descriptor_is_a_violation(connect: Connect, field: dict[str, t.Any]) -> None:
    (violation,) = verify(connect, index_of((GOOD, {}), (BAD, field)))
    assert violation["demand"] == "readable"


def test_an_image_that_its_entry_calls_an_index_and_the_reverse(connect: Connect) -> None:
    inner = index_of((BAD, {}))
    index = index_of((GOOD, {}), (inner, {"mediaType": images.OCI_MANIFEST, "platform": AMD64}))
    (violation,) = verify(connect, index, labels={"approved": "yes"})
    assert violation["demand"] == "readable" and "is an index, though" in violation["message"]
    lying = index_of((GOOD, {}), (BAD, {"mediaType": images.OCI_INDEX}))
    (violation,) = verify(connect, lying, labels={"approved": "yes"})
    assert violation["demand"] == "labels"


def test_platforms_leave_out_the_images_of_others(connect: Connect) -> None:
    index = index_of((GOOD, {}), (BAD, {"platform": {"os": "linux", "architecture": "s390x"}}))
    assert verify(connect, index, platforms=["linux/amd64"], labels={"approved": "yes"}) == []
    assert len(verify(connect, index, labels={"approved": "yes"})) == 1


def test_each_image_for_a_platform_is_verified_not_the_first_alone(connect: Connect) -> None:
    twice = index_of((GOOD, {"platform": AMD64}), (BAD, {"platform": AMD64}))
    assert len(verify(connect, twice, platforms=["linux/amd64"], labels={"approved": "yes"})) == 1
    windows = {"os": "windows", "architecture": "amd64"}
    versions = index_of(
        (GOOD, {"platform": {**windows, "os.version": "10.0.17763.1"}}),
        (BAD, {"platform": {**windows, "os.version": "10.0.20348.1"}}),
    )
    assert len(verify(connect, versions, platforms=["windows/amd64"], labels={"approved": "yes"})) == 1


def test_an_image_whose_configuration_names_no_platform(connect: Connect) -> None:
    silent = silent_image()
    (violation,) = verify(connect, silent, platforms=["linux/amd64"])
    assert (violation["demand"], violation["message"]) == (
        "platforms",
        "it lacks linux/amd64: it names no platform.",
    )
    assert verify(connect, silent, labels={"approved": "yes"}) == []
    # In an index engines such as crane take it for linux/amd64, also beside an image that is.
    for index in (index_of((silent, {})), index_of((GOOD, {}), (silent, {}))):
        violations = verify(connect, index, platforms=["linux/amd64"])
        assert f"its image {silent.digest} names no platform." in [one["message"] for one in violations]
    named = index_of((silent, {"platform": AMD64}))
    assert verify(connect, named, platforms=["linux/amd64"]) == []


def test_a_wrapper_index_names_its_platform_further_inside(connect: Connect) -> None:
    wrapped = index_of(
        (index_of((GOOD, {}), (images.attestation(GOOD), {"platform": UNKNOWN, "annotations": MARK})), {})
    )
    assert verify(connect, wrapped, platforms=["linux/amd64"], labels={"approved": "yes"}) == []
    (violation,) = verify(connect, wrapped, platforms=["linux/s390x"])
    assert violation["message"] == "it lacks linux/s390x: it has linux/amd64."


def test_indexes_nested_without_end_are_a_violation(connect: Connect) -> None:
    nested: images.Image = GOOD
    for _level in range(40):
        nested = index_of((nested, {}))
    (violation,) = verify(connect, nested)
    assert violation["demand"] == "readable" and "nested too deeply" in violation["message"]


def test_more_images_than_an_index_has_are_a_violation(connect: Connect) -> None:
    entries: list[tuple[images.Image, dict[str, t.Any]]] = [
        (dataclasses.replace(GOOD, raw=GOOD.raw + b" " * number), {}) for number in range(1001)
    ]
    (violation,) = verify(connect, index_of(*entries))
    assert violation["demand"] == "readable" and "more than 1000 images" in violation["message"]


@pytest.mark.parametrize(
    ("key", "other"), [("config", "Config"), ("layers", "LAYERS"), ("mediaType", "mediatype")], ids=str
)
def test_a_manifest_that_engines_read_in_another_way_is_a_violation(
    connect: Connect, key: str, other: str
) -> None:
    manifest = {**GOOD.manifest, other: BAD.manifest[key]}
    twofold = dataclasses.replace(GOOD, raw=json.dumps(manifest).encode())
    with HostileRegistry() as server:
        server.add("a/b", BAD)
        server.add("a/b", twofold, "1")
        server.add("a/b", index_of((twofold, {})), "2")
        clients, _client = connect(server.url, retries=0)
        for tag in ("1", "2"):
            result = task(
                registry_verify, clients, images=[f"a/b:{tag}"], labels={"approved": "yes"}, report_only=True
            )
            assert [violation["demand"] for violation in result["violations"]] == ["readable"]


def test_a_configuration_that_engines_read_in_another_way_is_a_violation(connect: Connect) -> None:
    config = (
        b'{"architecture":"amd64","os":"linux","config":{"Labels":{"approved":"yes"}},"Config":{"Labels":{}}}'
    )
    manifest = {**GOOD.manifest, "config": images.descriptor(config, images.OCI_CONFIG)}
    twofold = images.Image(
        json.dumps(manifest).encode(), images.OCI_MANIFEST, {images.digest(config): config}
    )
    (violation,) = verify(connect, twofold, labels={"approved": "yes"})
    assert violation["demand"] == "readable"
