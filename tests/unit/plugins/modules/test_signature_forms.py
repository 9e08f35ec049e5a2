# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All modules see the same signatures: tags of cosign, its OCI 1.1 mode, Sigstore bundles, and those of notation."""

from __future__ import annotations

import dataclasses
import json
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import (
    registry_copy,
    registry_promote,
    registry_prune,
    registry_referrers_info,
    registry_rmrepo,
    registry_verify,
)
from tests.hostile import HostileRegistry
from tests.registries import images
from tests.signing import stored
from tests.signing.instance import new_key
from tests.unit.pruning import aged
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]

NOTATION = "application/vnd.cncf.notary.signature"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
KEY = new_key("forms")
NEW, OLD = aged("new", 1), aged("old", 90)


class Form(t.NamedTuple):
    """One form of signature: how one of an image is made, the type it has, and what ``referrers`` calls it."""

    make: t.Callable[[images.Image], images.Image]
    artifact_type: str
    required: str
    suffix: str = ""
    # The type that a list has of it where there is no API.
    listed_type: str | None = None


def bundle(image: images.Image) -> images.Image:
    return stored.bundle_image(stored.bundle(KEY, stored.statement(image.digest)), image)


def layers(image: images.Image) -> images.Image:
    return stored.layers_image([stored.signature_layer(KEY, image.digest)])


def oci_layers(image: images.Image) -> images.Image:
    return stored.layers_image([stored.signature_layer(KEY, image.digest)], image, stored.COSIGN_SIGNATURE)


def notation(image: images.Image) -> images.Image:
    return images.artifact(NOTATION, image.digest.encode(), "application/jose+json", subject=image)


FORMS = {
    "tag": Form(layers, "application/vnd.oci.image.config.v1+json", "cosign", ".sig"),
    "oci 1.1": Form(oci_layers, stored.COSIGN_SIGNATURE, "cosign"),
    "bundle": Form(bundle, BUNDLE, "cosign"),
    "bundle that is listed without its type": Form(bundle, BUNDLE, "cosign", listed_type=images.OCI_EMPTY),
    "notation": Form(notation, NOTATION, NOTATION),
}


def add(server: HostileRegistry, form: Form, image: images.Image, tag: str) -> str:
    """Store an image and its signature, and return the digest of that."""
    signature = form.make(image)
    server.add("a/b", image, tag)
    if form.suffix:
        server.add("a/b", signature, images.referrers_tag(image) + form.suffix)
        return signature.digest
    server.add("a/b", signature)
    if server.behaviour.referrers == "off":
        listed = images.referrers_index([signature])
        if form.listed_type:
            manifest = listed.manifest
            manifest["manifests"][0]["artifactType"] = form.listed_type
            listed = dataclasses.replace(listed, raw=json.dumps(manifest).encode())
        server.add("a/b", listed, images.referrers_tag(image))
    return signature.digest


@pytest.mark.parametrize("api", ["off", "on"])
@pytest.mark.parametrize("name", FORMS)
def test_every_module_sees_every_form(connect: Connect, name: str, api: str) -> None:
    form = FORMS[name]
    with HostileRegistry(referrers=api) as server:
        new, old = add(server, form, NEW, "new"), add(server, form, OLD, "old")
        clients, _client = connect(server.url, retries=0)
        (listed,) = task(registry_referrers_info, clients, image="a/b:new")["referrers"]
        assert (listed["digest"], listed["artifact_type"]) == (new, form.artifact_type)
        assert task(registry_verify, clients, images=["a/b:new"], referrers=[form.required])["passed"]
        other = "cosign" if form.required == NOTATION else NOTATION
        result = task(registry_verify, clients, images=["a/b:new"], referrers=[other], report_only=True)
        assert not result["passed"]
        task(registry_copy, clients, image="a/b:new", to=[f"{server.host}/copied/b:1"], signatures=True)
        pairs = [{"image": "a/b:new", "to": ["promoted/b:1"]}]
        task(registry_promote, clients, images=pairs, signatures=True)
        for repository in ("copied/b", "promoted/b"):
            target = f"{server.host}/{repository}:1"
            (there,) = task(registry_referrers_info, clients, image=target)["referrers"]
            assert there["digest"] == new
        rules = [{"match": {"tags": ["new", "old"]}, "delete": True, "older_than": "30d"}]
        task(registry_prune, clients, repositories=["a/b"], rules=rules, max_delete_percent=100.0)
        content = server.repository("a/b").manifests
        assert {NEW.digest, new} <= content.keys() and not {OLD.digest, old} & content.keys()
        task(registry_rmrepo, clients, repository="a/b", confirm="a/b")
        assert not {NEW.digest, new} & server.repository("a/b").manifests.keys()
