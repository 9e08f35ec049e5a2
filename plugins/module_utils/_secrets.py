# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The secrets of one task, and their removal from texts that others wrote."""

from __future__ import annotations

import base64
import html
import re
import sys
import typing as t

MASK = "********"
# What is shorter occurs in digests, tags and sentences: masking it would hide these.
SHORTEST_SECRET = 4
# As much of a text is looked at; what is shown is much shorter.
_TEXT_LIMIT = 1 << 16
_DECODINGS = 3
_LONGEST_ENCODED = 1024
_SHORTEST_ENCODED = 6
_DIGEST = re.compile(r"@sha[0-9]+:[0-9a-zA-Z]*\Z")
_JSON_ESCAPE = re.compile(
    r"""\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\U00[01][0-9a-fA-F]{5}|\\["'/bfnrt\\]"""
    r"""|\\x[0-9a-fA-F]{2}"""
)
# What repr() writes of bytes, of which several may be one character.
_BYTES_ESCAPE = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")
_PERCENT_ESCAPE = re.compile(r"(?:%[0-9a-fA-F]{2})+|\+")
_HTML_ESCAPE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,6});")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Secrets:
    """What must not be shown. Safe for threads: secrets are only ever added."""

    def __init__(self) -> None:
        self._texts: set[str] = set()

    def add(self, *texts: str) -> None:
        """Remember secrets of four characters and more. Shorter ones are not masked."""
        self._texts.update(text for text in texts if len(text) >= SHORTEST_SECRET)

    def __iter__(self) -> t.Iterator[str]:
        return iter(tuple(self._texts))

    def occur_in(self, values: t.Iterable[object]) -> bool:
        """Tell whether the text of one of ``values`` has a secret in it."""
        secrets = tuple(self._texts)
        return bool(secrets) and any(secret in str(value) for value in values for secret in secrets)

    def mask(self, text: str) -> str:
        """Return ``text`` without the secrets, as they are and as JSON, URLs, HTML, ``repr()`` and base64 write them.

        To be done before ``text`` is cut: half a secret is not recognised. More than 64 Ki characters are cut here.
        """
        spellings = [spelling for secret in self for spelling in _spellings(secret)]
        if not spellings:
            return text[:_TEXT_LIMIT]
        longest = max(map(len, spellings))
        # A spelling in escapes is longer than the secret; six characters stand for one.
        view = _View.of(text[: _TEXT_LIMIT + 6 * longest])
        hidden = sorted(span for decoded in view.decoded() for span in decoded.find(spellings))
        shown, position = [], 0
        for start, end in hidden:
            if start >= _TEXT_LIMIT:
                break
            if start >= position:
                shown += [text[position:start], MASK]
            position = max(position, end)
        return "".join([*shown, text[position:_TEXT_LIMIT]])


def userinfo_secrets(value: t.Any) -> t.Iterator[str]:
    """Yield the passwords that texts in ``value`` have before a host (``user:password@host``), in every list and dictionary."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from userinfo_secrets(item)
    elif isinstance(value, str):
        # A list may be written as one text with commas, which a password may have as well.
        words = value.split()
        parts = [part for word in words for part in word.split(",")]
        for word in dict.fromkeys([*words, *parts]):
            place = _DIGEST.sub("", word.rpartition("://")[2])
            userinfo = place.rpartition("@")[0]
            password = userinfo.partition(":")[2]
            # One that is short is masked with what stands around it: by itself it occurs anywhere.
            if password:
                yield password if len(password) >= SHORTEST_SECRET else f"{userinfo}@"


class _View(t.NamedTuple):
    """A text with some of its escapes decoded, and where each of its characters begins and ends in the original."""

    text: str
    starts: t.Sequence[int]
    ends: t.Sequence[int]

    @classmethod
    def of(cls, text: str) -> _View:
        return cls(text, range(len(text)), range(1, len(text) + 1))

    def decoded(self) -> list[_View]:
        """Return this view and all others that decoding it one way after another leads to."""
        views, latest = {self.text: self}, [self]
        for _level in range(_DECODINGS):
            following = [
                view.replace(pattern, decode) for view in latest for pattern, decode in _DECODERS.items()
            ]
            latest = list({view.text: view for view in following if view.text not in views}.values())
            views.update((view.text, view) for view in latest)
        return list(views.values())

    def replace(self, pattern: re.Pattern[str], decode: t.Callable[[str], str]) -> _View:
        texts: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        position = 0
        for match in pattern.finditer(self.text):
            begin, end = match.span()
            character = decode(match.group())
            texts += [self.text[position:begin], character]
            starts += [*self.starts[position:begin], *[self.starts[begin]] * len(character)]
            ends += [*self.ends[position:begin], *[self.ends[end - 1]] * len(character)]
            position = end
        texts.append(self.text[position:])
        return _View("".join(texts), [*starts, *self.starts[position:]], [*ends, *self.ends[position:]])

    def find(self, spellings: t.Iterable[str]) -> t.Iterator[tuple[int, int]]:
        """Yield where any of ``spellings`` is in the original."""
        for spelling in spellings:
            position = self.text.find(spelling)
            while position >= 0:
                end = position + len(spelling)
                yield self.starts[position], self.ends[end - 1]
                position = self.text.find(spelling, end)


def _spellings(secret: str) -> t.Iterator[str]:
    """Yield ``secret``, and what is the same in base64 whatever stands before and behind it."""
    yield secret
    if len(secret) > _LONGEST_ENCODED:
        return
    raw = secret.encode("utf-8", "surrogateescape")
    if not secret.isascii():
        # What servers show that take the bytes for Latin-1, as HTTP headers were defined, or for damaged UTF-8.
        yield raw.decode("latin-1")
        yield raw.decode("utf-8", "replace")
    for before in range(3):
        # Whole characters of base64 only: those at the ends depend on the neighbours.
        first, last = -(-8 * before // 6), 8 * (before + len(raw)) // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(bytes(before) + raw).decode()[first:last]
            if len(encoded) >= _SHORTEST_ENCODED:
                yield encoded


def _from_json(escape: str) -> str:
    """Decode one escape of JSON or ``repr()``; text that was encoded several times is decoded several times."""
    kind = escape[1]
    if kind == "u":
        codes = [int(code, 16) for code in escape.split("\\u")[1:]]
        return b"".join(code.to_bytes(2, "big") for code in codes).decode("utf-16-be", "replace")
    if kind in "Ux":
        code = int(escape[2:], 16)
        return chr(code) if code <= sys.maxunicode else escape
    return _LETTERS.get(kind, kind)


def _from_repr_of_bytes(escape: str) -> str:
    return _from_bytes(bytes.fromhex(escape.replace("\\x", "")))


def _from_percent(escape: str) -> str:
    return " " if escape == "+" else _from_bytes(bytes.fromhex(escape.replace("%", "")))


def _from_bytes(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


_DECODERS: dict[re.Pattern[str], t.Callable[[str], str]] = {
    _JSON_ESCAPE: _from_json,
    _BYTES_ESCAPE: _from_repr_of_bytes,
    _PERCENT_ESCAPE: _from_percent,
    _HTML_ESCAPE: html.unescape,
}
