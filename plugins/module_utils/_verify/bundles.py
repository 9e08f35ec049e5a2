# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Signatures as they are stored, in one form: Sigstore bundles, and the layers and annotations of cosign 2.

Everything here reads what anyone may have pushed, and raises ProtocolError for what is not understood. Nothing here is proven.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import typing as t
from dataclasses import dataclass, field

from .._errors import ProtocolError, printable
from .._oci.documents import Keys, parse_json_object
from .payloads import (
    ENVELOPE,
    Claim,
    Envelope,
    as_object,
    decode,
    read_envelope,
    read_simple_signing,
    read_statement,
)

SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature"
_CERTIFICATE = "dev.sigstore.cosign/certificate"
_CHAIN = "dev.sigstore.cosign/chain"
_LOG_ENTRY = "dev.sigstore.cosign/bundle"
_TIMESTAMP = "dev.sigstore.cosign/rfc3161timestamp"
# The form that signatures of cosign 2 are brought into: it may have a promise of the log without a proof.
_OLDEST_BUNDLE = "application/vnd.dev.sigstore.bundle+json;version=0.1"
# Cosign stores no older ones, and takes none.
_BUNDLE_TYPES = (
    "application/vnd.dev.sigstore.bundle.v0.3+json",
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
)
_BUNDLE = Keys(
    *("mediaType", "messageSignature"),
    dsseEnvelope=ENVELOPE,
    verificationMaterial=Keys(
        publicKey=Keys("hint"),
        certificate=Keys("rawBytes"),
        x509CertificateChain=Keys(certificates=Keys("rawBytes")),
        tlogEntries=Keys(
            *("logIndex", "integratedTime", "canonicalizedBody"),
            logId=Keys("keyId"),
            kindVersion=Keys("kind", "version"),
            inclusionPromise=Keys("signedEntryTimestamp"),
            inclusionProof=Keys("logIndex", "rootHash", "treeSize", "hashes", checkpoint=Keys("envelope")),
        ),
        timestampVerificationData=Keys(rfc3161Timestamps=Keys("signedTimestamp")),
    ),
)
_PROMISE = Keys("SignedEntryTimestamp", Payload=Keys("body", "integratedTime", "logIndex", "logID"))
_LOG_BODY = Keys("kind", "apiVersion", "spec")
_MOST_CERTIFICATES = 16
_MOST_ENTRIES = 16
_MOST_HASHES = 64
_PEM_BEGIN = "-----BEGIN CERTIFICATE-----"
_PEM_END = "-----END CERTIFICATE-----"


@dataclass(frozen=True)
class Material:
    """What comes with a signature to prove who made it and when. Certificates are DER encoded, the signer's comes first.

    ``entries`` are those of transparency logs, and ``timestamps`` RFC 3161 responses, as bundles have them in JSON.
    """

    certificates: tuple[bytes, ...] = ()
    entries: tuple[t.Mapping[str, t.Any], ...] = ()
    timestamps: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """One stored signature: what it claims, the bytes that are signed, and what comes with it.

    ``signed`` are the bytes that the claim was read from; ``message`` are those that ``signatures`` are of. ``bundle`` is the
    whole as a Sigstore bundle, in JSON.
    """

    claim: Claim
    signed: bytes
    message: bytes
    signatures: tuple[bytes, ...]
    material: Material = field(default_factory=Material)
    envelope: Envelope | None = None
    bundle: t.Mapping[str, t.Any] = field(default_factory=dict)

    @property
    def needs_proof(self) -> bool:
        """Whether log entries must have a proof of inclusion. Those of cosign 2 have nothing but the log's promise."""
        return self.bundle.get("mediaType") != _OLDEST_BUNDLE


def read_bundle(raw: bytes) -> Evidence:
    """Read a Sigstore bundle with a DSSE envelope, as cosign 3 stores it (cosign's BUNDLE_SPEC.md). Raises ProtocolError."""
    data = parse_json_object(raw, "bundle", _BUNDLE)
    _BUNDLE.refuse_others(data, "bundle")
    _check_text(data)
    if data.get("mediaType") not in _BUNDLE_TYPES:
        raise ProtocolError(f"The bundle has the unknown type {printable(data.get('mediaType'), 100)!r}.")
    if "dsseEnvelope" not in data or "messageSignature" in data:
        raise ProtocolError("The bundle has no envelope.")
    envelope = read_envelope(data["dsseEnvelope"])
    if len(envelope.signatures) != 1:
        raise ProtocolError(f"The envelope of the bundle has {len(envelope.signatures)} signatures, not one.")
    return Evidence(
        claim=read_statement(envelope),
        signed=envelope.payload,
        message=envelope.message,
        signatures=envelope.signatures,
        material=_read_material(as_object(data.get("verificationMaterial"), "verification material")),
        envelope=envelope,
        bundle=data,
    )


def read_signature_layer(raw: bytes, annotations: t.Mapping[str, str]) -> Evidence:
    """Read a signature of cosign 2: a layer with a payload, and its annotations (SIGNATURE_SPEC.md). Raises ProtocolError."""
    signature = decode(annotations.get(SIGNATURE_ANNOTATION), "signature in the annotation")
    claim = read_simple_signing(raw)
    material = _read_annotations(annotations)
    content = {
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": _encode(hashlib.sha256(raw).digest())},
            "signature": _encode(signature),
        }
    }
    return Evidence(claim, raw, raw, (signature,), material, None, _as_bundle(material, content))


def read_attestation_layer(raw: bytes, annotations: t.Mapping[str, str]) -> Evidence:
    """Read an attestation of cosign 2: a layer with a DSSE envelope, and its annotations. Raises ProtocolError."""
    data = parse_json_object(raw, "envelope", ENVELOPE)
    envelope = read_envelope(data)
    material = _read_annotations(annotations)
    return Evidence(
        claim=read_statement(envelope),
        signed=envelope.payload,
        message=envelope.message,
        signatures=envelope.signatures,
        material=material,
        envelope=envelope,
        bundle=_as_bundle(material, {"dsseEnvelope": data}),
    )


def _read_material(data: t.Mapping[str, t.Any]) -> Material:
    if sum(name in data for name in ("certificate", "x509CertificateChain", "publicKey")) != 1:
        raise ProtocolError("The bundle names no signer, or several.")
    certificates: list[t.Any] = []
    if "certificate" in data:
        certificates.append(data["certificate"])
    elif "x509CertificateChain" in data:
        chain = as_object(data["x509CertificateChain"], "certificate chain")
        certificates += _list(chain.get("certificates"), "certificate chain", _MOST_CERTIFICATES)
    entries = _list(data.get("tlogEntries"), "list of log entries", _MOST_ENTRIES)
    hint = as_object(data.get("publicKey", {}), "public key").get("hint", "")
    if not isinstance(hint, str):
        raise ProtocolError("The hint at the public key is not text.")
    stamps = as_object(data.get("timestampVerificationData") or {}, "timestamps")
    return Material(
        tuple(
            decode(as_object(entry, "certificate").get("rawBytes"), "certificate") for entry in certificates
        ),
        tuple(_read_entry(entry) for entry in entries),
        tuple(
            decode(as_object(entry, "timestamp").get("signedTimestamp"), "timestamp")
            for entry in _list(stamps.get("rfc3161Timestamps"), "list of timestamps", _MOST_ENTRIES)
        ),
    )


def _read_entry(value: t.Any) -> dict[str, t.Any]:
    """Return a log entry whose parts have the form that they should. One with a promise has the time of that."""
    entry = as_object(value, "log entry")
    decode(as_object(entry.get("logId"), "log").get("keyId"), "ID of the log")
    decode(entry.get("canonicalizedBody"), "body of the log entry")
    _check_numbers(entry, "logIndex", "integratedTime")
    if "inclusionPromise" in entry:
        promise = as_object(entry["inclusionPromise"], "promise of the log")
        decode(promise.get("signedEntryTimestamp"), "promise of the log")
        if entry.get("integratedTime", "0") == "0":
            raise ProtocolError("The log entry has a promise, but no time.")
    if "inclusionProof" in entry:
        proof = as_object(entry["inclusionProof"], "proof of the log")
        _check_numbers(proof, "logIndex", "treeSize")
        for part in [proof.get("rootHash"), *_list(proof.get("hashes"), "list of hashes", _MOST_HASHES)]:
            decode(part, "proof of the log")
        _check_checkpoint(as_object(proof.get("checkpoint"), "checkpoint").get("envelope"))
    return entry


def _check_numbers(data: t.Mapping[str, t.Any], *names: str) -> None:
    """Raise ProtocolError unless what ``names`` name are numbers as bundles write them, where they are there."""
    for name in names:
        number = data.get(name, "0")
        if not isinstance(number, str) or not re.match(r"(?:0|[1-9][0-9]{0,18})\Z", number):
            raise ProtocolError(f"The log entry has no valid {name}.")


def _check_checkpoint(text: t.Any) -> None:
    """Raise ProtocolError unless ``text`` has the form of a signed checkpoint (C2SP, "signed-note")."""
    note, blank, signatures = text.partition("\n\n") if isinstance(text, str) else ("", "", "")
    lines = signatures.split("\n")
    if not blank or len(note.split("\n")) < 3 or lines.pop() or not lines:
        raise ProtocolError("The checkpoint of the log cannot be read.")
    decode(note.split("\n")[2], "checkpoint of the log")
    for line in lines:
        match = re.match("\u2014 \\S+ (\\S+)\\Z", line)
        decode(match.group(1) if match else None, "signature of the checkpoint")


def _read_annotations(annotations: t.Mapping[str, str]) -> Material:
    """Return what the annotations of a layer of cosign 2 hold beside the signature."""
    certificates = _read_pem(annotations.get(_CERTIFICATE, ""), "certificate in the annotation")
    chain = _read_pem(annotations.get(_CHAIN, ""), "certificate chain in the annotation")
    if len(certificates) > 1:
        raise ProtocolError("The annotation has more than one certificate.")
    entries, timestamps = [], []
    if _LOG_ENTRY in annotations:
        entries.append(_read_promise(annotations[_LOG_ENTRY]))
    if annotations.get(_TIMESTAMP):
        data = _annotation(
            annotations[_TIMESTAMP], "timestamp in the annotation", Keys("SignedRFC3161Timestamp")
        )
        timestamps.append(decode(data.get("SignedRFC3161Timestamp"), "timestamp in the annotation"))
    return Material(tuple(certificates + chain), tuple(entries), tuple(timestamps))


def _read_promise(text: str) -> dict[str, t.Any]:
    """Return the log entry of cosign 2, with the log's promise to include it, as a bundle has it."""
    data = _annotation(text, "log entry in the annotation", _PROMISE)
    payload = as_object(data.get("Payload"), "log entry in the annotation")
    body = decode(payload.get("body"), "body of the log entry")
    kind = parse_json_object(body, "body of the log entry", _LOG_BODY)
    index, seconds, log = payload.get("logIndex"), payload.get("integratedTime"), payload.get("logID")
    numbers = all(isinstance(number, int) and not isinstance(number, bool) for number in (index, seconds))
    try:
        key = bytes.fromhex(log) if isinstance(log, str) else b""
    except ValueError:
        key = b""
    if not numbers or not key:
        raise ProtocolError("The log entry in the annotation is not complete.")
    promise = decode(data.get("SignedEntryTimestamp"), "promise of the log")
    return {
        "logIndex": str(index),
        "logId": {"keyId": _encode(key)},
        "kindVersion": {"kind": str(kind.get("kind")), "version": str(kind.get("apiVersion"))},
        "integratedTime": str(seconds),
        "inclusionPromise": {"signedEntryTimestamp": _encode(promise)},
        "canonicalizedBody": _encode(body),
    }


def _as_bundle(material: Material, content: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    certificates = [{"rawBytes": _encode(raw)} for raw in material.certificates[:1]]
    timestamps = [{"signedTimestamp": _encode(raw)} for raw in material.timestamps]
    return {
        "mediaType": _OLDEST_BUNDLE,
        "verificationMaterial": {
            "x509CertificateChain": {"certificates": certificates},
            "tlogEntries": list(material.entries),
            "timestampVerificationData": {"rfc3161Timestamps": timestamps},
        },
        **content,
    }


def _read_pem(text: str, name: str) -> list[bytes]:
    """Return the DER form of the certificates in ``text``. Raises ProtocolError, which calls it ``name``."""
    certificates: list[bytes] = []
    before, *blocks = text.split(_PEM_BEGIN)
    for block in blocks:
        body, end, rest = block.partition(f"\n{_PEM_END}")
        if not end or rest.strip() or len(certificates) == _MOST_CERTIFICATES:
            raise ProtocolError(f"The {name} cannot be read.")
        certificates.append(decode("".join(body.split()), name))
    if before.strip() or (text.strip() and not blocks):
        raise ProtocolError(f"The {name} is not PEM.")
    return certificates


def _annotation(text: str, name: str, keys: Keys) -> dict[str, t.Any]:
    return parse_json_object(text.encode("utf-8", "replace"), name, keys)


def _check_text(data: t.Any) -> None:
    """Raise ProtocolError for text that UTF-8 has no form for, as half a surrogate pair, which Python reads from JSON."""
    try:
        json.dumps(data, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ProtocolError("The bundle holds text that is no Unicode.") from None


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _list(value: t.Any, name: str, limit: int) -> list[t.Any]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > limit:
        raise ProtocolError(f"The {name} is no list, or has more than {limit} entries.")
    return value
