# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Safe removal of tags: whatever the registry can do, tags that were not named keep their images.

Registries differ in what a DELETE takes along. The ladder is: delete the tag, where the registry knows how to; else let
the tag point to a placeholder that nothing else uses, and delete that by its digest. Before the first change a probe
tells whether digests can be deleted at all, and every failure after it is rolled back and verified.
"""

from __future__ import annotations

import secrets
import typing as t
from dataclasses import dataclass, field

from .._errors import DigestMismatch, ProtocolError, Refused, RegistryError, ServerFault, Unsupported
from .._http.transport import Body
from .._oci.content import INDEX_TYPES, Descriptor, Manifest
from .._oci.digest_tags import fallback_tag
from .._parallel import map_concurrent, sleep
from .._registry.blobs import upload
from .._registry.client import RegistryClient
from .._registry.fallback_tag import remove_from_fallback_tag
from .._registry.placeholder import make_placeholder
from .._registry.repository import Repository

STRATEGIES = ("auto", "tag", "placeholder", "manifest")
# How registries say that a manifest is still tagged or needed, besides the statuses for what they cannot do.
_REFUSALS = frozenset((403, 409, 412))
_PAUSES = (0, 0.5, 1, 2)


@dataclass
class Removal:
    """One tag to be removed: what it points to, which other tags do as well, and how it was removed."""

    tag: str
    descriptor: Descriptor
    siblings: list[str] = field(default_factory=list)
    method: str | None = None

    @property
    def digest(self) -> str:
        return self.descriptor.digest

    def to_dict(self, check_mode: bool) -> dict[str, t.Any]:
        return {
            "tag": self.tag,
            "digest": self.digest,
            "siblings": self.siblings,
            "method": self.method,
            "changed": check_mode or self.method is not None,
        }


def check_deletable(
    client: RegistryClient, repository: str, consequence: str = "nothing was changed"
) -> None:
    """Ask for the deletion of a digest that does not exist: the answer tells whether there is deletion at all.

    Nothing is changed by that. Raises Unsupported, which names the ``consequence``, or what stands in the way, such as
    Denied.
    """
    error = client.delete_manifest(repository, f"sha256:{secrets.token_hex(32)}").error
    if error:
        raise Unsupported(
            f"The registry does not allow deletion, so {consequence}. On distribution it is switched on with"
            " storage.delete.enabled.",
            status=error.status,
            code=error.code,
            registry_message=error.registry_message,
            method="DELETE",
            url=error.url,
        )


def try_delete(client: RegistryClient, repository: str, reference: str) -> RegistryError | None:
    """Delete a tag or a digest. Return what the registry has against it, None if it is gone."""
    try:
        return client.delete_manifest(repository, reference).error
    except RegistryError as error:
        if error.status in _REFUSALS:
            return error
        raise


def poll() -> t.Iterator[None]:
    """Yield for each look at whether something is gone: some registries take a moment to delete."""
    for pause in _PAUSES:
        sleep(pause)
        yield


def wait_until_gone(
    client: RegistryClient, repository: str, references: t.Iterable[str], concurrency: int
) -> list[str]:
    """Return which of ``references``, tags or digests that were deleted, the registry serves after all poll()."""
    left = list(references)
    for _look in poll():
        found = map_concurrent(lambda reference: client.resolve(repository, reference), left, concurrency)
        left = [reference for reference, descriptor in zip(left, found) if descriptor]
        if not left:
            break
    return left


def look_up(
    client: RegistryClient, repository: str, tags: t.Sequence[str], concurrency: int
) -> tuple[dict[str, Descriptor], dict[str, RegistryError]]:
    """Return what ``tags`` point to, and the reasons why some cannot be read; those that are gone are in neither."""

    def one(tag: str) -> Descriptor | RegistryError | None:
        try:
            return client.resolve(repository, tag)
        except (DigestMismatch, ProtocolError, ServerFault) as error:
            return error

    found = list(zip(tags, map_concurrent(one, tags, concurrency)))
    return (
        {tag: descriptor for tag, descriptor in found if isinstance(descriptor, Descriptor)},
        {tag: error for tag, error in found if isinstance(error, RegistryError)},
    )


class Remover:
    """Removes tags of one repository.

    ``tags`` maps every tag of the repository to what it points to, save those that cannot be read: ``unreadable`` maps
    these to the reason.
    """

    def __init__(
        self,
        client: RegistryClient,
        repository: str,
        tags: t.Mapping[str, Descriptor],
        unreadable: t.Mapping[str, RegistryError],
        concurrency: int,
    ) -> None:
        self._client = client
        self._repository = repository
        self._tags = tags
        self._unreadable = unreadable
        self._concurrency = concurrency
        # By its digest, what a referrer that goes is about: the list of referrers there has to lose it.
        self._listed: dict[str, str] = {}

    @classmethod
    def of(cls, client: RegistryClient, repository: str, tags: t.Sequence[str], concurrency: int) -> Remover:
        """Look up what all ``tags`` of a repository point to, and return its remover."""
        return cls(client, repository, *look_up(client, repository, tags, concurrency), concurrency)

    def plan(self, names: t.Iterable[str]) -> list[Removal]:
        """Return what there is to remove of ``names``, sorted; absent ones need nothing.

        Raises the error of one that cannot be read.
        """
        tags_of: dict[str, set[str]] = {}
        for tag, descriptor in self._tags.items():
            tags_of.setdefault(descriptor.digest, set()).add(tag)
        removals = []
        for tag in sorted(set(names)):
            if tag in self._unreadable:
                raise self._unreadable[tag]
            if tag in self._tags:
                descriptor = self._tags[tag]
                removals.append(Removal(tag, descriptor, sorted(tags_of[descriptor.digest] - {tag})))
        return removals

    def check(self, removals: t.Sequence[Removal], strategy: str) -> None:
        """Raise Refused where ``strategy`` would take along what was not named, or what an index needs. Only reads.

        A fallback tag does not need the referrers that it lists.
        """
        if strategy != "manifest" or not removals:
            return
        if self._unreadable:
            raise Refused(
                f"What {', '.join(sorted(self._unreadable))} points to cannot be read, so nothing is deleted by digest:"
                " it may be needed."
            )
        named = {removal.tag for removal in removals}
        for removal in removals:
            unnamed = [tag for tag in removal.siblings if tag not in named]
            if unnamed:
                raise Refused(
                    f"{removal.digest} is also tagged {', '.join(unnamed)}: name these tags as well, or choose the"
                    " strategy auto, which keeps them. Nothing was changed."
                )
        for tag, digest, direct in self._needed_by_others({removal.digest for removal in removals}):
            subject = self._subject(digest) if direct else None
            if subject is None or tag != fallback_tag(subject):
                raise Refused(f"{digest} is part of the index that {tag} points to: nothing was changed.")
            self._listed[digest] = subject

    def remove(self, removals: t.Sequence[Removal], strategy: str = "auto") -> None:
        """Remove the tags of ``removals`` and verify it; ``method`` of each tells how.

        Raises Unsupported where the registry does not allow it (nothing is changed then), Refused where a digest is
        still needed or a tag moved, and the error of a step that failed; its sentence tells what was put back.
        """
        if strategy == "manifest":
            self.check(removals, strategy)
            self._by_manifest(removals)
            return
        rest = list(removals)
        if strategy in ("auto", "tag"):
            rest = self._by_tag(rest, strategy)
        if rest:
            untouched = len(rest) == len(removals)
            stay = "nothing was changed" if untouched else f"{', '.join(one.tag for one in rest)} stay"
            check_deletable(self._client, self._repository, stay)
        for batch in _batches(rest):
            self._by_placeholder(batch, {one.tag for one in removals})

    def _by_tag(self, removals: list[Removal], strategy: str) -> list[Removal]:
        """Delete by name; return what has to go another way. The first one shows whether the registry knows how."""
        named = {removal.tag for removal in removals}
        originals = self._originals([one for one in removals if one.siblings])

        def delete(removal: Removal) -> None:
            error = self._delete_tag(removal)
            if error and strategy == "tag":
                raise Unsupported(
                    f"The registry cannot delete {removal.tag} by its name ({error}) The strategy auto finds another way.",
                    status=error.status,
                    code=error.code,
                    registry_message=error.registry_message,
                    method=error.method,
                    url=error.url,
                )

        for group in (removals[:1], removals[1:]):
            try:
                map_concurrent(delete, group, self._concurrency)
            finally:
                self._verify([one for one in group if one.method], named, originals)
            if not any(one.method for one in group):
                break
        return [one for one in removals if not one.method]

    def _delete_tag(self, removal: Removal) -> RegistryError | None:
        """Delete one tag by name, unless it moved. Return the registry's answer where it does not know how to."""
        self._check_unmoved(removal)
        deletion = self._client.delete_manifest(self._repository, removal.tag)
        if deletion.outcome == "unsupported":
            return deletion.error
        if deletion.outcome == "absent" and self._client.resolve(self._repository, removal.tag):
            return Unsupported("it says that a tag which exists does not.")
        removal.method = "tag"
        return None

    def _by_placeholder(self, removals: t.Sequence[Removal], named: set[str]) -> None:
        """Let the tags point to a placeholder, delete that by its digest, and put everything back if it fails."""
        originals = self._originals(removals)
        placeholder = self._push_placeholder(removals)
        moved: list[Removal] = []
        try:
            for removal in removals:
                self._check_unmoved(removal)
                moved.append(removal)
                self._client.put_manifest(self._repository, removal.tag, placeholder)
            deletion = self._client.delete_manifest(self._repository, placeholder.digest)
            if deletion.error:
                raise deletion.error
            self._check_gone(removals)
        except BaseException as error:
            self._roll_back(moved, originals, placeholder, error)
            raise
        for removal in removals:
            removal.method = "placeholder"
        self._verify(removals, named, originals)

    def _by_manifest(self, removals: t.Sequence[Removal]) -> None:
        """Delete by digest, which takes all tags along. An index goes before its children: some registries insist."""
        groups: dict[str, list[Removal]] = {}
        for removal in sorted(removals, key=lambda one: one.descriptor.media_type not in INDEX_TYPES):
            groups.setdefault(removal.digest, []).append(removal)
        try:
            for digest, group in groups.items():
                for removal in group:
                    self._check_unmoved(removal)
                error = try_delete(self._client, self._repository, digest)
                if error and not any(self._delete_tag(removal) for removal in group):
                    # GCR and Docker Hub delete no manifest that has a tag.
                    error = try_delete(self._client, self._repository, digest)
                if error:
                    gone = ", ".join(removal.tag for removal in removals if removal.method)
                    consequence = f"only these tags were removed: {gone}" if gone else "nothing was changed"
                    check_deletable(self._client, self._repository, consequence)
                    raise error
                for removal in group:
                    removal.method = "manifest"
                self._unlist(digest)
        finally:
            self._check_gone([removal for removal in removals if removal.method])

    def _subject(self, digest: str) -> str | None:
        fetched = self._client.find_manifest(self._repository, digest)
        return fetched.manifest.subject.digest if fetched and fetched.manifest.subject else None

    def _unlist(self, digest: str) -> None:
        """Take a deleted referrer off the fallback tag that lists it (distribution-spec, "Deleting Manifests").

        Not before: a signature that still exists has to be found.
        """
        subject = self._listed.get(digest)
        if subject is None:
            return
        try:
            remove_from_fallback_tag(Repository(self._client, self._repository), subject, digest)
        except RegistryError as error:
            error.args = (f"{digest} was deleted, but {fallback_tag(subject)} lists it still: {error}",)
            raise

    def _needed_by_others(self, digests: set[str]) -> t.Iterator[tuple[str, str, bool]]:
        """Yield other tags whose index has one of ``digests`` in it, that digest, and whether it is right in it."""
        direct = True
        level = {
            one.digest: tag
            for tag, one in self._tags.items()
            if one.media_type in INDEX_TYPES and one.digest not in digests
        }
        while level:
            found = map_concurrent(
                lambda one: self._client.find_manifest(self._repository, one), level, self._concurrency
            )
            below: dict[str, str] = {}
            for tag, fetched in zip(level.values(), found):
                for child in fetched.manifest.children if fetched else ():
                    if child.digest in digests:
                        yield tag, child.digest, direct
                    elif child.media_type in INDEX_TYPES:
                        below[child.digest] = tag
            level, direct = below, False

    def _originals(self, removals: t.Sequence[Removal]) -> dict[str, Manifest]:
        """Fetch the manifests that a roll-back would need, by their digests. Raises Refused where there would be none."""
        digests = sorted({removal.digest for removal in removals})
        manifests = map_concurrent(
            lambda digest: self._client.manifest(self._repository, digest), digests, self._concurrency
        )
        for manifest in manifests:
            if manifest.is_schema1:
                raise Refused(
                    f"{manifest.digest} is a schema 1 manifest, which could not be put back if a removal failed: choose"
                    " the strategy manifest to delete it with all its tags."
                )
        return dict(zip(digests, manifests))

    def _check_unmoved(self, removal: Removal) -> None:
        found = self._client.resolve(self._repository, removal.tag)
        if found is None or found.digest != removal.digest:
            raise Refused(
                f"{self._repository}:{removal.tag} moved from {removal.digest} to {found.digest if found else 'nothing'}"
                " while it was to be removed: it is left alone."
            )

    def _check_gone(self, removals: t.Sequence[Removal]) -> None:
        """See that the tags are gone."""
        tags = [removal.tag for removal in removals]
        left = wait_until_gone(self._client, self._repository, tags, self._concurrency)
        if not left:
            return
        for removal in removals:
            removal.method = None if removal.tag in left else removal.method
        raise Unsupported(f"The registry accepted the deletion but still serves {', '.join(left)}.")

    def _push_placeholder(self, removals: t.Sequence[Removal]) -> Manifest:
        """Store an image that is like no other, in the family of media types that the registry has shown to take."""
        docker = all(
            removal.descriptor.media_type.startswith("application/vnd.docker.") for removal in removals
        )
        placeholder = make_placeholder({removal.tag: removal.digest for removal in removals}, docker)
        for descriptor, content in placeholder.blobs.items():
            if not self._client.has_blob(self._repository, descriptor.digest):
                upload(self._client, self._repository, descriptor, Body.of(content))
        return placeholder.manifest

    def _roll_back(
        self,
        moved: t.Sequence[Removal],
        originals: t.Mapping[str, Manifest],
        placeholder: Manifest,
        error: BaseException,
    ) -> None:
        """Point the tags back to their images. What became of that is said in the error that is under way."""
        outcomes = map_concurrent(
            lambda one: self._restore(one.tag, originals[one.digest], placeholder.digest),
            moved,
            self._concurrency,
        )
        lost = [
            f"{one.tag} ({one.digest})"
            for one, outcome in zip(moved, outcomes)
            if outcome not in (None, True)
        ]
        if moved:
            said = (
                f"could not be put back: {', '.join(lost)}" if lost else "all tags were put back and verified"
            )
            error.args = (f"{error} After this failure {said}.".strip(),)

    def _restore(
        self, tag: str, original: Manifest, placeholder: str | None = None
    ) -> bool | RegistryError | None:
        """Point ``tag`` to its image again if it points to nothing, or to the digest ``placeholder``.

        Returns whether that worked, verified; None where there was no need, and the error of a look that failed.
        """
        try:
            found = self._client.resolve(self._repository, tag)
        except RegistryError as error:
            return error
        if found and found.digest != placeholder:
            return None
        try:
            self._client.put_manifest(self._repository, tag, original)
            found = self._client.resolve(self._repository, tag)
        except RegistryError:
            return False
        return found is not None and found.digest == original.digest

    def _verify(
        self, removals: t.Sequence[Removal], named: set[str], originals: t.Mapping[str, Manifest]
    ) -> None:
        """See that the tags are gone, and that siblings which were not named are not: lost ones are put back."""
        self._check_gone(removals)
        siblings = {tag: one.digest for one in removals for tag in one.siblings if tag not in named}
        outcomes = map_concurrent(
            lambda tag: self._restore(tag, originals[siblings[tag]]), siblings, self._concurrency
        )
        restored = [tag for tag, outcome in zip(siblings, outcomes) if outcome is True]
        lost = [f"{tag} ({siblings[tag]})" for tag, outcome in zip(siblings, outcomes) if outcome is False]
        unseen = {
            tag: outcome for tag, outcome in zip(siblings, outcomes) if isinstance(outcome, RegistryError)
        }
        if lost or restored:
            said = [f"put back: {', '.join(restored)}"] if restored else []
            said += [f"could not be put back: {', '.join(lost)}"] if lost else []
            raise Unsupported(
                f"The registry deleted tags that were not named along with others ({'; '.join(said)}): choose the strategy"
                " placeholder."
            )
        for error in unseen.values():
            error.args = (f"{error} It could not be looked up whether {', '.join(unseen)} kept the image.",)
            raise error


def _batches(removals: t.Sequence[Removal], size: int = 200) -> t.Iterator[t.Sequence[Removal]]:
    """One placeholder serves many tags: distribution 2.8 reads every tag of the repository at each deletion."""
    for start in range(0, len(removals), size):
        yield removals[start : start + size]
