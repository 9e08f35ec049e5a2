# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What has changed between two looks at the tags of a repository. Without HTTP and disk."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._oci.reference import Reference
from .._oci.tag_patterns import TAGS, Patterns, is_pattern

APPEARED, MOVED, VANISHED = "appeared", "moved", "vanished"


class WatchedTags:
    """The tags that are watched: some by their names, others by patterns."""

    def __init__(self, entries: t.Sequence[str], option: str) -> None:
        """``entries`` are names and patterns, from the option ``option``. Raises InvalidInput for a pattern that is none."""
        self.names = frozenset(entry.strip() for entry in entries if not is_pattern(entry))
        self.patterns = frozenset(entry.strip() for entry in entries if is_pattern(entry))
        self._option = option
        self._matching = Patterns(entries, option, TAGS)

    def match(self, tag: str) -> bool:
        """Tell whether ``tag`` is watched."""
        return self._matching.match(tag)

    def matched_by(self, patterns: t.Iterable[str], tag: str) -> bool:
        """Tell whether one of ``patterns``, which are some of those of this object, matches ``tag``."""
        return Patterns(sorted(patterns), self._option, TAGS).match(tag)


@dataclass(frozen=True)
class Snapshot:
    """What is known of the tags of one repository.

    ``digests`` has the digest of each tag that was read, None for one that was confirmed not to exist. ``unread`` are tags
    that were listed but could not be read. ``listed`` are the patterns whose tags were listed, as opposed to those that
    nothing is known of.
    """

    digests: t.Mapping[str, str | None] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    listed: frozenset[str] = frozenset()


class Change(t.NamedTuple):
    """One change of a tag: ``kind`` is one of APPEARED, MOVED and VANISHED; a digest is None where there is no image."""

    kind: str
    tag: str
    digest: str | None
    previous_digest: str | None

    def event(self, repository: Reference) -> dict[str, str | None]:
        """Return the change as an event about a tag of ``repository``."""
        return {
            "change": self.kind,
            "registry": repository.registry,
            "repository": repository.repository,
            "tag": self.tag,
            "image": str(repository.with_tag(self.tag)),
            "digest": self.digest,
            "previous_digest": self.previous_digest,
            "reference": repository.pinned(self.digest) if self.digest else None,
        }


def compare(known: Snapshot, seen: Snapshot, tags: WatchedTags) -> tuple[list[Change], Snapshot]:
    """Return the changes between what is known and what was seen now, and what is known after that.

    Nothing follows from a tag that was not read now: it keeps its digest. A tag that is read for the first time changed only
    if a list that should have had it was read before. Tags and patterns that are no longer among ``tags`` are forgotten.
    """
    listed = known.listed & tags.patterns
    changes = []
    digests = {tag: digest for tag, digest in known.digests.items() if tags.match(tag)}
    for tag, digest in sorted(seen.digests.items()):
        previous = digests.get(tag)
        if tag in digests:
            if digest != previous:
                kind = APPEARED if previous is None else VANISHED if digest is None else MOVED
                changes.append(Change(kind, tag, digest, previous))
        elif digest and tag not in known.unread and tags.matched_by(listed, tag):
            changes.append(Change(APPEARED, tag, digest, None))
        digests[tag] = digest
    # A tag that is watched by a pattern is new when it is listed again.
    kept = {tag: digest for tag, digest in digests.items() if digest or tag in tags.names}
    new = {tag for tag in seen.unread if tag not in kept and not tags.matched_by(listed, tag)}
    unread = {tag for tag in known.unread | new if tag not in seen.digests and tags.match(tag)}
    return changes, Snapshot(kept, frozenset(unread), listed | (seen.listed & tags.patterns))
