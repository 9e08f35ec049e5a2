# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The task of registry_rmrepo: whether it is meant, and what is reported of the deletion."""

from __future__ import annotations

import typing as t

from .._errors import InvalidInput, RegistryError, printable
from .._oci.content import digest_diff
from .._oci.reference import Reference, check_digest
from .._registry.context import ModuleContext
from .repository import RepositoryRemoval

_NOTES = {
    True: "The registry still keeps the blobs: only its garbage collection frees the space. On distribution run"
    " 'registry garbage-collect' while nothing is pushed.",
    False: "The registry serves the blobs no more: there is nothing left to do.",
}


def remove_repository(context: ModuleContext) -> dict[str, t.Any]:
    """Delete the repository that the parameter ``repository`` names and ``confirm`` repeats; return the module's result.

    Raises InvalidInput before any request, and what RepositoryRemoval raises; its ``result`` tells what was deleted.
    """
    reference = context.clients.repository(context.params["repository"])
    if context.params["confirm"] != reference.repository:
        raise InvalidInput(
            f"{reference} is deleted only if confirm is {reference.repository!r}, the repository's name without the"
            f" registry; it is {printable(context.params['confirm'])!r}. Nothing was changed."
        )
    digests = [check_digest(digest) for digest in context.params["digests"]]
    actions = () if context.check_mode else ("delete",)
    removal = RepositoryRemoval(context.clients.repository_of(reference, *actions))
    removal.read(digests)
    if not context.check_mode:
        try:
            removal.run()
        except RegistryError as error:
            report = _report(reference, removal, check_mode=False)
            error.add_result({"changed": removal.changed, **report})
            raise
    exists = bool(removal.entries or removal.tags)
    keeps_blobs = exists and (context.check_mode or removal.keeps_blobs())
    return {
        "changed": exists,
        **_report(reference, removal, context.check_mode),
        "needs_garbage_collection": keeps_blobs,
        "note": _NOTES[keeps_blobs] if exists else None,
        "diff": digest_diff(_before(reference, removal), {}),
    }


def _report(reference: Reference, removal: RepositoryRemoval, check_mode: bool) -> dict[str, t.Any]:
    deleted = removal.tags_deleted()
    return {
        "repository": reference.name,
        "tags": [
            {"tag": tag, "digest": digest, "deleted": check_mode or deleted[tag]}
            for tag, digest in removal.tags.items()
        ],
        "manifests": [entry.to_dict(check_mode) for entry in removal.entries],
        "stranded": [] if check_mode else removal.stranded,
    }


def _before(reference: Reference, removal: RepositoryRemoval) -> dict[str, str | None]:
    """The repository as the diff shows it: a line for each tag, and for each manifest without one."""
    tags = {str(reference.with_tag(tag)): digest or "missing" for tag, digest in removal.tags.items()}
    untagged = (entry.digest for entry in removal.entries if not entry.tags)
    return {**tags, **{reference.pinned(digest): digest for digest in untagged}}
