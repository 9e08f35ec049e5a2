# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which referrers hold signatures, by what their own manifests say."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import OCI_MANIFEST, Manifest
from ansible_collections.ocikit.registry.plugins.module_utils._oci.signature_types import (
    SIGN_PREDICATE,
    holds_signatures,
    is_bundle,
    is_cosign_signature,
)

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
COSIGN = "application/vnd.dev.cosign.artifact.sig.v1+json"


def referrer(artifact_type: str | None, **annotations: str) -> Manifest:
    data: dict[str, t.Any] = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": []}
    data.update({"artifactType": artifact_type} if artifact_type else {}, annotations=annotations)
    return Manifest.parse(json.dumps(data).encode(), OCI_MANIFEST)


@pytest.mark.parametrize(
    ("artifact_type", "holds", "bundle"),
    [
        (BUNDLE, True, True),
        (COSIGN, True, False),
        ("application/vnd.cncf.notary.signature", True, False),
        ("application/vnd.example.sbom", False, False),
        (None, False, False),
    ],
)
def test_types(artifact_type: str | None, holds: bool, bundle: bool) -> None:
    manifest = referrer(artifact_type)
    assert (holds_signatures(manifest), is_bundle(manifest)) == (holds, bundle)


@pytest.mark.parametrize(
    ("artifact_type", "annotations", "expected"),
    [
        (COSIGN, {}, True),
        (BUNDLE, {"dev.sigstore.bundle.predicateType": SIGN_PREDICATE}, True),
        (BUNDLE, {"dev.sigstore.bundle.content": "message-signature"}, True),
        (BUNDLE, {"dev.sigstore.bundle.content": "dsse-envelope"}, False),
        (BUNDLE, {"dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1"}, False),
        ("application/vnd.example", {"dev.sigstore.bundle.content": "message-signature"}, False),
    ],
)
def test_a_bundle_with_an_attestation_is_no_signature(
    artifact_type: str, annotations: dict[str, str], expected: bool
) -> None:
    assert is_cosign_signature(referrer(artifact_type, **annotations)) is expected
