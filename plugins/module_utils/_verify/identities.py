# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The identity in a certificate: its subject alternative names, and the issuer of the token that it was given for."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._errors import InvalidInput, ProtocolError, printable
from .._oci.tag_patterns import regex

if t.TYPE_CHECKING:
    from cryptography.x509 import Certificate

_REGEX = "regex:"
# Fulcio's OIDs (fulcio/docs/oid-info.md): the issuer as a DER string, the issuer as bare bytes, and a user name.
_ISSUER = "1.3.6.1.4.1.57264.1.8"
_OLD_ISSUER = "1.3.6.1.4.1.57264.1.1"
_USER_NAME = "1.3.6.1.4.1.57264.1.7"
_UTF8_STRING = 0x0C
# Regular expressions may take long for long names, and certificates of anyone are read. Fulcio's names are shorter.
_LONGEST = 2048


class Name:
    """A name that must be matched as a whole. ``*`` stands for any characters, all others for themselves.

    A ``*`` in front of an ``@`` does not stand for an ``@``: whoever may push a branch called ``x@refs/tags/1`` would pass for
    a tag, and a branch called ``x@acme.example`` for a mail address. A regular expression stands after ``regex:``. Brackets are
    no pattern: bots have them in their names.
    """

    def __init__(self, text: str, option: str) -> None:
        """Raises InvalidInput that names ``option``."""
        self.text = text
        expression = text[len(_REGEX) :] if text.startswith(_REGEX) else None
        self._expression = (
            None if expression is None else regex(expression, f"{printable(text)!r} in {option}")
        )
        if not any(map(str.isalnum, text if expression is None else expression)):
            raise InvalidInput(f"{option} is met by everything: write what is required.")

    def match(self, name: str) -> bool:
        """Tell whether ``name`` is of this pattern."""
        if self._expression:
            return len(name) <= _LONGEST and self._expression.fullmatch(name) is not None
        patterns = self.text.split("@")
        parts = name.split("@", len(patterns) - 1)
        return len(parts) == len(patterns) and all(map(_matches, patterns, parts))


def _matches(pattern: str, text: str) -> bool:
    """Tell whether ``text`` is like ``pattern``, in time that grows with its length alone, whoever wrote it."""
    first, *parts = pattern.split("*")
    if not parts:
        return text == first
    *inner, last = parts
    position, end = len(first), len(text) - len(last)
    if end < position or not text.startswith(first) or not text.endswith(last):
        return False
    for part in inner:
        position = text.find(part, position, end)
        if position < 0:
            return False
        position += len(part)
    return True


@dataclass(frozen=True)
class Identity:
    """Who must have signed. ``issuer`` is the one of the token that the certificate was given for, None for any.

    ``alone`` requires that the certificate has no other name, as those of Fulcio.
    """

    name: Name
    issuer: Name | None
    alone: bool = False

    def __str__(self) -> str:
        return f"{self.name.text}{f' of {self.issuer.text}' if self.issuer else ''}"

    def check(self, certificate: Certificate) -> None:
        """Raise ProtocolError unless the certificate is that of this identity."""
        names, count = subject_names(certificate)
        if self.alone and count != 1:
            raise ProtocolError(f"its certificate has {count} names")
        if not any(map(self.name.match, names)):
            shown = printable(", ".join(names), 300) or "nobody"
            raise ProtocolError(f"it was made by {shown}")
        if self.issuer:
            issuer = token_issuer(certificate)
            if issuer is None or not self.issuer.match(issuer):
                raise ProtocolError(f"its identity is vouched for by {printable(issuer, 200)}")


def subject_names(certificate: Certificate) -> tuple[list[str], int]:
    """Return the e-mail addresses, URIs and Fulcio's user names among the subject alternative names, and how many these are."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.UnsupportedGeneralNameType, ValueError):
        return [], 0
    texts: list[str] = []
    for name in names:
        if isinstance(name, (x509.RFC822Name, x509.UniformResourceIdentifier)):
            texts.append(name.value)
        elif isinstance(name, x509.OtherName) and name.type_id.dotted_string == _USER_NAME:
            texts += [text for text in [_der_text(name.value)] if text is not None]
    return texts, len(list(names))


def token_issuer(certificate: Certificate) -> str | None:
    """Return the issuer that Fulcio wrote into a certificate, None where there is none, or one that cannot be read."""
    from cryptography import x509

    values: dict[str, bytes] = {}
    try:
        for extension in certificate.extensions:
            if isinstance(extension.value, x509.UnrecognizedExtension):
                values[extension.oid.dotted_string] = extension.value.value
    except ValueError:
        return None
    if _ISSUER in values:
        return _der_text(values[_ISSUER])
    try:
        return values[_OLD_ISSUER].decode() if _OLD_ISSUER in values else None
    except UnicodeDecodeError:
        return None


def _der_text(raw: bytes) -> str | None:
    """Return the text of a DER encoded UTF8String, None where ``raw`` is none."""
    if len(raw) < 2 or raw[0] != _UTF8_STRING:
        return None
    length, start = raw[1], 2
    if length > 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(raw[2:start], "big")
    if length == 0x80 or len(raw) != start + length:
        return None
    try:
        return raw[start:].decode()
    except UnicodeDecodeError:
        return None
