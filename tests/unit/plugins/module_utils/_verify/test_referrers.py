# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A listing of referrers is a hint: what counts is the manifest, its subject and its type."""

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

SBOM_TYPE = "application/vnd.example.sbom"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IMAGE = images.image({"a": "a"})
OTHER = images.image({"a": "other"})
SBOM = images.artifact(SBOM_TYPE, subject=IMAGE)


def listing(*entries: tuple[images.Image, dict[str, t.Any]]) -> images.Image:
    """A list of referrers with these entries, as anyone can write it who may push."""
    descriptors = [{**image.descriptor(), **changes} for image, changes in entries]
    manifest = {"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": descriptors}
    return images.Image(json.dumps(manifest).encode(), images.OCI_INDEX, {})


def verify(
    connect: Connect,
    stored: t.Iterable[images.Image],
    listed: images.Image | None,
    required: list[str],
    **behaviours: t.Any,
) -> list[str]:
    """Return the messages of the violations."""
    with HostileRegistry(**behaviours) as server:
        server.add("a/b", IMAGE, "1")
        for image in stored:
            server.add("a/b", image)
        if listed:
            server.add("a/b", listed, images.referrers_tag(IMAGE))
        clients, _client = connect(server.url, retries=0)
        result = task(registry_verify, clients, images=["a/b:1"], referrers=required, report_only=True)
        assert {violation["demand"] for violation in result["violations"]} <= {"referrers"}
        return [violation["message"] for violation in result["violations"]]


def test_a_listed_referrer_counts(connect: Connect) -> None:
    listed = listing((SBOM, {"artifactType": SBOM_TYPE}))
    assert verify(connect, [SBOM], listed, [SBOM_TYPE]) == []
    # Its own manifest says the type, also where the listing says another one, or none.
    assert verify(connect, [SBOM], listing((SBOM, {"artifactType": images.OCI_EMPTY})), [SBOM_TYPE]) == []
    assert verify(connect, [SBOM], listing((SBOM, {})), [SBOM_TYPE]) == []


def test_the_type_of_an_artifact_without_one_is_that_of_its_configuration(connect: Connect) -> None:
    manifest = {name: value for name, value in SBOM.manifest.items() if name != "artifactType"}
    manifest["config"]["mediaType"] = "application/vnd.example.config"
    artifact = dataclasses.replace(SBOM, raw=json.dumps(manifest).encode())
    listed = listing((artifact, {"artifactType": SBOM_TYPE}))
    assert verify(connect, [artifact], listed, ["application/vnd.example.config"]) == []
    (message,) = verify(connect, [artifact], listed, [SBOM_TYPE])
    assert "it has application/vnd.example.config." in message


def test_a_listed_referrer_that_does_not_exist_is_none(connect: Connect) -> None:
    listed = listing((SBOM, {"artifactType": SBOM_TYPE}))
    (message,) = verify(connect, [], listed, [SBOM_TYPE])
    assert message == (
        f"it has no referrer of the type {SBOM_TYPE}: it has none (listed, but not counted: {SBOM.digest}:"
        " it does not exist)."
    )


@pytest.mark.parametrize(
    ("impostor", "reason"),
    [
        (images.artifact(SBOM_TYPE), "it has no subject"),
        (images.artifact(SBOM_TYPE, subject=OTHER), f"it refers to {OTHER.digest}"),
        (IMAGE, "it has no subject"),
    ],
)
def test_a_listed_manifest_that_does_not_refer_to_the_image_is_none(
    connect: Connect, impostor: images.Image, reason: str
) -> None:
    listed = listing((impostor, {"artifactType": SBOM_TYPE}))
    (message,) = verify(connect, [impostor], listed, [SBOM_TYPE])
    assert message.endswith(f"it has none (listed, but not counted: {impostor.digest}: {reason}).")


def test_a_referrer_of_another_type_than_it_is_listed_with_is_none(connect: Connect) -> None:
    artifact = images.artifact("application/vnd.example.note", subject=IMAGE)
    listed = listing((artifact, {"artifactType": SBOM_TYPE}))
    (message,) = verify(connect, [artifact], listed, [SBOM_TYPE])
    assert message == f"it has no referrer of the type {SBOM_TYPE}: it has application/vnd.example.note."


def test_many_that_do_not_count_hide_none_that_does(connect: Connect) -> None:
    bad = [images.artifact(SBOM_TYPE, subject=OTHER, annotations={"n": str(n)}) for n in range(50)]
    listed = listing(*((image, {"artifactType": SBOM_TYPE}) for image in [*bad, SBOM]))
    assert verify(connect, [*bad, SBOM], listed, [SBOM_TYPE]) == []


def test_how_many_are_read_is_bounded(connect: Connect) -> None:
    notes = [images.artifact("a/note", subject=IMAGE, annotations={"n": str(n)}) for n in range(110)]
    listed = listing(
        *((image, {"artifactType": "a/note"}) for image in notes), (SBOM, {"artifactType": SBOM_TYPE})
    )
    assert verify(connect, [*notes, SBOM], listed, [SBOM_TYPE]) == []
    (message,) = verify(connect, notes, listed, ["a/other"])
    assert "only 100 of 111 were read" in message


@pytest.mark.parametrize("api", ["on", "unfiltered"])
def test_the_api_is_read_as_the_tag_is(connect: Connect, api: str) -> None:
    assert verify(connect, [SBOM], None, [SBOM_TYPE], referrers=api) == []
    assert len(verify(connect, [], None, [SBOM_TYPE], referrers=api)) == 1


@pytest.mark.parametrize(
    ("artifact_type", "annotations", "counts"),
    [
        ("application/vnd.dev.cosign.artifact.sig.v1+json", {}, True),
        (BUNDLE, {"dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1"}, True),
        (BUNDLE, {"dev.sigstore.bundle.content": "message-signature"}, True),
        (BUNDLE, {"dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1"}, False),
        (BUNDLE, {}, False),
        ("application/vnd.dev.cosign.artifact.att.v1+json", {}, False),
        (SBOM_TYPE, {"dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1"}, False),
    ],
)
def test_signatures_of_cosign_among_the_referrers(
    connect: Connect, artifact_type: str, annotations: dict[str, str], counts: bool
) -> None:
    signature = images.artifact(artifact_type, subject=IMAGE, annotations=annotations)
    # Cosign lists them with the type of the empty configuration, and without annotations.
    listed = listing((signature, {"artifactType": images.OCI_EMPTY}))
    for messages in (
        verify(connect, [signature], listed, ["cosign"]),
        verify(connect, [signature], None, ["cosign"], referrers="on"),
    ):
        assert messages == ([] if counts else ["it has no signature of cosign."])
