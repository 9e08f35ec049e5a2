# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The removal of tags by their names, where a registry supports that (distribution-spec, "Deleting tags")."""

from __future__ import annotations

import contextlib
import secrets
import typing as t

from .._errors import RegistryError, Unsupported
from .._oci.content import Manifest
from .._registry.dropped import put_back_dropped, read_manifests
from .._registry.repository import Repository
from .by_placeholder import store_placeholder
from .digest import try_delete
from .polling import check_gone, poll_for, settle
from .removal import TagRemoval

# What a DELETE is answered with where tags cannot be deleted. 404 in another form than the registry's tells nothing.
_NAMES_UNSUPPORTED = frozenset((400, 405, 501))


class ByName:
    """Deletes tags by their names: a registry that does as it says deletes no other.

    So no other tag is looked at. A registry that deletes the image with all its tags is found out at the first tag: its
    image is gone then. The tags that went with it are known by their names, and are put back.
    """

    def __init__(
        self, repository: Repository, manifests: t.Mapping[str, Manifest], warn: t.Callable[[str], None]
    ) -> None:
        """``manifests`` are those that were fetched already, by digest."""
        self._repository = repository
        self._manifests = manifests
        self._warn = warn
        # What the registry has against deleting a tag by its name; None as long as that works.
        self.refusal: RegistryError | None = None

    def remove(self, removals: t.Sequence[TagRemoval]) -> list[TagRemoval]:
        """Delete the tags, and return those that the registry does not delete by their names.

        Raises TagMoved, Unsupported where the registry does not do what it says, and the error of a request that failed.
        """
        self.refusal = self._probe()
        if self.refusal:
            return list(removals)
        images = self._read_images(removals)
        others = set(self._repository.tag_names()).difference(removal.tag for removal in removals)
        waiting, proven = list(removals), False
        # One at a time until the image of one is seen to stay: then the registry deletes no more than the tag.
        while waiting and not proven and not self.refusal:
            proven = self._remove_one(waiting.pop(0), images, others)
        if not any(removal.method for removal in removals):
            return list(removals)
        try:
            self._repository.map(self._delete, waiting)
        finally:
            with contextlib.suppress(RegistryError):
                settle(self._repository, waiting)
            self._check([removal for removal in waiting if removal.method], images)
        return [removal for removal in removals if not removal.method]

    def _probe(self) -> RegistryError | None:
        """Ask for the deletion of a tag that does not exist: the answer tells whether tags can be deleted."""
        error = try_delete(self._repository, f"ocikit-{secrets.token_hex(16)}")
        return error if error and error.status in _NAMES_UNSUPPORTED else None

    def _read_images(self, removals: t.Sequence[TagRemoval]) -> dict[str, Manifest]:
        """Fetch the manifests that may have to be put back. One that cannot be read is no obstacle: its tag is to go."""

        digests = {removal.digest for removal in removals if removal.digest}
        manifests = {
            **{digest: self._manifests[digest] for digest in sorted(digests & self._manifests.keys())},
            **read_manifests(self._repository, sorted(digests - self._manifests.keys())),
        }
        return {digest: manifest for digest, manifest in manifests.items() if not manifest.is_schema1}

    def _delete(self, removal: TagRemoval) -> None:
        guard = removal.sending("tag", removal.unmoved(self._repository, None))
        deletion = self._repository.delete(removal.tag, guard)
        error = deletion.error
        if deletion.outcome == "absent" and self._exists(removal):
            error = Unsupported("it says that a tag which exists does not.")
        if error:
            self.refusal, removal.attempt = error, None
        else:
            removal.method = "tag"

    def _exists(self, removal: TagRemoval) -> bool:
        if removal.digest:
            return self._repository.resolve(removal.tag) is not None
        return removal.tag in self._repository.tag_names()

    def _remove_one(self, removal: TagRemoval, images: t.Mapping[str, Manifest], others: set[str]) -> bool:
        """Delete one tag, and return whether its image is seen to stay. Of ``others``, those that went along are put back."""
        try:
            self._delete(removal)
        except (RegistryError, KeyboardInterrupt):
            # It may have been done all the same.
            with contextlib.suppress(RegistryError):
                settle(self._repository, [removal])
            if removal.method:
                self._repair(removal, images, others)
            raise
        return removal.method is not None and self._repair(removal, images, others)

    def _repair(self, removal: TagRemoval, images: t.Mapping[str, Manifest], others: set[str]) -> bool:
        """See what one tag has taken along, and put it back. Returns whether it has taken nothing along."""
        dropped = self._check([removal], images)
        if not removal.digest:
            return False
        if not dropped and (removal.digest in images or self._repository.resolve(removal.digest)):
            return True
        lost = others.difference(self._repository.tag_names())
        if lost and self._takes_others_along():
            self._put_back(sorted(lost), removal.digest, images.get(removal.digest))
        return False

    def _check(self, removed: t.Sequence[TagRemoval], images: t.Mapping[str, Manifest]) -> list[str]:
        """Put images back that went with their last tag, and see that the tags are gone. Returns what was put back."""
        digests = {removal.digest for removal in removed}
        kept = {digest: image for digest, image in images.items() if digest in digests}
        dropped = put_back_dropped(self._repository, kept, self._warn)
        # Names that lost their image without going lead to it again now.
        may_dangle = bool(dropped) or None in digests
        check_gone(self._repository, removed, may_dangle=may_dangle)
        return dropped

    def _takes_others_along(self) -> bool:
        """Find out whether the registry deletes all tags of an image with one: on two tags of a placeholder."""
        tags = [f"ocikit-{secrets.token_hex(16)}" for _number in range(2)]
        placeholder = store_placeholder(self._repository, dict.fromkeys(tags, ""), docker=False)
        try:
            for tag in tags:
                self._repository.put(tag, placeholder)
            try_delete(self._repository, tags[0])
            return self._repository.resolve(tags[1]) is None
        finally:
            with contextlib.suppress(RegistryError):
                for reference in (*tags, placeholder.digest):
                    try_delete(self._repository, reference)

    def _put_back(self, lost: t.Sequence[str], digest: str, image: Manifest | None) -> None:
        """Point tags that went along to their image again, and raise Unsupported, which says how that ended."""

        def put(tag: str) -> bool:
            if image is None:
                return False
            with contextlib.suppress(RegistryError):
                self._repository.put(tag, image)
            return poll_for(self._repository, tag, digest)

        outcomes = list(zip(lost, self._repository.map(put, lost)))
        restored = [tag for tag, outcome in outcomes if outcome]
        failed = [f"{tag} ({digest})" for tag, outcome in outcomes if not outcome]
        ends = [f"put back: {', '.join(restored)}"] if restored else []
        ends += [f"could not be put back: {', '.join(failed)}"] if failed else []
        raise Unsupported(
            f"The registry deleted tags that were not named along with others ({'; '.join(ends)}): choose the strategy"
            " placeholder."
        )
