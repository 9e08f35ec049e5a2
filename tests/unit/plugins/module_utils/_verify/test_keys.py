# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Public keys: those that are strong enough, and only public ones."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, LocalStorageError
from ansible_collections.ocikit.registry.plugins.module_utils._verify.keys import (
    PublicKey,
    pem_blocks,
    read_keys,
    read_text,
)

MESSAGE = b"message"
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()


def pem(key: t.Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_key().public_bytes(serialization.Encoding.PEM, form), "ascii")


def signatures() -> dict[str, tuple[t.Any, bytes]]:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    large = ec.generate_private_key(ec.SECP384R1())
    return {
        "P-256": (EC, EC.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))),
        "P-384 with its own hash": (large, large.sign(MESSAGE, ec.ECDSA(hashes.SHA384()))),
        "P-384 as cosign 2": (large, large.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))),
        "RSA PKCS 1": (RSA, RSA.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())),
        "RSA PSS": (RSA, RSA.sign(MESSAGE, pss, hashes.SHA256())),
        "Ed25519": (ED, ED.sign(MESSAGE)),
    }


@pytest.mark.parametrize("name", signatures())
def test_a_key_verifies_its_own_signatures_only(name: str) -> None:
    key, signature = signatures()[name]
    public = PublicKey(key.public_key())
    assert public.verifies(MESSAGE, signature)
    assert not public.verifies(MESSAGE + b" ", signature)
    assert not public.verifies(MESSAGE, signature[:-1])
    assert not public.verifies(MESSAGE, b"")
    other = ec.generate_private_key(ec.SECP256R1())
    assert not PublicKey(other.public_key()).verifies(MESSAGE, signature)


def test_keys_are_read_from_text_files_and_lists(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(pem(EC) + pem(RSA))
    keys = read_keys([str(path), pem(ED)], "key")
    assert [key.pem.decode() for key in keys] == [pem(EC), pem(RSA), pem(ED)]
    assert len({str(key) for key in keys}) == 3


def private(key: t.Any) -> str:
    form = serialization.PrivateFormat.PKCS8
    return str(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()), "ascii")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (private(EC), "key holds a private key. Give the public key."),
        (pem(rsa.generate_private_key(65537, 1024)), "RSA keys of 1024 bits are too short"),
        (pem(ec.generate_private_key(ec.SECP192R1())), "keys on the curve secp192r1 are not supported"),
        (pem(dsa.generate_private_key(2048)), "keys of its kind are not supported"),
        (pem(EC).replace("A", "B"), "key holds no public key that can be read"),
        (pem(EC).partition("-----END")[0], "key holds no public key: it is not PEM"),
        ([], "key names no key"),
        ("", "key must be text, or the path of a file"),
        ([7], "key must be text, or the path of a file"),
    ],
)
def test_what_is_refused(value: t.Any, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        read_keys(value, "key")


def test_files(tmp_path: pathlib.Path) -> None:
    with pytest.raises(LocalStorageError, match="no-such.pem"):
        read_keys(str(tmp_path / "no-such.pem"), "key")
    (tmp_path / "x").write_text("letters")
    with pytest.raises(InvalidInput, match=f"holds no certificate: {tmp_path}/x is not PEM"):
        pem_blocks(str(tmp_path / "x"), "key", "certificate")
    assert read_text(f" {tmp_path}/x ", "key", "-----BEGIN ") == "letters"
