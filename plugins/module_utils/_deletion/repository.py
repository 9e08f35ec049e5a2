# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The deletion of a whole repository: everything is read first, and what names a digest goes before what it names."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._errors import RegistryError, Unsupported
from .._oci.content import Manifest
from .._parallel import map_concurrent
from .._registry.client import RegistryClient
from .tags import check_deletable, poll, try_delete


@dataclass
class Entry:
    """One manifest: its tags, the entries that name its digest, and what is left of it.

    An index names its children, a referrer names its subject. ``left`` holds the tags that were not removed yet.
    """

    manifest: Manifest
    tags: list[str]
    left: set[str]
    named_by: list[Entry] = field(default_factory=list)
    deleted: bool = False

    @property
    def digest(self) -> str:
        return self.manifest.digest

    @property
    def stranded(self) -> bool:
        """Whether it is still there although nothing leads to it any more: a later run would not find it."""
        return not self.deleted and not self.left and all(one.deleted for one in self.named_by)

    def to_dict(self, check_mode: bool) -> dict[str, t.Any]:
        return {
            "digest": self.digest,
            "media_type": self.manifest.media_type,
            "size": len(self.manifest.raw),
            "tags": self.tags,
            "deleted": check_mode or self.deleted,
        }


class Removal:
    """The removal of one repository. Making it reads all that there is and changes nothing."""

    def __init__(
        self, client: RegistryClient, repository: str, digests: t.Sequence[str], concurrency: int
    ) -> None:
        """``digests`` are manifests to be removed besides those that tags lead to; absent ones need nothing.

        Raises the error of the first manifest that cannot be read.
        """
        self._client = client
        self._repository = repository
        self._concurrency = concurrency
        self._tags_first = False
        page = client.tags(repository)
        self.tags = self._resolve(page.names if page else [])
        self._dangling = {tag for tag, digest in self.tags.items() if digest is None}
        self.entries = _ordered(self._read(digests))

    @property
    def left(self) -> set[str]:
        """The tags that were not removed."""
        return self._dangling.union(*(entry.left for entry in self.entries))

    @property
    def changed(self) -> bool:
        """Whether anything was deleted."""
        return any(entry.deleted for entry in self.entries) or len(self.left) < len(self.tags)

    def run(self) -> None:
        """Delete everything, and see that it is gone.

        One request after another: distribution 2.8 looks through all tags at each deletion. After a failure only
        what would be out of reach of a later run is tried still. Raises Unsupported where the registry does not allow
        deletion; nothing is changed then.
        """
        if not self.entries and not self.tags:
            return
        check_deletable(self._client, self._repository)
        failure: RegistryError | None = None
        for entry in self.entries:
            if failure and not (entry.named_by and entry.stranded):
                continue
            try:
                self._delete(entry)
            except RegistryError as error:
                failure = failure or error
        if failure:
            failure.args = (f"{failure} {self._progress()}",)
            raise failure
        self._dangling = {tag for tag in self._dangling if self._refusal(tag)}
        self._check_gone()

    def keeps_blobs(self) -> bool:
        """Tell whether the registry keeps the blobs of deleted manifests, until its garbage collection.

        No API tells, but a blob that is not served any more shows that they are gone.
        """
        blobs = (blob for entry in self.entries for blob in _blobs(entry.manifest))
        blob = next(blobs, None)
        try:
            return blob is None or self._client.has_blob(self._repository, blob)
        except RegistryError:
            return True

    def _progress(self) -> str:
        deleted = sum(entry.deleted for entry in self.entries)
        stranded = [entry.digest for entry in self.entries if entry.stranded]
        hint = f", with digests set to {stranded}, which no tag leads to any more" if stranded else ""
        return f"{deleted} of {len(self.entries)} manifests were deleted: run this again to delete the rest{hint}."

    def _resolve(self, tags: t.Sequence[str]) -> dict[str, str | None]:
        found = map_concurrent(
            lambda tag: self._client.resolve(self._repository, tag), tags, self._concurrency
        )
        return {tag: one.digest if one else None for tag, one in zip(tags, found)}

    def _read(self, digests: t.Iterable[str]) -> dict[str, Entry]:
        """Fetch every manifest that tags and ``digests`` lead to, through indexes, subjects and the referrers API."""
        entries: dict[str, Entry] = {}
        seen: set[str] = set()
        wanted = {digest for digest in self.tags.values() if digest} | set(digests)
        while wanted:
            batch = sorted(wanted)
            seen |= wanted
            fetched = map_concurrent(
                lambda one: self._client.find_manifest(self._repository, one), batch, self._concurrency
            )
            # A child may have been deleted on its own: then there is nothing to be removed.
            for digest, one in zip(batch, fetched):
                if one:
                    tags = sorted(tag for tag, found in self.tags.items() if found == digest)
                    entries[digest] = Entry(one.manifest, tags, set(tags))
            present = [digest for digest in batch if digest in entries]
            found = self._referrers(present)
            found.update(name for digest in present for name in _names(entries[digest].manifest))
            wanted = found - seen
        for entry in entries.values():
            for name in _names(entry.manifest):
                if name in entries:
                    entries[name].named_by.append(entry)
        return entries

    def _referrers(self, digests: t.Sequence[str]) -> set[str]:
        """Ask the referrers API, if there is one. Without it referrers are under tags (distribution-spec, same title)."""
        first = self._client.referrers(self._repository, digests[0]) if digests else None
        if first is None:
            return set()
        others = map_concurrent(
            lambda one: self._client.referrers(self._repository, one), digests[1:], self._concurrency
        )
        return {one.digest for listed in (first, *others) for one in listed or []}

    def _delete(self, entry: Entry) -> None:
        if self._tags_first:
            self._untag(entry)
        error = self._refusal(entry.digest)
        if error and entry.left and self._untag(entry):
            # GCR and Docker Hub delete no manifest that is tagged.
            error = self._refusal(entry.digest)
            self._tags_first = not error
        if error:
            raise error
        entry.deleted = True
        entry.left.clear()

    def _untag(self, entry: Entry) -> bool:
        """Delete the tags of ``entry`` by name, save those that moved meanwhile. Return whether that works here."""
        for tag in sorted(entry.left):
            found = self._client.resolve(self._repository, tag)
            if found and found.digest == entry.digest and self._refusal(tag):
                return False
            entry.left.discard(tag)
        return True

    def _refusal(self, reference: str) -> RegistryError | None:
        return try_delete(self._client, self._repository, reference)

    def _check_gone(self) -> None:
        """See that no tag and no manifest is left."""
        tags: list[str] = []
        digests = [entry.digest for entry in self.entries]
        for _look in poll():
            page = self._client.tags(self._repository)
            tags = page.names if page else []
            found = map_concurrent(
                lambda one: self._client.resolve(self._repository, one), digests, self._concurrency
            )
            digests = [digest for digest, one in zip(digests, found) if one]
            if not tags and not digests:
                return
        self._dangling.intersection_update(tags)
        for entry in self.entries:
            entry.left = set(tags).intersection(entry.tags)
            entry.deleted = entry.digest not in digests
        raise Unsupported(
            f"{self._repository} is not empty: the registry accepted all deletions, but still serves"
            f" {', '.join(tags + digests)}. If it deletes in the background, or if something was pushed meanwhile,"
            " run this again."
        )


def _names(manifest: Manifest) -> set[str]:
    """Return the digests of the manifests that ``manifest`` names: its children and its subject."""
    subject = [manifest.subject] if manifest.subject else []
    return {one.digest for one in [*manifest.children, *subject] if one.is_manifest}


def _blobs(manifest: Manifest) -> list[str]:
    return [one.digest for one in manifest.successors() if not one.is_manifest and not one.is_foreign]


def _ordered(entries: t.Mapping[str, Entry]) -> list[Entry]:
    """Sort so that each entry comes after all that name it, and as soon after them as can be.

    So a failure leaves few manifests behind that nothing leads to. There are no circles: a digest cannot be part of
    its own content.
    """
    waiting = {digest: len(entry.named_by) for digest, entry in entries.items()}
    ready = sorted((digest for digest, count in waiting.items() if not count), reverse=True)
    ordered = []
    while ready:
        entry = entries[ready.pop()]
        ordered.append(entry)
        for digest in sorted(_names(entry.manifest) & set(entries), reverse=True):
            waiting[digest] -= 1
            if not waiting[digest]:
                ready.append(digest)
    return ordered
