# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stored signatures are read in one form, or refused with a reason."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import ProtocolError
from ansible_collections.ocikit.registry.plugins.module_utils._verify.bundles import (
    read_attestation_layer,
    read_bundle,
    read_signature_layer,
)
from tests.registries import images
from tests.signing import stored
from tests.signing.instance import Instance, certificate_der, certificate_pem, encode, new_key

DIGEST = images.digest(b"image")
INSTANCE = Instance("bundles")
SIGNER = INSTANCE.signer()
BUNDLE = stored.bundle(None, stored.statement(DIGEST), signer=SIGNER, log=INSTANCE.log, stamps=INSTANCE)
LAYER = stored.signature_layer(None, DIGEST, signer=SIGNER, log=INSTANCE.log, stamps=INSTANCE)


def raw(data: t.Any) -> bytes:
    return json.dumps(data).encode()


def test_a_bundle_is_read_with_all_that_comes_with_it() -> None:
    evidence = read_bundle(raw(BUNDLE))
    assert evidence.claim.digests == {DIGEST}
    assert evidence.claim.predicate_type == stored.SIGN_PREDICATE
    assert evidence.signed == stored.statement(DIGEST)
    assert evidence.message == stored.encoding(evidence.signed)
    assert evidence.material.certificates == (certificate_der(SIGNER.certificate),)
    assert len(evidence.material.entries) == len(evidence.material.timestamps) == 1
    assert evidence.needs_proof


def test_a_layer_of_cosign_2_is_read_as_a_bundle() -> None:
    evidence = read_signature_layer(LAYER.content, LAYER.annotations)
    assert evidence.message == evidence.signed == LAYER.content
    assert evidence.claim.digests == {DIGEST}
    chain = [SIGNER.certificate, *SIGNER.authority.chain]
    assert evidence.material.certificates == tuple(map(certificate_der, chain))
    (entry,) = evidence.material.entries
    assert entry["kindVersion"] == {"kind": "hashedrekord", "version": "0.0.1"}
    assert "inclusionPromise" in entry and "inclusionProof" not in entry
    assert not evidence.needs_proof


def test_an_attestation_of_cosign_2_is_read() -> None:
    layer = stored.attestation_layer(new_key("a"), stored.statement(DIGEST, stored.PROVENANCE, {"a": 1}))
    evidence = read_attestation_layer(layer.content, layer.annotations)
    assert evidence.claim.predicate == {"a": 1} and evidence.claim.predicate_type == stored.PROVENANCE


def changed(path: t.Sequence[t.Any], value: t.Any) -> dict[str, t.Any]:
    """A bundle in which one value is another one; KeyError stands for none at all."""
    bundle = copy.deepcopy(BUNDLE)
    holder: t.Any = bundle
    for key in path[:-1]:
        holder = holder[key]
    if value is KeyError:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return bundle


ENTRY = ("verificationMaterial", "tlogEntries", 0)
PROOF = (*ENTRY, "inclusionProof")


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        (("mediaType",), "application/json", "unknown type"),
        (("mediaType",), {}, "unknown type"),
        (("more",), 1, "unknown key 'more'"),
        (("Mediatype",), "x", "the key 'Mediatype'"),
        (("dsseEnvelope",), KeyError, "no envelope"),
        (("dsseEnvelope",), [], "not an object"),
        (("messageSignature",), {}, "no envelope"),
        (("dsseEnvelope", "payload"), "e30", "not base64"),
        (("dsseEnvelope", "payload"), "e30=\n", "not base64"),
        (("dsseEnvelope", "payload"), 5, "not base64"),
        (("dsseEnvelope", "payload"), encode(b"[]"), "not a JSON object"),
        (("dsseEnvelope", "payload"), encode(b"{}"), "has the type"),
        (("dsseEnvelope", "payloadType"), "text/plain", "and no statement"),
        (("dsseEnvelope", "payloadType"), 5, "no payload type"),
        (("dsseEnvelope", "signatures"), [], "0 signatures"),
        (("dsseEnvelope", "signatures"), [{"sig": ""}] * 17, "17 signatures"),
        (("dsseEnvelope", "signatures", 0), "x", "not an object"),
        (("verificationMaterial",), KeyError, "not an object"),
        (("verificationMaterial", "certificate"), KeyError, "names no signer"),
        (("verificationMaterial", "publicKey"), {"hint": "x"}, "or several"),
        (("verificationMaterial", "certificate"), {"rawBytes": "%"}, "not base64"),
        (("verificationMaterial", "tlogEntries"), {}, "no list"),
        (("verificationMaterial", "tlogEntries"), [{}] * 17, "more than 16"),
        ((*ENTRY, "logId"), KeyError, "not an object"),
        ((*ENTRY, "logIndex"), "-1", "no valid logIndex"),
        ((*ENTRY, "logIndex"), 5, "no valid logIndex"),
        ((*ENTRY, "integratedTime"), "0", "a promise, but no time"),
        ((*ENTRY, "integratedTime"), KeyError, "a promise, but no time"),
        ((*ENTRY, "integratedTime"), "9" * 30, "no valid integratedTime"),
        ((*ENTRY, "canonicalizedBody"), KeyError, "not base64"),
        ((*PROOF, "hashes"), ["A" * 44] * 65, "more than 64"),
        ((*PROOF, "rootHash"), "%", "not base64"),
        ((*PROOF, "checkpoint"), KeyError, "not an object"),
        ((*PROOF, "checkpoint", "envelope"), "text", "cannot be read"),
        ((*PROOF, "checkpoint", "envelope"), "a\n7\nx\n\n\u2014 a eA==\n", "not base64"),
        ((*PROOF, "checkpoint", "envelope"), "a\n7\neA==\n\n- a eA==\n", "not base64"),
        (("verificationMaterial", "timestampVerificationData"), [1], "not an object"),
        (
            ("verificationMaterial", "timestampVerificationData", "rfc3161Timestamps"),
            [{"signedTimestamp": 5}],
            "not base64",
        ),
    ],
    ids=str,
)
def test_what_is_no_bundle(path: t.Sequence[t.Any], value: t.Any, match: str) -> None:
    with pytest.raises(ProtocolError, match=match):
        read_bundle(raw(changed(path, value)))


def test_text_that_is_no_unicode_is_refused() -> None:
    bundle = changed(("dsseEnvelope", "signatures", 0, "keyid"), "\ud83d")
    with pytest.raises(ProtocolError, match="no Unicode"):
        read_bundle(raw(bundle))


CERTIFICATE = certificate_pem(SIGNER.certificate)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("dev.cosignproject.cosign/signature", "%", "not base64"),
        ("dev.sigstore.cosign/certificate", CERTIFICATE * 2, "more than one"),
        ("dev.sigstore.cosign/certificate", "text", "not PEM"),
        ("dev.sigstore.cosign/certificate", f"text\n{CERTIFICATE}", "not PEM"),
        ("dev.sigstore.cosign/certificate", f"{CERTIFICATE}text", "cannot be read"),
        ("dev.sigstore.cosign/certificate", CERTIFICATE[:-10], "cannot be read"),
        ("dev.sigstore.cosign/chain", CERTIFICATE * 17, "cannot be read"),
        ("dev.sigstore.cosign/bundle", "", "not valid JSON"),
        ("dev.sigstore.cosign/bundle", "{}", "not an object"),
        ("dev.sigstore.cosign/bundle", '{"Payload":{"body":"e30="}}', "not complete"),
        ("dev.sigstore.cosign/rfc3161timestamp", "{}", "not base64"),
        ("dev.sigstore.cosign/rfc3161timestamp", "\ud800", "not valid JSON"),
    ],
)
def test_annotations_that_cannot_be_read(name: str, value: str, match: str) -> None:
    with pytest.raises(ProtocolError, match=match):
        read_signature_layer(LAYER.content, {**LAYER.annotations, name: value})
