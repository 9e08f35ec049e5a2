# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Safe removal of tags: whatever the registry can do, tags that were not named keep their images.

Registries differ in what a DELETE takes along. The strategy ``auto`` deletes tags by their names, where the registry
supports that; otherwise it points them to a placeholder that nothing else uses, and deletes that by its digest. Each tag
is looked at again right before each request that is about it. After a failure the result says what was seen to be gone.
"""

from __future__ import annotations

import typing as t

from .._errors import RegistryError, Unsupported
from .._registry.repository import Repository
from .by_manifest import ByManifest
from .by_name import ByName
from .by_placeholder import ByPlaceholder
from .polling import check_gone, settle, wait_until_gone
from .removal import TagRemoval
from .tag_states import TagStates

STRATEGIES = ("auto", "tag", "placeholder", "manifest")


class TagRemover:
    """Removes tags of one repository."""

    def __init__(
        self, repository: Repository, states: TagStates, warn: t.Callable[[str], None] = lambda text: None
    ) -> None:
        """``states`` are those of the tags that may be removed; for the strategy ``manifest`` those of all tags.

        ``warn`` is told of images that are lost with their last tag.
        """
        self._repository = repository
        self._states = states
        self._warn = warn
        # Whether anything was deleted, or may have been.
        self.changed = False

    def plan(self, names: t.Iterable[str]) -> list[TagRemoval]:
        """Return what there is to remove of ``names``, sorted; absent ones need nothing.

        Raises the error of one that cannot be read.
        """
        tags_of: dict[str, list[str]] = {}
        for tag, descriptor in sorted(self._states.descriptors.items()):
            tags_of.setdefault(descriptor.digest, []).append(tag)
        removals = []
        for tag in sorted(set(names)):
            if tag in self._states.unreadable:
                raise self._states.unreadable[tag]
            if tag in self._states.descriptors:
                descriptor = self._states.descriptors[tag]
                siblings = [other for other in tags_of[descriptor.digest] if other != tag]
                removals.append(TagRemoval(tag, descriptor, siblings))
            elif tag in self._states.dangling:
                removals.append(TagRemoval(tag, None))
        return removals

    def check(self, removals: t.Sequence[TagRemoval], strategy: str) -> None:
        """Raise Refused where ``strategy`` would take along what was not named, or what an index needs. Only reads."""
        if strategy == "manifest" and removals:
            ByManifest(self._repository, self._states).check(removals)

    def remove(self, removals: t.Sequence[TagRemoval], strategy: str = "auto") -> None:
        """Remove the tags of ``removals`` and verify it; ``method`` of each tells how.

        Raises Unsupported where the registry does not allow it (nothing is changed then), Refused where a digest is
        still needed or a tag moved, and the error of a step that failed; its sentence tells what was put back.
        """
        try:
            if strategy == "manifest":
                self._remove_images(removals)
            else:
                self._remove_tags(removals, strategy)
        except RegistryError as error:
            self._settle(removals, error)
            raise
        finally:
            self.changed = self.changed or any(removal.method for removal in removals)

    def _remove_tags(self, removals: t.Sequence[TagRemoval], strategy: str) -> None:
        rest = list(removals)
        if rest and strategy in ("auto", "tag"):
            by_name = ByName(self._repository, self._states.manifests, self._warn)
            rest = by_name.remove(removals)
            if rest and strategy == "tag":
                raise _unsupported(rest[0], by_name.refusal)
        if rest:
            untouched = len(rest) == len(removals)
            stay = (
                "nothing was changed" if untouched else f"{', '.join(removal.tag for removal in rest)} stay"
            )
            ByPlaceholder(self._repository, self._states.manifests, self._warn).remove(rest, stay)

    def _remove_images(self, removals: t.Sequence[TagRemoval]) -> None:
        by_manifest = ByManifest(self._repository, self._states)
        by_manifest.check(removals)
        self._remove_tags([removal for removal in removals if not removal.digest], "auto")
        tagged = [removal for removal in removals if removal.digest]
        try:
            by_manifest.remove(tagged)
        finally:
            self.changed = self.changed or bool(by_manifest.deleted)
        for removal in tagged:
            removal.method = "manifest"
        check_gone(self._repository, tagged)
        left = wait_until_gone(self._repository, by_manifest.deleted)
        if left:
            raise Unsupported(f"The registry accepted the deletion but still serves {', '.join(left)}.")

    def _settle(self, removals: t.Sequence[TagRemoval], error: RegistryError) -> None:
        """Look up what became of the tags that a failed request was about."""
        unknown = [removal.tag for removal in removals if removal.attempt and not removal.method]
        try:
            settle(self._repository, removals)
        except RegistryError:
            self.changed = True
            error.add_sentence(f"What became of {_some(unknown)} could not be looked up.")


def _unsupported(removal: TagRemoval, error: RegistryError | None) -> Unsupported:
    said = f" ({error})" if error else ""
    return Unsupported(
        f"The registry cannot delete {removal.tag} by its name{said} The strategy auto finds another way.",
        status=error.status if error else None,
        code=error.code if error else None,
        registry_message=error.registry_message if error else None,
        method=error.method if error else None,
        url=error.url if error else None,
    )


def _some(tags: t.Sequence[str], limit: int = 10) -> str:
    hidden = len(tags) - limit
    return ", ".join(tags[:limit]) + (f" and {hidden} more" if hidden > 0 else "")
