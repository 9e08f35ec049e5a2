# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The media types and annotations by which signatures and attestations are told apart (cosign's SIGNATURE_SPEC, BUNDLE_SPEC)."""

from __future__ import annotations

from .content import Manifest

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE_ENVELOPE = "application/vnd.dsse.envelope.v1+json"
COSIGN_SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"
_COSIGN_PREFIX = "application/vnd.dev.cosign.artifact."
NOTATION_SIGNATURE = "application/vnd.cncf.notary.signature"
# Followed by .v0.3+json, or by +json;version=0.1 or 0.2.
BUNDLE_PREFIX = "application/vnd.dev.sigstore.bundle"
BUNDLE_CONTENT = "dev.sigstore.bundle.content"
BUNDLE_PREDICATE_TYPE = "dev.sigstore.bundle.predicateType"
# The predicate of a signature that says nothing but "signed".
SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"


def holds_signatures(manifest: Manifest) -> bool:
    """Tell whether a referrer holds signatures or attestations of cosign or notation, by what its own manifest says."""
    kind = manifest.artifact_type or ""
    return is_bundle(manifest) or kind.startswith(_COSIGN_PREFIX) or kind == NOTATION_SIGNATURE


def is_bundle(manifest: Manifest) -> bool:
    """Tell whether a referrer holds a Sigstore bundle, as cosign 3 writes it."""
    return (manifest.artifact_type or "").startswith(BUNDLE_PREFIX)


def is_cosign_signature(manifest: Manifest) -> bool:
    """Tell whether a referrer is a signature of cosign, by what its own manifest says. Attestations are none."""
    if manifest.artifact_type == COSIGN_SIGNATURE:
        return True
    annotations = manifest.annotations
    signs = annotations.get(BUNDLE_PREDICATE_TYPE) == SIGN_PREDICATE
    return is_bundle(manifest) and (signs or annotations.get(BUNDLE_CONTENT) == "message-signature")
