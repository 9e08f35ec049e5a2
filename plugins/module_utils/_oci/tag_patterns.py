# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Patterns over names: shell patterns, or regular expressions after ``regex:``. Both have to match the whole name.

A pattern that can match no name is refused: it was meant in another way, and would protect, delete or forbid nothing.
"""

from __future__ import annotations

import fnmatch
import re
import string
import typing as t

from .._errors import InvalidInput, printable
from .reference import trimmed

_REGEX = "regex:"
# One part of a shell pattern. A bracket that nothing closes is a character like any other.
_PART = re.compile(r"\[!?\]?[^\]]*\]|.", re.DOTALL)
_REGEX_ONLY = frozenset("^$()+\\")
_QUANTIFIER = re.compile(r".\{[0-9]+(?:,[0-9]*)?\}")
_SEPARATORS = frozenset(",|{};")
# A host such as [::1]:5000, whose brackets are those of an address.
_ADDRESS = re.compile(r"\A\[[0-9a-fA-F.]*:[0-9a-fA-F:.]*\]")


class NameKind(t.NamedTuple):
    """Names that patterns are about: the characters that they can have, and those that they can begin with."""

    noun: str
    characters: str
    first: str
    longest: int


TAGS = NameKind(
    "tag", string.ascii_letters + string.digits + "_.-", string.ascii_letters + string.digits + "_", 128
)
REPOSITORIES = NameKind(
    "repository",
    string.ascii_lowercase + string.digits + "_.-/",
    string.ascii_lowercase + string.digits,
    255,
)
# Tags, digests, and references with a host, a tag or a digest. Brackets are those of IPv6 addresses.
IMAGES = NameKind(
    "tag, digest or reference",
    string.ascii_letters + string.digits + "_.-/:@[]",
    string.ascii_letters + string.digits + "_[",
    1024,
)


def is_pattern(text: str) -> bool:
    """Tell whether ``text`` is a pattern and not a plain name."""
    name = text.strip()
    return name.startswith(_REGEX) or any(character in "*?[" for character in _ADDRESS.sub("", name))


class Patterns:
    """Some patterns; a name matches them when it matches one. Case counts."""

    def __init__(self, patterns: t.Iterable[str], option: str, kind: NameKind | None) -> None:
        """``option`` is named in errors. ``kind`` is that of the names to be matched, None for text of any kind.

        Raises InvalidInput for a regular expression that is none, and for a pattern that can match no name.
        """
        self._patterns = [(pattern, _compiled(pattern, option, kind)) for pattern in patterns]

    def match(self, name: str) -> bool:
        """Tell whether one of the patterns matches the whole of ``name``."""
        return any(pattern.fullmatch(name) for _text, pattern in self._patterns)

    def matching(self, name: str) -> str | None:
        """Return the first pattern that matches the whole of ``name``, as it is written, or None."""
        return next((text for text, pattern in self._patterns if pattern.fullmatch(name)), None)


def regex(text: str, name: str) -> t.Pattern[str]:
    """Return the regular expression ``text``. Raises InvalidInput, which calls it ``name``."""
    try:
        return re.compile(text)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"{name} is not a regular expression: {printable(error)}.") from None


def misread(text: str, kind: NameKind) -> str | None:
    """Return what is wrong with the shell pattern or plain name ``text``, and what to write; None for nothing.

    Wrong is what no name of ``kind`` can match, and what a shell reads in another way than its author.
    """
    if not text:
        return "it is empty. Leave it out"
    parts = _PART.findall(_ADDRESS.sub("x", text))
    characters = {part for part in parts if len(part) == 1}.difference("*?", kind.characters)
    if not characters.isdisjoint(_REGEX_ONLY) or _QUANTIFIER.search(text):
        special = characters & _REGEX_ONLY or characters
        return f"only a regular expression has {_shown(special)}. Write regex:{printable(text)}"
    if not characters.isdisjoint(_SEPARATORS) or any(map(str.isspace, characters)):
        return f"no {kind.noun} has {_shown(characters)}. Write one entry for each {kind.noun}"
    if any(part.startswith("[^") for part in parts):
        return f"a shell pattern excludes characters with '!'. Write {printable(text.replace('[^', '[!'))}"
    if characters:
        advice = "Write the tag alone" if kind is TAGS and characters <= set("/:@") else "Leave it out"
        if all(map(str.isupper, characters)):
            advice = "Write it in lower case"
        return f"no {kind.noun} has {_shown(characters)}. {advice}"
    for part in parts:
        if part not in ("*", "?") and len(part) > 1 and not _matches_any(part, kind.characters):
            return f"no {kind.noun} has what {printable(part)} stands for. Leave it out"
    if parts[0] not in ("*", "?") and not _matches_any(parts[0], kind.first):
        advice = f"Write regex:{printable(text)} if this is a regular expression"
        return f"no {kind.noun} begins with {printable(parts[0])!r}. {advice}"
    if len(parts) - parts.count("*") > kind.longest:
        return f"no {kind.noun} is longer than {kind.longest} characters. Write a shorter one"
    return None


def _compiled(pattern: str, option: str, kind: NameKind | None) -> t.Pattern[str]:
    text = trimmed(pattern) if kind else pattern
    if text.startswith(_REGEX):
        return regex(_expression(text, option, kind), f"{printable(text)!r} in {option}")
    problem = misread(text, kind) if kind else None
    if problem and kind:
        raise InvalidInput(
            f"The pattern {printable(text)!r} in {option} can match no {kind.noun}: {problem}."
        )
    glob = _ADDRESS.sub(lambda address: f"[[]{address.group()[1:]}", text) if kind else text
    return regex(fnmatch.translate(glob), f"{printable(text)!r} in {option}")


def _expression(text: str, option: str, kind: NameKind | None) -> str:
    """Return what stands after ``regex:``. Raises InvalidInput for what is empty or has blanks, which no name has."""
    expression = text[len(_REGEX) :]
    if kind is None:
        return expression
    expression = trimmed(expression)
    if not expression or re.search(r"\s", expression):
        problem = "no name has blanks. Leave them out" if expression else "it is empty"
        raise InvalidInput(
            f"The pattern {printable(text)!r} in {option} can match no {kind.noun}: {problem}."
        )
    return expression


def _matches_any(part: str, characters: str) -> bool:
    """Tell whether a part of a shell pattern stands for one of ``characters``."""
    try:
        compiled = re.compile(fnmatch.translate(part))
    except re.error:
        # A range from a higher to a lower character, before Python 3.12.
        return False
    return any(compiled.fullmatch(character) for character in characters)


def _shown(characters: t.Iterable[str]) -> str:
    shown = ["a blank" if character.isspace() else repr(character) for character in sorted(characters)]
    return " and ".join(dict.fromkeys(shown))
