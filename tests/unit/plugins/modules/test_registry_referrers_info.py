# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What refers to an image, as the module tells it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_referrers_info
from tests.hostile import HostileRegistry
from tests.registries import Registry, images
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]
SIGNATURE = "application/vnd.example.signature"
AMD64 = images.image({"a": "amd64"})
ARM64 = images.image({"a": "arm64"}, architecture="arm64")
INDEX = images.index([AMD64, ARM64], attestations=True)
OF_INDEX = images.artifact(SIGNATURE, b"of the index", subject=INDEX, annotations={"org.example.a": "b"})
OF_CHILD = images.artifact("application/spdx+json", b"of a child", subject=ARM64)
COSIGN = images.image({"sig": "sig"})
COSIGN_TAG = INDEX.digest.replace(":", "-") + ".sig"


def info(clients: RegistryClients, image: str = "a/b:v1", **params: t.Any) -> t.Any:
    return task(registry_referrers_info, clients, image=image, **params)


def entry(
    subject: images.Image,
    made: images.Image,
    source: str,
    artifact_type: str | None = None,
    annotations: dict[str, str] | None = None,
    **more: str,
) -> dict[str, t.Any]:
    return {
        "subject": subject.digest,
        "digest": made.digest,
        "media_type": images.OCI_MANIFEST,
        "artifact_type": artifact_type,
        "size": len(made.raw),
        "annotations": annotations or {},
        "source": source,
        **more,
    }


def proof(subject: images.Image) -> dict[str, t.Any]:
    annotations = {
        "vnd.docker.reference.digest": subject.digest,
        "vnd.docker.reference.type": "attestation-manifest",
    }
    return entry(subject, images.attestation(subject), "attestation", annotations=annotations)


def everything(way: str) -> dict[str, dict[str, t.Any]]:
    return {
        "index": entry(INDEX, OF_INDEX, way, SIGNATURE, {"org.example.a": "b"}),
        "cosign": entry(INDEX, COSIGN, "cosign_tag", images.OCI_CONFIG, tag=COSIGN_TAG),
        "child": entry(ARM64, OF_CHILD, way, "application/spdx+json"),
        "proof-amd64": proof(AMD64),
        "proof-arm64": proof(ARM64),
    }


@pytest.fixture(params=["api", "fallback_tag"])
def way(request: pytest.FixtureRequest) -> str:
    return t.cast(str, request.param)


@pytest.fixture
def seeded(way: str, connect: Connect, registry: Registry) -> t.Iterator[RegistryClients]:
    """A registry with the API, and a real one without it, holding the same."""
    if way == "api":
        with HostileRegistry(referrers="on") as server:
            server.add("a/b", INDEX, "v1")
            server.add("a/b", OF_INDEX)
            server.add("a/b", OF_CHILD)
            server.add("a/b", COSIGN, COSIGN_TAG)
            yield connect(server.url)[0]
        return
    images.push(registry.url, "a/b", INDEX, "v1")
    for made in (OF_INDEX, OF_CHILD):
        images.push(registry.url, "a/b", made)
    for subject, made in ((INDEX, OF_INDEX), (ARM64, OF_CHILD)):
        images.push(registry.url, "a/b", images.referrers_index([made]), images.referrers_tag(subject))
    images.push(registry.url, "a/b", COSIGN, COSIGN_TAG)
    yield connect(registry.url)[0]


@pytest.mark.registry_does("artifact_type")
def test_index(seeded: RegistryClients, way: str) -> None:
    result = info(seeded)
    every = everything(way)
    assert (result["changed"], result["exists"], result["digest"]) == (False, True, INDEX.digest)
    assert result["image"].endswith("/a/b:v1")
    names = ["index", "cosign", "proof-amd64", "proof-arm64"]
    assert result["referrers"] == [every[name] for name in names]


@pytest.mark.registry_does("artifact_type")
def test_children(seeded: RegistryClients, way: str) -> None:
    every = everything(way)
    names = ["index", "cosign", "child", "proof-amd64", "proof-arm64"]
    assert info(seeded, children=True)["referrers"] == [every[name] for name in names]
    assert info(seeded, f"a/b@{ARM64.digest}", children=True)["referrers"] == [every["child"]]


@pytest.mark.registry_does("artifact_type")
def test_artifact_type(seeded: RegistryClients, way: str) -> None:
    every = everything(way)
    assert info(seeded, artifact_type=SIGNATURE)["referrers"] == [every["index"]]
    assert info(seeded, artifact_type=images.OCI_CONFIG)["referrers"] == [every["cosign"]]
    assert info(seeded, artifact_type="application/none", children=True)["referrers"] == []


@pytest.mark.parametrize("image", ["a/b:absent", "no/where:v1", "a/b@sha256:" + "0" * 64])
def test_unknown_image(seeded: RegistryClients, image: str) -> None:
    result = info(seeded, image)
    assert (result["exists"], result["digest"], result["referrers"]) == (False, None, [])
