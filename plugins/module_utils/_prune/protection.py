# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The option ``protect``: what its entries name, and which tags and digests of a repository these are.

An entry that cannot be read is refused: it would protect nothing. Where an entry has two readings, it protects by both.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .._errors import InvalidInput, printable
from .._oci.reference import DOCKER_HUB, DOCKER_HUB_NAMES, is_digest, is_tag, parse, trimmed
from .._oci.tag_patterns import IMAGES, Patterns, is_pattern, misread

# What kubectl, crictl, skopeo and helm put before an image.
_SCHEME = re.compile(r"(?:docker|docker-pullable|oci|https?)://", re.IGNORECASE)
_DIGEST = re.compile(r"sha(?:256|512):[0-9a-fA-F]*\Z", re.IGNORECASE)
_ID = re.compile(r"[0-9a-fA-F]{64}\Z")
# Container engines show at least twelve digits of the ID of an image.
_SHORT_ID = re.compile(r"[0-9a-fA-F]{12,63}\Z")
_DEFAULT_PORT = re.compile(r":(?:443|80)\Z")
# Stands for the registry of references without a host, which are about all registries.
_ANY_REGISTRY = "any.invalid"


@dataclass(frozen=True)
class ProtectEntry:
    """One entry of ``protect``, as it is written in ``text``, and what it names.

    With a ``repository`` it names an image there, or all images where it has neither ``tag`` nor ``digest``; the registry
    None is any. Without one, it names what has the tag, the digest, or a digest that begins with ``prefix``, wherever that is.
    """

    text: str
    registry: str | None = None
    repository: str | None = None
    tag: str | None = None
    digest: str | None = None
    prefix: str | None = None
    pattern: Patterns | None = None

    @property
    def is_about_tags(self) -> bool:
        """Whether it is a tag, or a pattern over tags, for all repositories: not finding it there is worth a warning."""
        if self.pattern:
            return not any(character in self.text for character in "/:@")
        return self.repository is None and not self.digest and not self.prefix


def read_protect(values: t.Iterable[t.Any]) -> list[ProtectEntry]:
    """Return the entries of ``protect``. Raises InvalidInput for one that is no digest, reference, tag or pattern."""
    return [_read_entry(value) for value in values]


def unmatched_entries(matches: t.Iterable[t.Mapping[str, bool]]) -> list[str]:
    """Return the entries that match nothing in any repository, from Protection.matches() of each."""
    entries: dict[str, bool] = {}
    for repository in matches:
        for text, matched in repository.items():
            entries[text] = matched or entries.get(text, False)
    return [text for text, matched in entries.items() if not matched]


class Protection:
    """What must not be deleted of one repository, whatever the rules say."""

    def __init__(self, entries: t.Iterable[ProtectEntry], registry: str, repository: str) -> None:
        host = _canonical_host(registry)
        # An entry may have any spelling of the name; protecting too much does no harm.
        paths = [repository]
        if host == DOCKER_HUB and repository.startswith("library/"):
            paths.append(repository[len("library/") :])
        hosts = (host, f"{host}:443", f"{host}:80")
        self._names = [*paths, *(f"{name}/{path}" for name in hosts for path in paths)]
        self._paths = paths
        self._whole: ProtectEntry | None = None
        self._tags: dict[str, ProtectEntry] = {}
        self._digests: dict[str, ProtectEntry] = {}
        self._prefixes: list[ProtectEntry] = []
        self._patterns: list[ProtectEntry] = []
        # The entries that should match something here.
        self._expected: list[ProtectEntry] = []
        for entry in entries:
            if entry.pattern and any(map(entry.pattern.match, self._names)):
                self._whole = self._whole or entry
            is_own = entry.repository in paths and entry.registry in (None, host)
            if entry.pattern:
                self._patterns.append(entry)
            elif entry.repository is None or is_own:
                self._add(entry)
            if is_own or entry.is_about_tags:
                self._expected.append(entry)

    def _add(self, entry: ProtectEntry) -> None:
        if entry.digest:
            self._digests.setdefault(entry.digest, entry)
        if entry.prefix:
            self._prefixes.append(entry)
        # Of a reference with tag and digest, the digest decides.
        if entry.tag and not (entry.repository and entry.digest):
            self._tags.setdefault(entry.tag, entry)
        if self._is_whole(entry):
            self._whole = self._whole or entry

    def _is_whole(self, entry: ProtectEntry) -> bool:
        """Tell whether an entry is the name of the repository alone."""
        if entry.repository is None:
            return entry.tag in self._paths
        return not (entry.tag or entry.digest)

    def why_tag(self, tag: str) -> str | None:
        """Return the reason why a tag is protected by its name, or None."""
        entry = self._tags.get(tag) or self._whole
        if entry is None and self._patterns:
            entry = self._matching([tag, *(f"{name}:{tag}" for name in self._names)])
        return _reason(entry)

    def why_digest(self, digest: str) -> str | None:
        """Return the reason why a digest is protected, or None. It may be that of a manifest, or the ID of an image."""
        return _reason(self._entry_of_digest(digest))

    def matches(self, tags: t.Collection[str], digests: t.Collection[str]) -> dict[str, bool]:
        """Return the entries that name this repository, or tags of any, and whether one of ``tags`` or ``digests`` is theirs.

        An entry without a match here may be misspelled, or about an image that is not here any more.
        """

        def is_matched(entry: ProtectEntry) -> bool:
            if entry.pattern:
                return any(map(entry.pattern.match, [*tags, *self._names]))
            if entry.digest:
                return entry.digest in digests
            return entry.tag in tags or self._is_whole(entry)

        return {entry.text: is_matched(entry) for entry in self._expected}

    def _entry_of_digest(self, digest: str) -> ProtectEntry | None:
        if digest in self._digests or self._whole:
            return self._digests.get(digest) or self._whole
        encoded = digest.partition(":")[2]
        for entry in self._prefixes:
            if entry.prefix and encoded.startswith(entry.prefix):
                return entry
        if not self._patterns:
            return None
        return self._matching([digest, *(f"{name}@{digest}" for name in self._names)])

    def _matching(self, names: t.Sequence[str]) -> ProtectEntry | None:
        for entry in self._patterns:
            if entry.pattern:
                for name in names:
                    if entry.pattern.match(name):
                        return entry
        return None


def _reason(entry: ProtectEntry | None) -> str | None:
    return f"protected: {entry.text}" if entry else None


def _read_entry(value: t.Any) -> ProtectEntry:
    if not isinstance(value, str):
        raise _unreadable(value, _what_else(value))
    text = trimmed(value)
    if text.startswith("#"):
        raise _unreadable(value, "it is a comment. Leave comments out")
    scheme = _SCHEME.match(text)
    name = text[scheme.end() :] if scheme else text
    if not name.startswith("regex:") and re.search(r"@.*[/.]", name):
        raise _unreadable(value, "what follows '@' is no digest. Leave credentials out")
    if is_pattern(name):
        return ProtectEntry(printable(text), pattern=Patterns([_pattern(value, name)], "protect", IMAGES))
    problem = misread(name, IMAGES)
    if problem:
        raise _unreadable(value, problem)
    if _DIGEST.match(name) or (_ID.match(name) and not scheme):
        return _digest_entry(value, name, text)
    if not any(character in name for character in "/:@"):
        return _plain_entry(value, name, text, bool(scheme))
    base, at, digest = name.partition("@")
    try:
        reference = parse(base + at + digest.lower(), _ANY_REGISTRY)
    except InvalidInput as error:
        raise _unreadable(value, str(error).rstrip(".")) from None
    host = None if reference.registry == _ANY_REGISTRY else _canonical_host(reference.registry)
    return ProtectEntry(printable(text), host, reference.repository, reference.tag, reference.digest)


def _digest_entry(value: t.Any, name: str, text: str) -> ProtectEntry:
    digest = name.lower() if ":" in name else f"sha256:{name.lower()}"
    if not is_digest(digest):
        raise _unreadable(value, "it is a part of a digest. Write all of its digits")
    # Sixty-four digits alone may be a tag as well.
    return ProtectEntry(printable(text), digest=digest, tag=None if ":" in name else name)


def _plain_entry(value: t.Any, name: str, text: str, with_scheme: bool) -> ProtectEntry:
    """Read a name without separators: a tag, a repository, or the ID of an image."""
    if not is_tag(name):
        raise _unreadable(value, "it is neither a tag nor a repository. Write a tag, a reference or a digest")
    if with_scheme and _ID.match(name):
        raise _unreadable(value, "it is the ID of a container. Write the ID of its image, or its reference")
    return ProtectEntry(printable(text), tag=name, prefix=name.lower() if _SHORT_ID.match(name) else None)


def _pattern(value: t.Any, text: str) -> str:
    """Return a pattern over references with the spelling of hosts and digests that is theirs in Protection."""
    if text.startswith("regex:"):
        return text
    if _DIGEST.match(re.sub(r"[*?\[\]!-]", "", text)):
        return text.lower()
    name, at, digest = text.partition("@")
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    if not (slash or colon or at):
        return text
    host, slash_of_host, path = f"{head}{slash}{last}".partition("/")
    if slash_of_host:
        host = _canonical_host(host)
    if path != path.lower() or host != host.lower():
        raise _unreadable(value, "names of repositories are lower case. Write it in lower case")
    # Where there is a digest, it decides and not the tag.
    return f"{host}{slash_of_host}{path}" + (f"@{digest.lower()}" if at else f"{colon}{tag}")


def _canonical_host(host: str) -> str:
    """Return the one spelling of a registry's host that stands for all: lower case, without the port that it has anyway."""
    name = _DEFAULT_PORT.sub("", host.lower())
    return DOCKER_HUB if name in DOCKER_HUB_NAMES else name


def _what_else(value: t.Any) -> str:
    if isinstance(value, bool) or value is None:
        return "it is no text. Quote it"
    if isinstance(value, (int, float)):
        return "it is a number, which YAML may have changed. Quote it"
    if isinstance(value, t.Mapping):
        return "it is a dictionary. Write the image in it, for example with map(attribute='image')"
    return "it is no text. Write one entry for each image"


def _unreadable(value: t.Any, problem: str) -> InvalidInput:
    shown = printable(value, 80)
    base, at, rest = shown.rpartition("@")
    if at and not re.match(r"(?:sha[0-9]+:)?[0-9a-f]*\Z", rest, re.IGNORECASE):
        # Before it somebody may have written a password.
        shown = f"…@{rest}"
    return InvalidInput(f"The entry {shown!r} of protect names no image: {problem}.")
