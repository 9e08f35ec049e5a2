# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The removal of tags where a registry deletes by digest only: they are pointed to a placeholder, and that is deleted."""

from __future__ import annotations

import typing as t

from .._errors import Refused, RegistryError
from .._http.transport import Body
from .._oci.content import Manifest
from .._registry.dropped import put_back_dropped
from .._registry.placeholder import make_placeholder
from .._registry.repository import Repository
from .digest import check_deletable
from .polling import check_gone, poll_for
from .removal import TagMoved, TagRemoval

# So many tags have one placeholder: distribution 2.8 reads every tag of the repository at each deletion.
_BATCH = 200
_NOT_PUT_BACK = "could not be put back"


def store_placeholder(repository: Repository, tags: t.Mapping[str, str], docker: bool) -> Manifest:
    """Store what a placeholder for ``tags`` needs, and return its manifest, which is not stored yet.

    ``tags`` maps the tags to the digests that they had. With ``docker`` its media types are those of Docker.
    """
    placeholder = make_placeholder(tags, docker)
    for descriptor, content in placeholder.blobs.items():
        # Without asking first: that would be a request more where the blob is missing, and none less where it is not.
        repository.upload(descriptor, Body.of(content))
    return placeholder.manifest


class ByPlaceholder:
    """Points tags to an image that nothing else uses, and deletes that by its digest, which takes these tags along.

    The digests of other tags are not touched. After a failure all tags are pointed to their images again.
    """

    def __init__(
        self, repository: Repository, manifests: t.Mapping[str, Manifest], warn: t.Callable[[str], None]
    ) -> None:
        """``manifests`` are those that were fetched already, by digest."""
        self._repository = repository
        self._manifests = manifests
        self._warn = warn

    def remove(self, removals: t.Sequence[TagRemoval], consequence: str) -> None:
        """Remove the tags.

        Raises Unsupported, which names the ``consequence``, where the registry does not allow deletion, TagMoved, and the
        error of a request that failed; its sentence tells what was put back.
        """
        check_deletable(self._repository, consequence)
        for start in range(0, len(removals), _BATCH):
            self._remove_batch(removals[start : start + _BATCH])

    def _remove_batch(self, removals: t.Sequence[TagRemoval]) -> None:
        originals = self._read_originals(removals)
        placeholder = store_placeholder(
            self._repository,
            {removal.tag: removal.digest or "" for removal in removals},
            docker=_are_of_docker(removals),
        )
        moved: list[TagRemoval] = []
        try:
            for removal in removals:
                self._move(removal, placeholder, moved)
            deletion = self._repository.delete(placeholder.digest)
            if deletion.error:
                raise deletion.error
            check_gone(self._repository, removals, placeholder.digest)
        except RegistryError as error:
            error.add_sentence(self._roll_back(moved, originals, placeholder.digest))
            raise
        except KeyboardInterrupt as interrupt:
            said = self._roll_back(moved, originals, placeholder.digest)
            raise KeyboardInterrupt(f"{interrupt} {said}".strip()) from interrupt
        except BaseException:
            self._roll_back(moved, originals, placeholder.digest)
            raise
        for removal in removals:
            removal.method = "placeholder"
        put_back_dropped(self._repository, originals, self._warn)

    def _read_originals(self, removals: t.Sequence[TagRemoval]) -> dict[str, Manifest]:
        """Fetch the manifests that a roll-back would need. Raises Refused where there would be none."""
        digests = sorted({removal.digest for removal in removals if removal.digest})
        originals = dict(zip(digests, self._repository.map(self._original, digests)))
        for digest, manifest in originals.items():
            if manifest.is_schema1:
                raise Refused(
                    f"{digest} is a schema 1 manifest, which could not be put back if a removal failed: choose the"
                    " strategy manifest to delete it with all its tags."
                )
        return originals

    def _original(self, digest: str) -> Manifest:
        return self._manifests.get(digest) or self._repository.manifest(digest)

    def _move(self, removal: TagRemoval, placeholder: Manifest, moved: list[TagRemoval]) -> None:
        check = removal.unmoved(self._repository, placeholder.digest)

        def guard() -> None:
            check()
            if removal not in moved:
                moved.append(removal)

        self._repository.put(removal.tag, placeholder, guard)

    def _roll_back(
        self, moved: t.Sequence[TagRemoval], originals: t.Mapping[str, Manifest], placeholder: str
    ) -> str:
        """Point the tags back to their images, and return the sentence that says what became of that."""

        def restore(removal: TagRemoval) -> str | None:
            if removal.digest:
                return self._restore(removal.tag, originals[removal.digest], placeholder)
            return self._outcome_without_image(removal.tag, placeholder)

        if not moved:
            return ""
        outcomes = list(zip(moved, self._repository.map(restore, moved)))
        ends = [
            f"{said}: {', '.join(removal.former for removal, outcome in outcomes if outcome == said)}"
            for said in dict.fromkeys(outcome for _removal, outcome in outcomes if outcome)
        ]
        return f"After this failure {'; '.join(ends) or 'all tags were put back and verified'}."

    def _restore(self, tag: str, original: Manifest, placeholder: str) -> str | None:
        """Point ``tag`` to its image again unless something else moved it meanwhile.

        It is written also where it is read to be right: reads may lag. Returns what is to be said of it, None where it is
        verified.
        """
        digests = (original.digest, placeholder)

        def guard() -> None:
            try:
                descriptor = self._repository.resolve(tag)
            except RegistryError:
                # Most likely it has the placeholder, which is worse than what a write could overwrite.
                return
            if descriptor and descriptor.digest not in digests:
                raise TagMoved(
                    f"{self._repository.image(tag)} moved to {descriptor.digest}: it is left alone."
                )

        written = True
        try:
            self._repository.put(tag, original, guard)
        except TagMoved:
            return None
        except RegistryError:
            written = False
        if poll_for(self._repository, tag, original.digest, at_once=written):
            return None
        return "no read confirms what was put back" if written else _NOT_PUT_BACK

    def _outcome_without_image(self, tag: str, placeholder: str) -> str | None:
        """Return what is to be said of a tag that was dangling, which nothing can be put back under."""
        try:
            descriptor = self._repository.resolve(tag)
        except RegistryError:
            return _NOT_PUT_BACK
        return _NOT_PUT_BACK if descriptor and descriptor.digest == placeholder else None


def _are_of_docker(removals: t.Iterable[TagRemoval]) -> bool:
    """Tell whether all images have media types of Docker: then the registry may take no others."""
    types = [removal.descriptor.media_type for removal in removals if removal.descriptor]
    return bool(types) and all(media_type.startswith("application/vnd.docker.") for media_type in types)
