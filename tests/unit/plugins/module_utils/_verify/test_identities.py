# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Identities match as a whole, and are read from certificates as Fulcio writes them."""

from __future__ import annotations

import pytest
from cryptography import x509

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._verify.identities import (
    Name,
    subject_names,
    token_issuer,
)
from tests.signing import der
from tests.signing.instance import ISSUER, Instance

INSTANCE = Instance("identities")
ISSUER_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
USER_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7")


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("jane@acme.example", "jane@acme.example", True),
        ("jane@acme.example", "jane@acme.example.evil", False),
        ("jane@acme.example", "Jane@acme.example", False),
        ("jane@acme.example", "janeXacmeYexample", False),
        ("https://a/*@refs/tags/*", "https://a/b/c@refs/tags/1", True),
        ("https://a/*@refs/tags/*", "https://a/b/c@refs/heads/1", False),
        ("*@acme.example", "jane@acme.example", True),
        ("*@acme.example", "jane@acme.example\n", False),
        ("bot[bot]@acme.example", "bot[bot]@acme.example", True),
        ("bot[bot]@acme.example", "botb@acme.example", False),
        ("a?b", "a?b", True),
        ("a?b", "aXb", False),
        ("*@refs/tags/*", "https://a/b@refs/tags/@scope/pkg@1.0", True),
        # A branch may be called as a tag or as a mail address.
        ("https://a/*@refs/tags/*", "https://a/b@refs/heads/x@refs/tags/1", False),
        ("*@acme.example", "https://evil/w.yml@refs/heads/x@acme.example", False),
        ("jane@*", "jane@evil@acme.example", True),
        ("a*a", "a", False),
        ("a*b*b", "ab", False),
        ("a*b*c", "a-b-c", True),
        ("*a*", "bab", True),
        ("regex:jane|john", "john", True),
        ("regex:jane|john", "johnny", False),
        ("regex:.*@acme[.]example", "jane@acme.example", True),
    ],
)
def test_names_match_as_a_whole(pattern: str, name: str, matches: bool) -> None:
    assert Name(pattern, "identity").match(name) is matches


@pytest.mark.parametrize(
    "pattern", ["*", "**", " * ", "*@*", "*://*", "", "regex:", "regex:.*", "regex:^.+$"]
)
def test_a_name_that_everybody_has_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="is met by everything"):
        Name(pattern, "identity")


def test_a_long_name_of_others_takes_no_long_time() -> None:
    """The pattern would be tried at each place for each ``*`` otherwise: some 10^20 steps."""
    assert not Name("https://*/*/*/*@refs/*/*/*x", "identity").match("https://" + "/" * 100_000 + "@refs/")
    assert not Name("regex:(a|a)*b", "identity").match("a" * 100_000)


@pytest.mark.parametrize(
    ("identity", "names"),
    [
        ("jane@acme.example", ["jane@acme.example"]),
        ("https://acme.example/a@b", ["https://acme.example/a@b"]),
        (x509.OtherName(USER_NAME, der.encode(0x0C, b"jane")), ["jane"]),
        (x509.OtherName(USER_NAME, der.encode(0x0C, b"j" * 300)), ["j" * 300]),
        (x509.OtherName(USER_NAME, der.encode(0x0C, b"\xff")), []),
        (x509.OtherName(USER_NAME, der.encode(0x04, b"jane")), []),
        (x509.OtherName(x509.ObjectIdentifier("1.2.3"), der.encode(0x0C, b"jane")), []),
        (x509.DNSName("acme.example"), []),
    ],
)
def test_the_names_in_a_certificate(identity: x509.GeneralName | str, names: list[str]) -> None:
    assert subject_names(INSTANCE.signer(identity=identity).certificate) == (names, 1)


def test_the_issuer_in_a_certificate() -> None:
    assert token_issuer(INSTANCE.signer().certificate) == ISSUER
    assert token_issuer(INSTANCE.signer(issuer=None, old_issuer="old").certificate) == "old"
    # The newer extension decides where there are both.
    assert token_issuer(INSTANCE.signer(old_issuer="old").certificate) == ISSUER
    assert token_issuer(INSTANCE.signer(issuer=None).certificate) is None
    for value in (b"", b"\x0c", b"\x0c\x05abc", b"\x0c\x03abcd", b"\x0c\x80abc", b"\x0c\x01\xff", b"plain"):
        extension = (x509.UnrecognizedExtension(ISSUER_OID, value), False)
        made = INSTANCE.signer(issuer=None, old_issuer="old", extensions=[extension])
        assert token_issuer(made.certificate) is None, value
