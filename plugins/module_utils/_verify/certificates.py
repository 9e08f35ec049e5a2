# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Certificates of a private PKI: chains to a given authority, verified by the library cryptography (RFC 5280)."""

from __future__ import annotations

import datetime
import typing as t

from .._errors import InvalidInput, LibraryMissing, ProtocolError, printable
from .keys import pem_blocks, require_cryptography

if t.TYPE_CHECKING:
    from cryptography.x509 import Certificate

_NEEDED_RELEASE = "cryptography 45 or newer"


def require_path_validation() -> None:
    """Raise LibraryMissing unless the library can validate chains of certificates of any profile."""
    require_cryptography()
    try:
        from cryptography.x509.verification import ExtensionPolicy  # noqa: F401
    except ImportError:
        raise LibraryMissing(_NEEDED_RELEASE, "to verify certificates") from None


def read_authorities(value: t.Any, option: str) -> list[Certificate]:
    """Return the certificates in ``value``, PEM or the path of a file with PEM, each of which is trusted.

    Raises InvalidInput that names ``option``, LocalStorageError, and LibraryMissing.
    """
    require_path_validation()
    from cryptography import x509

    certificates = []
    for kind, pem in pem_blocks(value, option, "certificate"):
        if kind != "CERTIFICATE":
            raise InvalidInput(
                f"{option} holds a {printable(kind.lower(), 40)}. Give certificates of authorities."
            )
        try:
            certificate = x509.load_pem_x509_certificate(pem)
            is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        # The library has exceptions of its own for what it does not read, which have nothing in common.
        except Exception:
            is_authority = False
        if not is_authority:
            raise InvalidInput(f"{option} holds a certificate that is not one of an authority.")
        certificates.append(certificate)
    return certificates


def load_certificate(raw: bytes) -> Certificate:
    """Return the certificate that ``raw``, DER, holds. Raises ProtocolError."""
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(raw)
        # The library looks at these when they are first asked for.
        certificate.public_key()
        list(certificate.extensions)
        return certificate
    # An extension that is there twice, or an unknown version, has an exception of its own, derived from nothing else.
    except Exception as error:
        raise ProtocolError(f"its certificate cannot be read: {printable(error, 200)}") from None


def check_chain(
    certificate: Certificate,
    intermediates: t.Sequence[Certificate],
    authorities: t.Sequence[Certificate],
    moment: datetime.datetime,
) -> None:
    """Raise ProtocolError unless the certificate is for code signing and leads to one of ``authorities``.

    ``intermediates`` may stand in between. All certificates of the chain have to be valid at ``moment``.
    """
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID
    from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store

    def is_authority(_policy: t.Any, _certificate: t.Any, constraints: x509.BasicConstraints) -> None:
        if not constraints.ca:
            raise ValueError("it is not one of an authority")

    def may_sign_certificates(_policy: t.Any, _certificate: t.Any, usage: x509.KeyUsage | None) -> None:
        if usage is not None and not usage.key_cert_sign:
            raise ValueError("an authority may not sign certificates")

    def may_sign(_policy: t.Any, _certificate: t.Any, usage: x509.KeyUsage | None) -> None:
        if usage is not None and not usage.digital_signature:
            raise ValueError("it is not for signatures")

    def for_code(_policy: t.Any, _certificate: t.Any, usages: x509.ExtendedKeyUsage) -> None:
        if ExtendedKeyUsageOID.CODE_SIGNING not in usages:
            raise ValueError("it is not for code signing")

    def may_be_for_code(_policy: t.Any, _certificate: t.Any, usages: x509.ExtendedKeyUsage | None) -> None:
        if usages is not None:
            allowed = {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
            if not allowed.intersection(usages):
                raise ValueError("an authority is not for code signing")

    either = Criticality.AGNOSTIC
    for_authorities = (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, either, is_authority)
        .may_be_present(x509.KeyUsage, either, may_sign_certificates)
        .may_be_present(x509.ExtendedKeyUsage, either, may_be_for_code)
    )
    for_signers = (
        ExtensionPolicy.permit_all()
        .require_present(x509.SubjectAlternativeName, either, None)
        .require_present(x509.ExtendedKeyUsage, either, for_code)
        .may_be_present(x509.KeyUsage, either, may_sign)
    )
    verifier = (
        PolicyBuilder()
        .store(Store(list(authorities)))
        .time(moment)
        .extension_policies(ca_policy=for_authorities, ee_policy=for_signers)
        .build_client_verifier()
    )
    try:
        verifier.verify(certificate, list(intermediates))
    except Exception as error:
        raise ProtocolError(
            f"its certificate does not lead to the authority: {printable(error, 200)}"
        ) from None
