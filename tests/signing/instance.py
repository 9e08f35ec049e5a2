# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private Sigstore instance: certificate authority, certificate log, transparency log, timestamp authority, trusted root."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import functools
import hashlib
import json
import struct
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import der

UTC = datetime.timezone.utc
# When everything was signed: all certificates of signers have expired since.
SIGNED = datetime.datetime(2025, 6, 1, 12, 0, 0, tzinfo=UTC)
BEGIN = datetime.datetime(2025, 1, 1, tzinfo=UTC)
END = datetime.datetime(2035, 1, 1, tzinfo=UTC)
ISSUER = "https://token.actions.example.com"
IDENTITY = "https://git.example.com/acme/app/.github/workflows/release.yml@refs/tags/v1.4.2"
MINUTES = datetime.timedelta(minutes=1)
_ISSUER_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_OLD_ISSUER_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_SCT_OID = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")

Key = ec.EllipticCurvePrivateKey


@functools.lru_cache(maxsize=None)
def new_key(name: str) -> Key:
    """Return a key: the same one for the same name in one run."""
    return ec.generate_private_key(ec.SECP256R1())


def public_der(key: t.Any) -> bytes:
    """Return the public half of a key as DER."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_key().public_bytes(serialization.Encoding.DER, form))


def public_pem(key: t.Any) -> str:
    """Return the public half of a key as PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_key().public_bytes(serialization.Encoding.PEM, form), "ascii")


def certificate_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def certificate_der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def canonical(data: t.Any) -> bytes:
    """Return canonical JSON, as far as these documents need it (RFC 8785)."""
    return json.dumps(data, separators=(",", ":"), sort_keys=True).encode()


@dataclasses.dataclass(frozen=True)
class Authority:
    """A certificate authority: its certificate and key, and those above it."""

    certificate: x509.Certificate
    key: Key
    above: tuple[x509.Certificate, ...] = ()

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """Its certificate and those above it."""
        return (self.certificate, *self.above)


@dataclasses.dataclass(frozen=True)
class Signer:
    """A certificate for code signing, and its key."""

    certificate: x509.Certificate
    key: t.Any
    authority: Authority


def authority(
    name: str,
    parent: Authority | None = None,
    begin: datetime.datetime = BEGIN,
    end: datetime.datetime = END,
    path_length: int | None = None,
    is_authority: bool = True,
    usages: t.Sequence[x509.ObjectIdentifier] = (),
    extensions: t.Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Authority:
    """Return an authority that signs itself, or that ``parent`` signs."""
    key = new_key(f"authority {name}")
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "test"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(parent.certificate.subject if parent else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(
            x509.BasicConstraints(is_authority, path_length if is_authority else None), critical=True
        )
        .add_extension(_usage(key_cert_sign=is_authority, crl_sign=is_authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, critical=is_critical)
    above = parent.key if parent else key
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), critical=False
    )
    return Authority(builder.sign(above, hashes.SHA256()), key, parent.chain if parent else ())


def _usage(**usages: bool) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign"
        " crl_sign encipher_only decipher_only"
    )
    return x509.KeyUsage(**{**dict.fromkeys(names.split(), False), **usages})


class Instance:
    """A private Sigstore instance. Each has keys of its own."""

    def __init__(self, name: str = "test") -> None:
        self.name = name
        self.root = authority(f"{name} root")
        self.fulcio = authority(f"{name} fulcio", self.root, usages=[ExtendedKeyUsageOID.CODE_SIGNING])
        self.certificate_log = new_key(f"{name} certificate log")
        self.log = Log(f"rekor.{name}.example.com")
        self.stamps = authority(f"{name} timestamps")

    @functools.cached_property
    def stamper(self) -> Authority:
        """The timestamp authority's own certificate."""
        key = new_key(f"{self.name} stamper")
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{self.name} stamper")]))
            .issuer_name(self.stamps.certificate.subject)
            .public_key(key.public_key())
            .serial_number(4712)
            .not_valid_before(BEGIN)
            .not_valid_after(END)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.stamps.key.public_key()),
                critical=False,
            )
            .sign(self.stamps.key, hashes.SHA256())
        )
        return Authority(certificate, key, self.stamps.chain)

    def signer(
        self,
        identity: x509.GeneralName | str | t.Sequence[x509.GeneralName | str] = IDENTITY,
        issuer: str | None = ISSUER,
        begin: datetime.datetime = SIGNED - MINUTES,
        end: datetime.datetime = SIGNED + 9 * MINUTES,
        by: Authority | None = None,
        usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CODE_SIGNING,
        sct: t.Literal["right", "missing", "other log", "other time"] = "right",
        key: t.Any = None,
        old_issuer: str | None = None,
        critical: bool = True,
        extensions: t.Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> Signer:
        """Return a certificate as Fulcio issues it, with the promise of the certificate log, and its key."""
        by = by or self.fulcio
        key = key or ec.generate_private_key(ec.SECP256R1())
        identities = [identity] if isinstance(identity, (str, x509.GeneralName)) else identity
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(by.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), critical=False
            )
            .add_extension(x509.SubjectAlternativeName(map(_name, identities)), critical=critical)
        )
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, critical=is_critical)
        if issuer is not None:
            value = der.encode(0x0C, issuer.encode())
            builder = builder.add_extension(x509.UnrecognizedExtension(_ISSUER_OID, value), critical=False)
        if issuer is not None or old_issuer is not None:
            value = (old_issuer or issuer or "").encode()
            builder = builder.add_extension(
                x509.UnrecognizedExtension(_OLD_ISSUER_OID, value), critical=False
            )
        if sct != "missing":
            log = new_key("another certificate log") if sct == "other log" else self.certificate_log
            moment = begin if sct == "right" else begin - datetime.timedelta(days=3650)
            without = builder.sign(by.key, hashes.SHA256())
            value = _promise_of_certificate(without.tbs_certificate_bytes, by.key, log, begin, moment)
            builder = builder.add_extension(x509.UnrecognizedExtension(_SCT_OID, value), critical=False)
        return Signer(builder.sign(by.key, hashes.SHA256()), key, by)

    def timestamp(self, signature: bytes, moment: datetime.datetime = SIGNED) -> bytes:
        """Return the response of the timestamp authority on a signature."""
        return der.timestamp_response(signature, moment, self.stamper.certificate, self.stamper.key)

    def trusted_root(
        self, begin: datetime.datetime = BEGIN, end: datetime.datetime | None = None, **fields: t.Any
    ) -> dict[str, t.Any]:
        """Return the trusted root in JSON. ``begin`` and ``end`` are when everything in it is valid."""
        valid = {"start": begin.strftime("%Y-%m-%dT%H:%M:%SZ")}
        if end:
            valid["end"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")

        def log(url: str, key: Key) -> dict[str, t.Any]:
            public = public_der(key)
            return {
                "baseUrl": url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": encode(public),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": valid,
                },
                "logId": {"keyId": encode(hashlib.sha256(public).digest())},
            }

        def chain(url: str, certificates: t.Sequence[x509.Certificate]) -> dict[str, t.Any]:
            return {
                "subject": {"organization": "test", "commonName": self.name},
                "uri": url,
                "certChain": {
                    "certificates": [{"rawBytes": encode(certificate_der(one))} for one in certificates]
                },
                "validFor": valid,
            }

        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(f"https://{self.log.origin}", self.log.key)],
            "certificateAuthorities": [chain("https://fulcio.example.com", self.fulcio.chain)],
            "ctlogs": [log("https://ctfe.example.com", self.certificate_log)],
            "timestampAuthorities": [chain("https://tsa.example.com", self.stamper.chain)],
            **fields,
        }


def _name(identity: x509.GeneralName | str) -> x509.GeneralName:
    """Return an identity as certificates have it: an e-mail address if it has an @ and no slash, else a URI."""
    if isinstance(identity, x509.GeneralName):
        return identity
    is_mail = "@" in identity and "/" not in identity
    return (x509.RFC822Name if is_mail else x509.UniformResourceIdentifier)(identity)


def _promise_of_certificate(
    content: bytes, authority_key: Key, log: Key, signed: datetime.datetime, told: datetime.datetime
) -> bytes:
    """Return the extension with the promise of a certificate log (RFC 6962, "Signed Certificate Timestamp")."""

    def milliseconds(moment: datetime.datetime) -> bytes:
        return struct.pack("!Q", int(moment.timestamp() * 1000))

    entry = hashlib.sha256(public_der(authority_key)).digest() + len(content).to_bytes(3, "big") + content
    signature = log.sign(
        b"\0\0" + milliseconds(signed) + b"\0\1" + entry + b"\0\0", ec.ECDSA(hashes.SHA256())
    )
    promise = b"\0" + hashlib.sha256(public_der(log)).digest() + milliseconds(told) + b"\0\0"
    promise += b"\4\3" + struct.pack("!H", len(signature)) + signature
    listed = struct.pack("!H", len(promise)) + promise
    return der.octets(struct.pack("!H", len(listed)) + listed)


class Log:
    """A transparency log as Rekor keeps it: promises, and proofs of inclusion in a tree of a few entries."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.key = new_key(f"log {origin}")

    @property
    def identifier(self) -> bytes:
        """The log's ID: the digest of its key."""
        return hashlib.sha256(public_der(self.key)).digest()

    def entry(
        self,
        body: dict[str, t.Any],
        moment: datetime.datetime = SIGNED,
        proof: bool = True,
        promise: bool = True,
    ) -> dict[str, t.Any]:
        """Return the entry of ``body`` as bundles have it."""
        raw = canonical(body)
        index, seconds = 5, int(moment.timestamp())
        entry: dict[str, t.Any] = {
            "logIndex": str(index),
            "logId": {"keyId": encode(self.identifier)},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "integratedTime": str(seconds),
            "canonicalizedBody": encode(raw),
        }
        if promise:
            promised = {
                "body": encode(raw),
                "integratedTime": seconds,
                "logID": self.identifier.hex(),
                "logIndex": index,
            }
            signed = self.key.sign(canonical(promised), ec.ECDSA(hashes.SHA256()))
            entry["inclusionPromise"] = {"signedEntryTimestamp": encode(signed)}
        if proof:
            entry["inclusionProof"] = self._proof(raw, index)
        return entry

    def _proof(self, raw: bytes, index: int) -> dict[str, t.Any]:
        leaves = [hashlib.sha256(b"\0other entry %d" % number).digest() for number in range(7)]
        leaves[index] = hashlib.sha256(b"\0" + raw).digest()
        root, path = _tree(leaves, index)
        note = f"{self.origin} - 1193050959916656506\n{len(leaves)}\n{encode(root)}\n"
        signature = self.key.sign(note.encode(), ec.ECDSA(hashes.SHA256()))
        line = f"\u2014 {self.origin} {encode(self.identifier[:4] + signature)}\n"
        return {
            "logIndex": str(index),
            "treeSize": str(len(leaves)),
            "rootHash": encode(root),
            "hashes": [encode(one) for one in path],
            "checkpoint": {"envelope": f"{note}\n{line}"},
        }


def _tree(leaves: t.Sequence[bytes], index: int) -> tuple[bytes, list[bytes]]:
    """Return the root of a Merkle tree and the audit path of one leaf (RFC 6962, "Merkle Hash Trees")."""
    if len(leaves) == 1:
        return leaves[0], []
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    left, left_path = _tree(leaves[:half], index if index < half else 0)
    right, right_path = _tree(leaves[half:], index - half if index >= half else 0)
    path = left_path + [right] if index < half else right_path + [left]
    return hashlib.sha256(b"\1" + left + right).digest(), path
