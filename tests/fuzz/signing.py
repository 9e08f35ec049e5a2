# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stored signatures, fuzzed: bundles, layers and annotations of cosign 2, and bundles that were changed after they were signed."""

from __future__ import annotations

import base64
import functools
import json
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._errors import ProtocolError
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import is_digest
from ansible_collections.ocikit.registry.plugins.module_utils._verify.bundles import (
    Evidence,
    read_attestation_layer,
    read_bundle,
    read_signature_layer,
)
from ansible_collections.ocikit.registry.plugins.module_utils._verify.signers import Signer, read_signer
from tests.registries import images
from tests.signing import stored
from tests.signing.instance import (
    BEGIN,
    END,
    IDENTITY,
    ISSUER,
    Instance,
    authority,
    certificate_pem,
    new_key,
    public_pem,
)

DIGEST = images.digest(b"signed")


def read_any_bundle(data: bytes) -> None:
    """Read a bundle: what it claims names digests, and it can be handed to the library as it was read."""
    _check(read_bundle(data))


def read_layer(data: bytes) -> None:
    """Read a layer of cosign 2 (line 1: its annotations, then its content), as a signature and as an attestation."""
    first, _newline, content = data.partition(b"\n")
    try:
        annotations = json.loads(first)
    except (ValueError, RecursionError):
        annotations = None
    if not isinstance(annotations, dict):
        annotations = {}
    texts = {name: text for name, text in annotations.items() if isinstance(text, str)}
    refusals = []
    for read in (read_signature_layer, read_attestation_layer):
        try:
            _check(read(content, texts))
        except ProtocolError as error:
            refusals.append(error)
    if len(refusals) == 2:
        raise refusals[0]


def _check(evidence: Evidence) -> None:
    assert all(map(is_digest, evidence.claim.digests)) and evidence.signatures
    again = json.loads(json.dumps(evidence.bundle))
    envelope = again.get("dsseEnvelope")
    if envelope:
        assert base64.b64decode(envelope["payload"]) == evidence.signed
    assert len(evidence.message) >= len(evidence.signed)


class Right(t.NamedTuple):
    """A bundle that verifies, what it says, and its signer."""

    raw: bytes
    signed: bytes
    signer: Signer


@functools.lru_cache(maxsize=None)
def right_bundles() -> tuple[Right, ...]:
    """Return a bundle by a key, one by an identity with an entry of a log and a timestamp, and one by a private PKI."""
    instance, key, pki = Instance("fuzzed"), new_key("fuzzed"), authority("fuzzed pki")
    payload = stored.statement(DIGEST)
    by_key = stored.bundle(key, payload)
    by_identity = stored.bundle(None, payload, signer=instance.signer(), log=instance.log, stamps=instance)
    by_authority = stored.bundle(None, payload, signer=instance.signer(by=pki, begin=BEGIN, end=END))
    identity = {"identity": IDENTITY, "issuer": ISSUER, "trusted_root": instance.trusted_root()}
    private = {"identity": IDENTITY, "certificate_authority": certificate_pem(pki.certificate)}
    return (
        Right(json.dumps(by_key).encode(), payload, read_signer({"key": public_pem(key)}, "signatures")),
        Right(json.dumps(by_identity).encode(), payload, read_signer(identity, "signatures")),
        Right(json.dumps(by_authority).encode(), payload, read_signer(private, "signatures")),
    )


def verify_changed(data: bytes) -> None:
    """Verify a bundle that is changed by ``data``: which one, where (2 bytes), how much goes (1), and what stands there then.

    Whatever is changed, what passes says what was signed.
    """
    which, place, gone = data[:1], data[1:3], data[3:4]
    bundles = right_bundles()
    right = bundles[(which or b"\0")[0] % len(bundles)]
    start = int.from_bytes(place, "big") % (len(right.raw) + 1)
    end = start + (gone or b"\0")[0]
    evidence = read_bundle(right.raw[:start] + data[4:] + right.raw[end:])
    right.signer.verify(evidence)
    assert evidence.signed == right.signed and evidence.claim.digests == {DIGEST}
