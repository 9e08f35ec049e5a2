# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The removal of tags with their images: by digest, which needs all other tags to be known."""

from __future__ import annotations

import typing as t

from .._errors import Refused, RegistryError
from .._oci.content import Descriptor, Manifest
from .._oci.digest_tags import fallback_tag
from .._oci.graph import closure, parents_first, walk
from .._registry.dropped import read_manifests
from .._registry.fallback_tag import remove_from_fallback_tag
from .._registry.repository import Guard, Repository
from .digest import DigestDeleter, check_deletable
from .polling import settle
from .removal import TagRemoval
from .tag_states import TagStates, read_tags

# So many deletions have one look at all tags before them; before each of the others only new tags are looked at.
_LOOK_EVERY = 100


class ByManifest:
    """Deletes images by their digests, with all their tags. What another tag needs is refused."""

    def __init__(self, repository: Repository, states: TagStates) -> None:
        """``states`` are those of all tags of the repository."""
        self._repository = repository
        self._states = states
        # By its digest, what a referrer that goes is about: the list of referrers there has to lose it.
        self._listed: dict[str, str] = {}
        # All tags with their digests, as they were when they were last looked at.
        self._known = {tag: descriptor.digest for tag, descriptor in states.descriptors.items()}
        self._deletions = 0
        # The digests that the registry says it has deleted.
        self.deleted: list[str] = []

    def check(self, removals: t.Sequence[TagRemoval]) -> None:
        """Raise Refused where an image has a tag that is not named, or where an index needs it. Only reads.

        A fallback tag does not need the referrers that it lists.
        """
        named = {removal.tag for removal in removals}
        uncertain = sorted({*self._states.unreadable, *self._states.dangling} - named)
        if uncertain:
            raise Refused(
                f"What {', '.join(uncertain)} points to cannot be read, so nothing is deleted by digest: it may be needed."
            )
        for removal in removals:
            unnamed = [tag for tag in removal.siblings if tag not in named]
            if unnamed:
                raise Refused(
                    f"{removal.digest} is also tagged {', '.join(unnamed)}: name these tags as well, or choose the"
                    " strategy auto, which keeps them. Nothing was changed."
                )
        for tag, digest, direct in self._needs(
            self._states.descriptors, {removal.digest for removal in removals}
        ):
            subject = self._subject(digest) if direct else None
            if subject is None or tag != fallback_tag(subject):
                raise Refused(f"{digest} is part of the index that {tag} points to: nothing was changed.")
            self._listed[digest] = subject

    def remove(self, removals: t.Sequence[TagRemoval]) -> None:
        """Delete the images of ``removals``, which check() has agreed to. An index goes before its children.

        Raises Refused where a tag moved, or needs a digest by now, and the error of a request that failed.
        """
        groups: dict[str, list[TagRemoval]] = {}
        for removal in removals:
            if removal.digest:
                groups.setdefault(removal.digest, []).append(removal)
        manifests = read_manifests(self._repository, groups)
        deleter = DigestDeleter(self._repository)
        for digest in _ordered(groups, manifests):
            group = groups[digest]
            error = deleter.try_delete(digest, group, self._guard(digest, group), manifests.get(digest))
            if error:
                settle(self._repository, removals)
                gone = ", ".join(removal.tag for removal in removals if removal.method)
                consequence = f"only these tags were removed: {gone}" if gone else "nothing was changed"
                check_deletable(self._repository, consequence)
                raise error
            self.deleted.append(digest)
            self._unlist(digest)

    def _guard(self, digest: str, group: t.Sequence[TagRemoval]) -> Guard:
        """Return a guard that raises Refused where a tag moved, or needs ``digest`` by now."""
        # At everything before a request that is repeated, too: it may have waited for long.
        everything = self._deletions % _LOOK_EVERY == 0
        self._deletions += 1

        def guard() -> None:
            nonlocal everything
            self._look_again(digest, everything)
            everything = True
            for removal in group:
                removal.unmoved(self._repository, None)()

        return guard

    def _look_again(self, digest: str, everything: bool) -> None:
        """Raise Refused where a tag that is new, or was moved, needs ``digest``."""
        names = self._repository.tag_names()
        states = read_tags(
            self._repository, names if everything else [tag for tag in names if tag not in self._known]
        )
        if states.unreadable:
            raise next(iter(states.unreadable.values()))
        news = {
            tag: descriptor
            for tag, descriptor in states.descriptors.items()
            if self._known.get(tag) != descriptor.digest
        }
        for tag, descriptor in news.items():
            if descriptor.digest == digest:
                raise Refused(f"{digest} was tagged {tag} while it was to be deleted: it is left alone.")
        for tag, needed, _direct in self._needs(news, {digest}):
            raise Refused(f"{needed} is part of the index that {tag} points to by now: it is left alone.")
        self._known.update((tag, descriptor.digest) for tag, descriptor in news.items())

    def _needs(
        self, tags: t.Mapping[str, Descriptor], digests: t.Collection[str | None]
    ) -> t.Iterator[tuple[str, str, bool]]:
        """Yield the tags of other indexes that have one of ``digests`` in them, that digest, and whether it is right in it."""
        roots = {
            tag: descriptor.digest
            for tag, descriptor in tags.items()
            if descriptor.may_be_index and descriptor.digest not in digests
        }
        children: dict[str, list[str]] = {}

        def visit(index: str) -> list[str]:
            fetched = self._repository.find_manifest(index)
            entries = fetched.manifest.children if fetched else []
            children[index] = [child.digest for child in entries]
            return [child.digest for child in entries if child.may_be_index and child.digest not in digests]

        walk(dict.fromkeys(roots.values()), visit, self._repository.concurrency)
        for tag, root in roots.items():
            for index in sorted(closure([root], children) & children.keys()):
                for child in children[index]:
                    if child in digests:
                        yield tag, child, index == root

    def _subject(self, digest: str) -> str | None:
        fetched = self._repository.find_manifest(digest)
        return fetched.manifest.subject.digest if fetched and fetched.manifest.subject else None

    def _unlist(self, digest: str) -> None:
        """Take a deleted referrer off the fallback tag that lists it (distribution-spec, "Deleting Manifests").

        Not before: a signature that still exists has to be found.
        """
        subject = self._listed.get(digest)
        if subject is None:
            return
        try:
            remove_from_fallback_tag(self._repository, subject, digest)
        except RegistryError as error:
            error.replace_message(
                f"{digest} was deleted, but {fallback_tag(subject)} lists it still: {error}"
            )
            raise


def _ordered(digests: t.Iterable[str], manifests: t.Mapping[str, Manifest]) -> list[str]:
    """Sort so that an index comes before its children, and a referrer before its subject: some registries insist."""
    names: dict[str, list[str]] = {}
    for digest in digests:
        manifest = manifests.get(digest)
        subject = [manifest.subject] if manifest and manifest.subject else []
        names[digest] = [child.digest for child in [*(manifest.children if manifest else []), *subject]]
    return parents_first(names)
