# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The deletion of a manifest by its digest, with its tags: whatever a registry refuses, or leaves behind.

Most registries delete the tags of a digest along with it. Google's and Docker Hub refuse to delete what has a tag;
go-containerregistry's, CUE's and Nexus leave the tags. There tags are deleted first, by their names.
"""

from __future__ import annotations

import contextlib
import secrets
import typing as t

from .._errors import RegistryError, Unsupported
from .._oci.content import Manifest
from .._registry.repository import Guard, Repository
from .polling import wait_until_gone
from .removal import TagMoved, TagRemoval

# How registries say that a manifest is still tagged or needed, besides the statuses for what they cannot do.
_REFUSALS = frozenset((403, 409, 412))


def check_deletable(repository: Repository, consequence: str = "nothing was changed") -> None:
    """Ask for the deletion of a digest that does not exist: the answer tells whether the registry allows deletion.

    Nothing is changed by that. Raises Unsupported, which names the ``consequence``, or what stands in the way, such as
    Denied.
    """
    error = repository.delete(f"sha256:{secrets.token_hex(32)}").error
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


def try_delete(repository: Repository, reference: str, guard: Guard | None = None) -> RegistryError | None:
    """Delete a tag or a digest. Return what the registry has against it, None if it was deleted or did not exist.

    ``guard`` is called right before each time that the request is sent, and what it raises is raised.
    """
    try:
        return repository.delete(reference, guard).error
    except RegistryError as error:
        # What a guard raises has no status.
        if error.status in _REFUSALS:
            return error
        raise


class DigestDeleter:
    """Deletes manifests of one repository by their digests, with their tags. From the first it learns what that takes."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        # Whether tags have to be deleted by their names first; None until a digest with a tag was deleted.
        self._tags_first: bool | None = None

    def try_delete(
        self,
        digest: str,
        removals: t.Sequence[TagRemoval] = (),
        guard: Guard | None = None,
        manifest: Manifest | None = None,
    ) -> RegistryError | None:
        """Delete ``digest``, which has the content ``manifest``, with its tags, those of ``removals``.

        A tag that moved is left alone. ``guard`` is called right before each time that a request is sent: it raises what
        forbids the deletion by then. Returns what the registry has against it, None if it was deleted or did not exist.
        Where a registry leaves the tags, and does not delete them by their names, ``manifest`` is stored again.
        """
        if self._tags_first and removals:
            return self._delete_tags_first(digest, removals, guard)
        error = try_delete(self._repository, digest, _sending(removals, guard))
        if error and removals:
            # Google's registries and Docker Hub delete no manifest that has a tag.
            if self._delete_tags_first(digest, removals, guard):
                return error
            self._tags_first = True
            return None
        if not error and removals and self._tags_first is None:
            left = wait_until_gone(self._repository, [removal.tag for removal in removals])
            self._tags_first = bool(left)
            if left:
                # Back to where it was, as a tag without a manifest may be impossible to delete.
                with contextlib.suppress(RegistryError):
                    if manifest:
                        self._repository.put(digest, manifest)
                return self._delete_tags_first(digest, removals, guard)
        return error

    def _delete_tags_first(
        self, digest: str, removals: t.Sequence[TagRemoval], guard: Guard | None
    ) -> RegistryError | None:
        for removal in removals:
            try:
                check = removal.unmoved(self._repository, None)
                error = try_delete(self._repository, removal.tag, _sending([removal], guard, check))
            except TagMoved:
                continue
            if error:
                return error.replace_message(
                    f"The registry does not delete tags along with {digest}, nor {removal.tag} by its name, so both stay:"
                    f" {error}"
                )
        return try_delete(self._repository, digest, _sending(removals, guard))


def _sending(removals: t.Iterable[TagRemoval], *guards: Guard | None) -> Guard:
    """Return a guard that asks ``guards``, and then notes that a request is sent which may remove the tags."""

    def sending() -> None:
        for guard in guards:
            if guard:
                guard()
        for removal in removals:
            removal.attempt = "manifest"

    return sending
