# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Who must have signed: the holder of a key, an identity of Sigstore, or an identity of a private PKI."""

from __future__ import annotations

import datetime
import typing as t

from .._errors import InvalidInput, ProtocolError
from .bundles import Evidence
from .certificates import check_chain, load_certificate, read_authorities, require_path_validation
from .identities import Identity, Name
from .keys import PublicKey, read_keys
from .sigstore_library import (
    IGNORE,
    OPTIONAL,
    REQUIRED,
    Trust,
    verify_identity,
    verify_log_entries,
    verify_timestamps,
)

if t.TYPE_CHECKING:
    from cryptography.x509 import Certificate


class Signer(t.Protocol):
    """Who must have signed."""

    def __str__(self) -> str: ...

    def verify(self, evidence: Evidence) -> None:
        """Raise ProtocolError unless the signature is proven to be one of this signer."""


def read_signer(entry: t.Mapping[str, t.Any], option: str) -> Signer:
    """Return the signer that an entry of the option ``signatures`` or ``attestations`` names.

    Raises InvalidInput that names ``option``, LocalStorageError, and LibraryMissing.
    """
    ways = [name for name in ("key", "certificate_authority", "identity") if entry.get(name)]
    if "key" in ways and len(ways) > 1 or not ways:
        raise InvalidInput(
            f"{option} needs either key, or identity with trusted_root, or identity with certificate_authority."
        )
    log = entry.get("transparency_log")
    trust = Trust(entry["trusted_root"], f"{option}.trusted_root") if entry.get("trusted_root") else None
    if "key" in ways:
        if entry.get("issuer"):
            raise InvalidInput(f"{option}: issuer does not go with key.")
        keys = read_keys(entry["key"], f"{option}.key")
        return KeySigner(keys, _LogPolicy(trust, log or OPTIONAL, option))
    if not entry.get("identity"):
        raise InvalidInput(f"{option}: certificate_authority needs identity.")
    issuer = Name(entry["issuer"], f"{option}.issuer") if entry.get("issuer") else None
    alone = "certificate_authority" not in ways
    identity = Identity(Name(entry["identity"], f"{option}.identity"), issuer, alone)
    if "certificate_authority" in ways:
        authorities = read_authorities(entry["certificate_authority"], f"{option}.certificate_authority")
        return AuthoritySigner(authorities, identity, _LogPolicy(trust, log or OPTIONAL, option))
    if trust is None or issuer is None:
        raise InvalidInput(
            f"{option}: identity needs issuer and trusted_root, or certificate_authority for a private PKI."
        )
    require_path_validation()
    return IdentitySigner(trust, identity, log or REQUIRED)


class _LogPolicy:
    """What is required of a transparency log beside a signature that is proven without one."""

    def __init__(self, trust: Trust | None, mode: str, option: str) -> None:
        if mode == REQUIRED and trust is None:
            raise InvalidInput(f"{option}: transparency_log: required needs trusted_root.")
        self._trust = trust
        self._mode = mode

    def verify(self, evidence: Evidence, signer: PublicKey | Certificate) -> list[datetime.datetime]:
        """Verify the log entries of a signature by ``signer``, and return the times that logs promised.

        Raises ProtocolError.
        """
        entries = evidence.material.entries
        if self._mode == REQUIRED and not entries:
            raise ProtocolError("it has no entry of a transparency log")
        if self._trust is None or self._mode == IGNORE or not entries:
            return []
        return verify_log_entries(evidence, self._trust, signer)

    def timestamps(self, evidence: Evidence) -> list[datetime.datetime]:
        """Return the times that timestamps of a signature prove."""
        if self._trust is None or not evidence.material.timestamps:
            return []
        return verify_timestamps(evidence, self._trust)


class KeySigner:
    """The holder of one of some keys."""

    def __init__(self, keys: t.Sequence[PublicKey], log: _LogPolicy) -> None:
        self._keys = keys
        self._log = log

    def __str__(self) -> str:
        return f"the key {' or '.join(map(str, self._keys))}"

    def verify(self, evidence: Evidence) -> None:
        """Verify that one of the keys made a signature of the evidence. Raises ProtocolError."""
        for key in self._keys:
            if any(key.verifies(evidence.message, signature) for signature in evidence.signatures):
                self._log.verify(evidence, key)
                return
        raise ProtocolError("it was not made with the key")


class IdentitySigner:
    """An identity that Fulcio gave a certificate to."""

    def __init__(self, trust: Trust, identity: Identity, log: str) -> None:
        self._trust = trust
        self._identity = identity
        self._log = log

    def __str__(self) -> str:
        return str(self._identity)

    def verify(self, evidence: Evidence) -> None:
        """Verify a keyless signature by Sigstore's rules. Raises ProtocolError."""
        verify_identity(evidence, self._trust, self._identity, self._log)


class AuthoritySigner:
    """An identity that a private PKI gave a certificate to."""

    def __init__(self, authorities: t.Sequence[Certificate], identity: Identity, log: _LogPolicy) -> None:
        self._authorities = authorities
        self._identity = identity
        self._log = log

    def __str__(self) -> str:
        return f"{self._identity} of the given authority"

    def verify(self, evidence: Evidence) -> None:
        """Verify a signature by a certificate of the private authorities. Raises ProtocolError."""
        if not evidence.material.certificates:
            raise ProtocolError("it has no certificate")
        certificate, *intermediates = map(load_certificate, evidence.material.certificates)
        self._identity.check(certificate)
        try:
            key = PublicKey(certificate.public_key())
        except InvalidInput as error:
            raise ProtocolError(f"its certificate cannot be used: {str(error).rstrip('.')}") from None
        if not any(key.verifies(evidence.message, signature) for signature in evidence.signatures):
            raise ProtocolError("it was not made with the key of its certificate")
        now = datetime.datetime.now(datetime.timezone.utc)
        proven = self._log.verify(evidence, certificate) + self._log.timestamps(evidence)
        # Who issued the certificate must have had the right to do so then, too.
        for moment in [*(proven or [now]), certificate.not_valid_before_utc]:
            check_chain(certificate, intermediates, self._authorities, moment)
