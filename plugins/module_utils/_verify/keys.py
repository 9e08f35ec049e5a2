# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Public keys as users give them, and signatures made with them. All cryptography is that of the library cryptography.

The library is imported when the first key is read: without signatures to verify it is not needed.
"""

from __future__ import annotations

import hashlib
import os
import re
import typing as t

from .._errors import InvalidInput, LibraryMissing, printable
from .._storage.files import read_file, storage_errors

if t.TYPE_CHECKING:
    from cryptography.hazmat.primitives import hashes

_FILE_LIMIT = 1 << 20
_LEAST_RSA_BITS = 2048
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----.*?-----END \1-----", re.DOTALL)
_PEM_START = "-----BEGIN "
_PUBLIC = frozenset(("PUBLIC KEY", "RSA PUBLIC KEY"))


class PublicKey:
    """One public key: ECDSA on P-256, P-384 or P-521, RSA of 2048 bits or more, or Ed25519."""

    def __init__(self, key: t.Any) -> None:
        """``key`` is one of the library. Raises InvalidInput for a key of another kind or size."""
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

        self._key = key
        self._hashes: list[hashes.HashAlgorithm] = []
        if isinstance(key, ec.EllipticCurvePublicKey):
            by_curve: dict[str, hashes.HashAlgorithm] = {
                "secp256r1": hashes.SHA256(),
                "secp384r1": hashes.SHA384(),
                "secp521r1": hashes.SHA512(),
            }
            if key.curve.name not in by_curve:
                raise InvalidInput(f"keys on the curve {key.curve.name} are not supported. Use P-256.")
            # Bundles use the hash that belongs to the curve, cosign 2 uses SHA-256 for every curve.
            self._hashes = [by_curve[key.curve.name], hashes.SHA256()]
        elif isinstance(key, rsa.RSAPublicKey):
            if key.key_size < _LEAST_RSA_BITS:
                raise InvalidInput(
                    f"RSA keys of {key.key_size} bits are too short. Use {_LEAST_RSA_BITS} bits or more."
                )
        elif not isinstance(key, ed25519.Ed25519PublicKey):
            raise InvalidInput("keys of its kind are not supported. Use ECDSA, RSA or Ed25519.")
        self.pem: bytes = key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.fingerprint = hashlib.sha256(der).hexdigest()

    def __str__(self) -> str:
        return f"SHA256:{self.fingerprint[:16]}"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Tell whether ``signature`` is one of ``message`` by this key.

        ECDSA signatures are DER encoded. RSA signatures use PKCS #1 v1.5 or PSS, with SHA-256.
        """
        from cryptography.exceptions import InvalidSignature

        for attempt in self._attempts():
            try:
                attempt(signature, message)
                return True
            except (InvalidSignature, ValueError):
                continue
        return False

    def _attempts(self) -> t.Iterator[t.Callable[[bytes, bytes], object]]:
        """Yield functions that raise unless a signature is one of a message: one for each scheme of such a key."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

        key = self._key
        if isinstance(key, ec.EllipticCurvePublicKey):
            for algorithm in self._hashes:
                yield _with(key, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
            yield _with(key, padding.PKCS1v15(), hashes.SHA256())
            yield _with(key, pss, hashes.SHA256())
        else:
            yield key.verify


def _with(key: t.Any, *scheme: t.Any) -> t.Callable[[bytes, bytes], object]:
    return lambda signature, message: key.verify(signature, message, *scheme)


def require_cryptography() -> None:
    """Raise LibraryMissing unless the library cryptography can be imported."""
    try:
        import cryptography.hazmat.primitives.serialization  # noqa: F401
    except ImportError:
        raise LibraryMissing("cryptography", "to verify signatures") from None


def read_keys(values: t.Any, option: str) -> list[PublicKey]:
    """Return the public keys in ``values``: PEM, the path of a file with PEM, or a list of these.

    Raises InvalidInput that names ``option``, LocalStorageError, and LibraryMissing.
    """
    require_cryptography()
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    keys = []
    for text in values if isinstance(values, list) else [values]:
        for kind, pem in pem_blocks(text, option, "public key"):
            if kind not in _PUBLIC:
                raise InvalidInput(f"{option} holds a {printable(kind.lower(), 40)}. Give the public key.")
            try:
                keys.append(PublicKey(load_pem_public_key(pem)))
            except InvalidInput as error:
                raise InvalidInput(f"{option} cannot be used: {error}") from None
            # The library has exceptions of its own for what it does not support, which differ from release to release.
            except Exception as error:
                raise InvalidInput(
                    f"{option} holds no public key that can be read: {printable(error, 100)}."
                ) from None
    if not keys:
        raise InvalidInput(f"{option} names no key.")
    return keys


def pem_blocks(value: t.Any, option: str, content: str) -> list[tuple[str, bytes]]:
    """Return the kinds and the text of the PEM blocks in ``value``, which is PEM or the path of a file with PEM.

    ``content`` is what it should hold. Raises InvalidInput that names ``option``, and LocalStorageError.
    """
    text = read_text(value, option, _PEM_START)
    blocks = [(match.group(1), match.group(0).encode()) for match in _PEM.finditer(text)]
    if not blocks or len(blocks) != text.count(_PEM_START):
        name = "it" if _PEM_START in str(value) else printable(value, 200)
        raise InvalidInput(f"{option} holds no {content}: {name} is not PEM.")
    return blocks


def read_text(value: t.Any, option: str, start: str) -> str:
    """Return ``value`` itself if it has ``start`` in it, else the content of the file that it names.

    Raises InvalidInput that names ``option``, and LocalStorageError.
    """
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise InvalidInput(f"{option} must be text, or the path of a file.")
    if start in value:
        return value
    path = os.path.expanduser(os.path.expandvars(value.strip()))
    with storage_errors(path):
        return read_file(path, _FILE_LIMIT).decode("utf-8", "replace")
