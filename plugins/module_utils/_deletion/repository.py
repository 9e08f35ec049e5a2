# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The deletion of a whole repository: everything is read first, and what names a digest goes before what it names."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field

from .._errors import RegistryError, Unsupported
from .._oci.content import Manifest
from .._oci.graph import parents_first, walk
from .._parallel import poll
from .._registry.repository import Repository
from .digest import DigestDeleter, check_deletable
from .polling import wait_until_gone
from .removal import TagRemoval
from .tag_states import TagStates, read_tags
from .tags import TagRemover


@dataclass
class Entry:
    """One manifest: its tags, the entries that name its digest, and what is left of it.

    An index names its children, a referrer names its subject. ``left`` holds the tags that were not removed yet.
    ``uncertain`` is one whose deletion failed, and that could not be looked up after that.
    """

    manifest: Manifest
    tags: list[str]
    left: set[str]
    named_by: list[Entry] = field(default_factory=list)
    tried: bool = False
    deleted: bool = False
    uncertain: bool = False

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return self.manifest.digest

    @property
    def stranded(self) -> bool:
        """Whether it may still be there although nothing leads to it any more: a later run would not find it."""
        tagged = self.left and not self.uncertain
        named = any(not (entry.deleted or entry.uncertain) for entry in self.named_by)
        return not self.deleted and not tagged and not named

    def to_dict(self, check_mode: bool) -> dict[str, t.Any]:
        """Return the manifest as results show it; in ``check_mode`` as if it had been deleted."""
        return {
            "digest": self.digest,
            "media_type": self.manifest.media_type,
            "size": len(self.manifest.raw),
            "tags": self.tags,
            "deleted": check_mode or (None if self.uncertain else self.deleted),
        }

    def tags_deleted(self) -> dict[str, bool | None]:
        """Return for each tag whether it was deleted, None where that could not be looked up."""
        kept = None if self.uncertain else False
        return {tag: kept if tag in self.left else True for tag in self.tags}


class RepositoryRemoval:
    """The deletion of one repository: read() finds what there is, run() deletes it."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.tags: dict[str, str | None] = {}
        self.entries: list[Entry] = []
        self._dangling: set[str] = set()
        self._uncertain = False

    @property
    def left(self) -> set[str]:
        """The tags that were not removed."""
        return self._dangling.union(*(entry.left for entry in self.entries))

    def tags_deleted(self) -> dict[str, bool | None]:
        """Return for each tag whether it was deleted, None where that could not be looked up."""
        deleted: dict[str, bool | None] = {tag: tag not in self._dangling for tag in self.tags}
        for entry in self.entries:
            deleted.update(entry.tags_deleted())
        return deleted

    @property
    def stranded(self) -> list[str]:
        """The digests that a later run would not find."""
        return [entry.digest for entry in self.entries if entry.stranded]

    @property
    def changed(self) -> bool:
        """Whether anything was deleted, or may have been."""
        deleted = any(entry.deleted or entry.uncertain for entry in self.entries)
        return deleted or len(self.left) < len(self.tags)

    def read(self, digests: t.Iterable[str] = ()) -> None:
        """Fetch every manifest that tags and ``digests`` lead to, through indexes, subjects and the referrers API.

        Absent ones need nothing. Raises the error of the first that cannot be read, and ProtocolError where they lead on
        without end.
        """
        states = read_tags(self._repository, self._repository.tag_names())
        for error in states.unreadable.values():
            raise error
        self._dangling = set(states.dangling)
        self.tags = {tag: descriptor.digest for tag, descriptor in states.descriptors.items()}
        self.tags.update(dict.fromkeys(self._dangling))
        self.tags = dict(sorted(self.tags.items()))
        roots = {digest for digest in self.tags.values() if digest} | set(digests)
        manifests = _Reading(self._repository).read(sorted(roots))
        self.entries = self._entries(manifests)

    def run(self) -> None:
        """Delete everything, and see that it is gone.

        One request after another: distribution 2.8 looks through all tags at each deletion. After a failure only
        what would be out of reach of a later run is tried still. Raises Unsupported where the registry does not allow
        deletion; nothing is changed then.
        """
        if not self.entries and not self.tags:
            return
        check_deletable(self._repository)
        deleter = DigestDeleter(self._repository)
        failure: RegistryError | None = None
        for entry in self.entries:
            if failure and (self._uncertain or not (entry.named_by and entry.stranded)):
                continue
            try:
                self._delete(entry, deleter)
            except RegistryError as error:
                failure = failure or error
                self._look_up(entry)
        if failure:
            with contextlib.suppress(RegistryError):
                self._survey()
            failure.add_sentence(self._progress())
            raise failure
        self._remove_dangling()
        self._check_gone()

    def keeps_blobs(self) -> bool:
        """Tell whether the registry keeps the blobs of deleted manifests, until its garbage collection.

        No API tells, but a blob that is not served any more shows that they are gone.
        """
        blobs = (blob for entry in self.entries for blob in _blobs(entry.manifest))
        blob = next(blobs, None)
        try:
            return blob is None or self._repository.has_blob(blob)
        except RegistryError:
            return True

    def _entries(self, manifests: t.Mapping[str, Manifest]) -> list[Entry]:
        """Sort so that each comes after all that name it, and as soon after them as can be.

        So a failure leaves few manifests behind that nothing leads to.
        """
        tags: dict[str, list[str]] = {}
        for tag, digest in self.tags.items():
            tags.setdefault(digest or "", []).append(tag)
        entries = {
            digest: Entry(manifest, tags.get(digest, []), set(tags.get(digest, [])))
            for digest, manifest in manifests.items()
        }
        names = {digest: _names(manifest) & entries.keys() for digest, manifest in manifests.items()}
        for digest, named in names.items():
            for other in named:
                entries[other].named_by.append(entries[digest])
        return [entries[digest] for digest in parents_first(names)]

    def _delete(self, entry: Entry, deleter: DigestDeleter) -> None:
        entry.tried = True
        removals = [TagRemoval(tag, entry.manifest.descriptor) for tag in sorted(entry.left)]
        error = deleter.try_delete(entry.digest, removals, manifest=entry.manifest)
        if error:
            raise error
        entry.deleted = True
        entry.left.clear()

    def _look_up(self, entry: Entry) -> None:
        """Find out what a failed request has done all the same."""
        try:
            entry.deleted = not wait_until_gone(self._repository, [entry.digest])
            entry.left.intersection_update(self._repository.tag_names())
        except RegistryError:
            entry.uncertain = self._uncertain = True

    def _survey(self) -> None:
        """Read what is left, for the result."""
        tags = self._repository.tag_names()
        tried = [entry for entry in self.entries if entry.tried]
        descriptors = self._repository.map(self._repository.resolve, [entry.digest for entry in tried])
        self._note(tags, {entry.digest for entry, descriptor in zip(tried, descriptors) if not descriptor})

    def _note(self, tags: t.Collection[str], gone: t.Container[str]) -> None:
        self._dangling.intersection_update(tags)
        for entry in self.entries:
            entry.left = set(entry.tags).intersection(tags)
            entry.deleted, entry.uncertain = entry.digest in gone, False

    def _progress(self) -> str:
        deleted = sum(entry.deleted for entry in self.entries)
        uncertain = [entry.digest for entry in self.entries if entry.uncertain]
        unknown = f"; what became of {', '.join(uncertain)} could not be looked up" if uncertain else ""
        hint = (
            f", with digests set to {self.stranded}, which no tag leads to any more" if self.stranded else ""
        )
        return f"{deleted} of {len(self.entries)} manifests were deleted{unknown}: run this again to delete the rest{hint}."

    def _remove_dangling(self) -> None:
        """Remove tags whose manifests are missing. That it cannot be done is said where all is checked."""
        remover = TagRemover(self._repository, TagStates(dangling=frozenset(self._dangling)))
        removals = remover.plan(self._dangling)
        with contextlib.suppress(Unsupported):
            remover.remove(removals)
        self._dangling.difference_update(removal.tag for removal in removals if removal.method)

    def _check_gone(self) -> None:
        """See that no tag and no manifest is left."""
        tags: list[str] = []
        digests = [entry.digest for entry in self.entries]
        for _look in poll():
            tags = self._repository.tag_names()
            descriptors = self._repository.map(self._repository.resolve, digests)
            digests = [digest for digest, descriptor in zip(digests, descriptors) if descriptor]
            if not tags and not digests:
                return
        self._note(tags, {entry.digest for entry in self.entries}.difference(digests))
        raise Unsupported(
            f"{self._repository.name} is not empty: the registry accepted all deletions, but still serves or lists"
            f" {', '.join(tags + digests)}. If it deletes in the background, or if something was pushed meanwhile,"
            " run this again."
        )


class _Reading:
    """The manifests of a repository, as they are read by several threads."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._fetched: dict[str, Manifest | None] = {}
        self._manifests: dict[str, Manifest] = {}

    def read(self, roots: t.Iterable[str]) -> dict[str, Manifest]:
        """Return the manifests that ``roots`` lead to, themselves included, as far as they exist."""
        walk(roots, self._visit, self._repository.concurrency)
        return self._manifests

    def _visit(self, digest: str) -> list[str]:
        manifest = self._fetch(digest)
        # A child may have been deleted on its own: then there is nothing to be removed.
        if manifest is None:
            return []
        self._manifests[digest] = manifest
        listed = (referrer.digest for referrer in self._repository.referrers(digest) or [])
        return [*sorted(_names(manifest)), *(other for other in listed if self._refers(other, digest))]

    def _refers(self, referrer: str, digest: str) -> bool:
        """Tell whether ``digest`` is the subject of a manifest that is listed as its referrer: a listing is a hint."""
        manifest = self._fetch(referrer)
        return manifest is not None and manifest.subject is not None and manifest.subject.digest == digest

    def _fetch(self, digest: str) -> Manifest | None:
        if digest not in self._fetched:
            fetched = self._repository.find_manifest(digest)
            self._fetched[digest] = fetched.manifest if fetched else None
        return self._fetched[digest]


def _names(manifest: Manifest) -> set[str]:
    """Return the digests of the manifests that ``manifest`` names: its children and its subject."""
    subject = [manifest.subject] if manifest.subject else []
    return {descriptor.digest for descriptor in [*manifest.children, *subject] if descriptor.is_manifest}


def _blobs(manifest: Manifest) -> list[str]:
    return [
        descriptor.digest
        for descriptor in manifest.successors()
        if not descriptor.is_manifest and not descriptor.is_foreign
    ]
