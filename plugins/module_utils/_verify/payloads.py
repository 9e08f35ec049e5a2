# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What signatures sign: cosign's simple signing payloads, DSSE envelopes, and in-toto statements.

Everything here reads what anyone may have pushed, and raises ProtocolError for what is not understood.
"""

from __future__ import annotations

import base64
import binascii
import typing as t
from dataclasses import dataclass

from .._errors import ProtocolError, printable
from .._oci.documents import Keys, parse_json_object
from .._oci.reference import is_digest
from .._oci.signature_types import SIGN_PREDICATE

SIMPLE_SIGNING_TYPE = "cosign container image signature"
STATEMENT_TYPES = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
IN_TOTO_PAYLOAD = "application/vnd.in-toto+json"
_SIMPLE_SIGNING = Keys(
    "optional", critical=Keys("type", identity=Keys("docker-reference"), image=Keys("docker-manifest-digest"))
)
_STATEMENT = Keys("_type", "predicateType", "predicate", subject=Keys("name", "digest", "annotations"))
ENVELOPE = Keys("payload", "payloadType", signatures=Keys("sig", "keyid"))
_MOST_SUBJECTS = 10_000
_MOST_SIGNATURES = 16


@dataclass(frozen=True)
class Claim:
    """What a payload says: of which ``digests``, of which type, and what.

    ``annotations`` are those of a plain signature (cosign's ``-a``), whose predicate type is SIGN_PREDICATE.
    """

    digests: frozenset[str]
    predicate_type: str
    predicate: t.Any
    annotations: t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Envelope:
    """A DSSE envelope: the payload with its type, and the signatures over both."""

    payload_type: str
    payload: bytes
    signatures: tuple[bytes, ...]

    @property
    def message(self) -> bytes:
        """The bytes that are signed: DSSE's pre-authentication encoding."""
        kind = self.payload_type.encode()
        return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(self.payload), self.payload)


def read_simple_signing(raw: bytes) -> Claim:
    """Read a payload of cosign's tags (cosign's SIGNATURE_SPEC.md). Raises ProtocolError."""
    data = parse_json_object(raw, "signed payload", _SIMPLE_SIGNING)
    critical = as_object(data.get("critical"), "critical part of the signed payload")
    if critical.get("type") != SIMPLE_SIGNING_TYPE:
        raise ProtocolError(f"The signed payload has the type {printable(critical.get('type'), 100)!r}.")
    digest = as_object(critical.get("image"), "image of the signed payload").get("docker-manifest-digest")
    if not is_digest(digest):
        raise ProtocolError("The signed payload names no digest.")
    optional = data.get("optional")
    annotations = as_object(optional, "optional part of the signed payload") if optional is not None else {}
    return Claim(frozenset((t.cast(str, digest),)), SIGN_PREDICATE, {}, annotations)


def read_envelope(data: t.Any) -> Envelope:
    """Read a DSSE envelope, parsed JSON (DSSE's envelope.md). Raises ProtocolError."""
    data = as_object(data, "envelope")
    payload_type, signatures = data.get("payloadType"), data.get("signatures")
    if not isinstance(payload_type, str) or not isinstance(signatures, list):
        raise ProtocolError("The envelope has no payload type, or no signatures.")
    if not 0 < len(signatures) <= _MOST_SIGNATURES:
        raise ProtocolError(f"The envelope has {len(signatures)} signatures.")
    return Envelope(
        payload_type,
        decode(data.get("payload"), "payload of the envelope"),
        tuple(decode(as_object(entry, "signature").get("sig"), "signature") for entry in signatures),
    )


def read_statement(envelope: Envelope) -> Claim:
    """Read the in-toto statement in an envelope (in-toto attestation framework, "Statement"). Raises ProtocolError."""
    if envelope.payload_type != IN_TOTO_PAYLOAD:
        raise ProtocolError(
            f"The envelope holds {printable(envelope.payload_type, 100)!r}, and no statement."
        )
    data = parse_json_object(envelope.payload, "statement", _STATEMENT)
    predicate_type, subjects = data.get("predicateType"), data.get("subject")
    if data.get("_type") not in STATEMENT_TYPES:
        raise ProtocolError(f"The statement has the type {printable(data.get('_type'), 100)!r}.")
    if not isinstance(predicate_type, str) or not isinstance(subjects, list):
        raise ProtocolError("The statement has no predicate type, or no subjects.")
    if len(subjects) > _MOST_SUBJECTS:
        raise ProtocolError(f"The statement has {len(subjects)} subjects.")
    digests: set[str] = set()
    annotations: dict[str, t.Any] = {}
    for entry in subjects:
        subject = as_object(entry, "subject")
        named = as_object(subject.get("digest"), "digest of the subject")
        digests.update(f"{algorithm}:{value}" for algorithm, value in named.items())
        if len(subjects) == 1:
            annotations = as_object(subject.get("annotations") or {}, "annotations of the subject")
    valid = frozenset(digest for digest in digests if is_digest(digest))
    return Claim(valid, predicate_type, data.get("predicate"), annotations)


def decode(value: t.Any, name: str) -> bytes:
    """Return what ``value`` is in base64, in the one form that it has. Raises ProtocolError, which calls it ``name``."""
    try:
        if not isinstance(value, str):
            raise TypeError
        raw = base64.b64decode(value.encode("ascii"), validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise ProtocolError(f"The {name} is not base64.") from None
    # Python reads what stands behind the padding, and bits that belong to no byte.
    if base64.b64encode(raw).decode() != value:
        raise ProtocolError(f"The {name} is not base64.")
    return raw


def as_object(value: t.Any, name: str) -> dict[str, t.Any]:
    """Return ``value`` if it is an object of JSON. Raises ProtocolError, which calls it ``name``."""
    if not isinstance(value, dict):
        raise ProtocolError(f"The {name} is not an object.")
    return value
