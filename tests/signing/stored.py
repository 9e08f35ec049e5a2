# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures in the forms in which cosign 2 and cosign 3 store them."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import typing as t

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from tests.registries import images

from .instance import (
    SIGNED,
    Instance,
    Log,
    Signer,
    canonical,
    certificate_der,
    certificate_pem,
    encode,
    public_pem,
)

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
COSIGN_SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"
IN_TOTO = "application/vnd.in-toto+json"
SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"


def sign(
    key: t.Any, message: bytes, pss: bool = False, algorithm: hashes.HashAlgorithm | None = None
) -> bytes:
    """Return a signature as cosign makes it with a key of this kind."""
    algorithm = algorithm or hashes.SHA256()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(algorithm))
    if isinstance(key, rsa.RSAPrivateKey):
        scheme: t.Any = padding.PSS(padding.MGF1(algorithm), 32) if pss else padding.PKCS1v15()
        return key.sign(message, scheme, algorithm)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key.sign(message)


def simple_payload(digest: str, annotations: t.Mapping[str, t.Any] | None = None, **critical: t.Any) -> bytes:
    """Return the payload of a signature of cosign 2."""
    content = {
        "identity": {"docker-reference": "registry.example.com/team/app"},
        "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature",
        **critical,
    }
    return json.dumps({"critical": content, "optional": annotations}, separators=(",", ":")).encode()


def statement(
    digest: str,
    predicate_type: str = SIGN_PREDICATE,
    predicate: t.Any = None,
    annotations: t.Mapping[str, t.Any] | None = None,
) -> bytes:
    """Return an in-toto statement about an image."""
    algorithm, _colon, value = digest.partition(":")
    subject = {"digest": {algorithm: value}, "annotations": dict(annotations or {})}
    content = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [subject],
        "predicateType": predicate_type,
        "predicate": {} if predicate is None else predicate,
    }
    return json.dumps(content, separators=(",", ":")).encode()


def encoding(payload: bytes, payload_type: str = IN_TOTO) -> bytes:
    """Return DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)


def envelope(key: t.Any, payload: bytes, payload_type: str = IN_TOTO, **how: t.Any) -> dict[str, t.Any]:
    """Return a signed DSSE envelope."""
    signature = sign(key, encoding(payload, payload_type), **how)
    return {
        "payload": encode(payload),
        "payloadType": payload_type,
        "signatures": [{"sig": encode(signature)}],
    }


def record_body(payload: bytes, signature: bytes, verifier: str) -> dict[str, t.Any]:
    """Return the body of a log entry for a signature of cosign 2. ``verifier`` is a key or certificate in PEM."""
    return {
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()}},
            "signature": {"content": encode(signature), "publicKey": {"content": encode(verifier.encode())}},
        },
    }


def envelope_body(signed: dict[str, t.Any], payload: bytes, verifier: str) -> dict[str, t.Any]:
    """Return the body of a log entry for an envelope."""
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(canonical(signed)).hexdigest()},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [
                {"signature": signed["signatures"][0]["sig"], "verifier": encode(verifier.encode())}
            ],
        },
    }


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of a manifest of signatures."""

    content: bytes
    media_type: str
    annotations: t.Mapping[str, str]

    def descriptor(self) -> dict[str, t.Any]:
        return {**images.descriptor(self.content, self.media_type), "annotations": dict(self.annotations)}


def _log_annotation(entry: t.Mapping[str, t.Any]) -> str:
    """Return a log entry as cosign 2 stores it: without its proof."""

    payload = {
        "body": entry["canonicalizedBody"],
        "integratedTime": int(entry["integratedTime"]),
        "logIndex": int(entry["logIndex"]),
        "logID": base64.b64decode(entry["logId"]["keyId"]).hex(),
    }
    promise = entry["inclusionPromise"]["signedEntryTimestamp"]
    return json.dumps({"SignedEntryTimestamp": promise, "Payload": payload})


def _annotations(
    signer: Signer | None, entry: t.Mapping[str, t.Any] | None, timestamp: bytes | None
) -> dict[str, str]:
    """Return the annotations of a layer of cosign 2 beside the signature."""
    annotations = {}
    if signer:
        annotations["dev.sigstore.cosign/certificate"] = certificate_pem(signer.certificate)
        annotations["dev.sigstore.cosign/chain"] = "".join(map(certificate_pem, signer.authority.chain))
    if entry:
        annotations["dev.sigstore.cosign/bundle"] = _log_annotation(entry)
    if timestamp:
        annotations["dev.sigstore.cosign/rfc3161timestamp"] = json.dumps(
            {"SignedRFC3161Timestamp": encode(timestamp)}
        )
    return annotations


def signature_layer(
    key: t.Any,
    digest: str,
    *,
    signer: Signer | None = None,
    log: Log | None = None,
    stamps: Instance | None = None,
    moment: t.Any = SIGNED,
    annotations: t.Mapping[str, t.Any] | None = None,
    payload: bytes | None = None,
    verifier: str | None = None,
    **how: t.Any,
) -> Layer:
    """Return a signature of cosign 2, by ``key`` or the key of ``signer``, logged in ``log``, timestamped by ``stamps``.

    ``verifier`` is what the log entry has in place of the key or certificate.
    """
    payload = simple_payload(digest, annotations) if payload is None else payload
    signature = sign(signer.key if signer else key, payload, **how)
    verifier = verifier or (certificate_pem(signer.certificate) if signer else public_pem(key))
    entry = log.entry(record_body(payload, signature, verifier), moment) if log else None
    stamp = stamps.timestamp(signature, moment) if stamps else None
    own = {"dev.cosignproject.cosign/signature": encode(signature)}
    return Layer(payload, SIMPLE_SIGNING, {**own, **_annotations(signer, entry, stamp)})


def attestation_layer(
    key: t.Any,
    payload: bytes,
    *,
    signer: Signer | None = None,
    log: Log | None = None,
    moment: t.Any = SIGNED,
    **how: t.Any,
) -> Layer:
    """Return an attestation of cosign 2 with the statement ``payload``."""
    signed = envelope(signer.key if signer else key, payload, **how)
    verifier = certificate_pem(signer.certificate) if signer else public_pem(key)
    entry = log.entry(envelope_body(signed, payload, verifier), moment) if log else None
    own = {"dev.cosignproject.cosign/signature": "", "predicateType": json.loads(payload)["predicateType"]}
    content = json.dumps(signed, separators=(",", ":")).encode()
    return Layer(content, DSSE, {**own, **_annotations(signer, entry, None)})


def bundle(
    key: t.Any,
    payload: bytes,
    *,
    signer: Signer | None = None,
    log: Log | None = None,
    stamps: Instance | None = None,
    moment: t.Any = SIGNED,
    proof: bool = True,
    promise: bool = True,
    **how: t.Any,
) -> dict[str, t.Any]:
    """Return a Sigstore bundle of the statement ``payload``, as cosign 3 makes it."""

    signed = envelope(signer.key if signer else key, payload, **how)
    verifier = certificate_pem(signer.certificate) if signer else public_pem(key)
    material: dict[str, t.Any] = {}
    if signer:
        material["certificate"] = {"rawBytes": encode(certificate_der(signer.certificate))}
    else:
        material["publicKey"] = {"hint": encode(hashlib.sha256(verifier.encode()).digest())}
    if log:
        body = envelope_body(signed, payload, verifier)
        material["tlogEntries"] = [log.entry(body, moment, proof=proof, promise=promise)]
    if stamps:
        stamp = stamps.timestamp(base64.b64decode(signed["signatures"][0]["sig"]), moment)
        material["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": encode(stamp)}]}
    return {"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": signed}


def layers_image(
    layers: t.Sequence[Layer], subject: images.Image | None = None, artifact_type: str | None = None
) -> images.Image:
    """Return the manifest of layers that belongs under a tag of cosign 2, or that refers to ``subject``."""
    config = json.dumps(
        {"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}
    )
    manifest: dict[str, t.Any] = {
        "schemaVersion": 2,
        "mediaType": images.OCI_MANIFEST,
        "config": images.descriptor(config.encode(), artifact_type or images.OCI_CONFIG),
        "layers": [layer.descriptor() for layer in layers],
    }
    if subject:
        manifest["subject"] = images.descriptor(subject.raw, subject.media_type)
    if artifact_type:
        manifest["artifactType"] = artifact_type
    blobs = {images.digest(layer.content): layer.content for layer in layers}
    blobs[images.digest(config.encode())] = config.encode()
    return images.Image(json.dumps(manifest, separators=(",", ":")).encode(), images.OCI_MANIFEST, blobs)


def bundle_image(
    content: t.Mapping[str, t.Any] | bytes,
    subject: images.Image,
    predicate_type: str | None = SIGN_PREDICATE,
    artifact_type: str = BUNDLE,
    layer_type: str = BUNDLE,
) -> images.Image:
    """Return the referrer with a bundle, as cosign 3 makes it."""
    raw = content if isinstance(content, bytes) else json.dumps(content, separators=(",", ":")).encode()
    annotations = {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "org.opencontainers.image.created": "2025-06-01T12:00:00Z",
    }
    if predicate_type:
        annotations["dev.sigstore.bundle.predicateType"] = predicate_type
    return images.artifact(artifact_type, raw, layer_type, subject=subject, annotations=annotations)
