# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RFC 3161 timestamps, encoded by hand: no library for Python makes them."""

from __future__ import annotations

import datetime
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SHA256 = "2.16.840.1.101.3.4.2.1"
ECDSA_SHA256 = "1.2.840.10045.4.3.2"
SIGNED_DATA = "1.2.840.113549.1.7.2"
TST_INFO = "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.47"


def encode(tag: int, *parts: bytes) -> bytes:
    """Return a DER element with ``tag`` and the concatenated ``parts`` as its content."""
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content


def sequence(*parts: bytes) -> bytes:
    return encode(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    return encode(0x31, *sorted(parts))


def integer(value: int) -> bytes:
    return encode(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octets(value: bytes) -> bytes:
    return encode(0x04, value)


def oid(dotted: str) -> bytes:
    """Return an object identifier."""
    first, second, *others = map(int, dotted.split("."))
    content = bytearray()
    for number in [first * 40 + second, *others]:
        group = [number & 0x7F]
        while number > 0x7F:
            number >>= 7
            group.insert(0, number & 0x7F | 0x80)
        content += bytes(group)
    return encode(0x06, bytes(content))


def timestamp_response(
    message: bytes,
    moment: datetime.datetime,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
) -> bytes:
    """Return the response of a timestamp authority on ``message`` (RFC 3161, "Response Format")."""
    algorithm = sequence(oid(SHA256), encode(0x05))
    imprint = sequence(algorithm, octets(hashlib.sha256(message).digest()))
    time = encode(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())
    info = sequence(integer(1), oid("1.2.3.4.5"), imprint, integer(4711), time)
    encoded = certificate.public_bytes(serialization.Encoding.DER)
    identifier = sequence(sequence(sequence(octets(hashlib.sha256(encoded).digest()))))
    attributes = [
        sequence(oid(CONTENT_TYPE), set_of(oid(TST_INFO))),
        sequence(oid(MESSAGE_DIGEST), set_of(octets(hashlib.sha256(info).digest()))),
        sequence(oid(SIGNING_CERTIFICATE), set_of(identifier)),
    ]
    # The set is signed as a set, and stands in the structure with another tag.
    signature = key.sign(set_of(*attributes), ec.ECDSA(hashes.SHA256()))
    signer = sequence(
        integer(1),
        sequence(certificate.issuer.public_bytes(), integer(certificate.serial_number)),
        algorithm,
        encode(0xA0, *sorted(attributes)),
        sequence(oid(ECDSA_SHA256)),
        octets(signature),
    )
    content = sequence(oid(TST_INFO), encode(0xA0, octets(info)))
    data = sequence(integer(3), set_of(algorithm), content, encode(0xA0, encoded), set_of(signer))
    return sequence(sequence(integer(0)), sequence(oid(SIGNED_DATA), encode(0xA0, data)))
