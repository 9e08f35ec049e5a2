# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Images that a registry deletes with their last tag, as zot 1.4.3 does, even if an index needs them."""

from __future__ import annotations

import functools
import typing as t

from .._errors import DigestMismatch, ProtocolError, RegistryError, ServerFault
from .._oci.content import Manifest
from .._oci.graph import parents_first, walk
from .repository import Repository


def read_manifests(repository: Repository, digests: t.Iterable[str]) -> dict[str, Manifest]:
    """Return the manifests ``digests``. What does not exist, or cannot be read, is left out."""
    names = list(digests)
    manifests = zip(names, repository.map(functools.partial(_read, repository), names))
    return {digest: manifest for digest, manifest in manifests if manifest}


def read_images(repository: Repository, digests: t.Iterable[str]) -> dict[str, Manifest]:
    """Return the manifests ``digests`` and those of the images in them, by digest, what an index needs before it.

    What put_back_dropped() may need, to be read before a tag is moved or deleted. What does not exist, or cannot be read,
    is left out.
    """
    manifests: dict[str, Manifest] = {}

    def visit(digest: str) -> list[str]:
        manifest = _read(repository, digest)
        if manifest is None:
            return []
        manifests[digest] = manifest
        return _children(manifest)

    walk(digests, visit, repository.concurrency)
    order = parents_first({digest: _children(manifest) for digest, manifest in manifests.items()})
    return {digest: manifests[digest] for digest in reversed(order)}


def _read(repository: Repository, digest: str) -> Manifest | None:
    try:
        fetched = repository.find_manifest(digest)
    except (DigestMismatch, ProtocolError, ServerFault):
        return None
    return fetched.manifest if fetched else None


def put_back_dropped(
    repository: Repository, manifests: t.Mapping[str, Manifest], warn: t.Callable[[str], None]
) -> list[str]:
    """Store those of ``manifests`` again that the registry has no more, and return their digests.

    To be done after a tag was moved away from one of them, or deleted. ``manifests`` come from read_images(). One that
    cannot be stored is warned about. One request for each that is no part of another, as long as none of them is missing.
    """
    parts = {digest for manifest in manifests.values() for digest in _children(manifest)}
    if not _missing(repository, [digest for digest in manifests if digest not in parts]):
        return []
    dropped = _missing(repository, list(manifests))
    for digest in dropped:
        try:
            repository.put(digest, manifests[digest])
        except RegistryError as error:
            warn(
                f"{repository.image(digest)} is gone with its last tag, as the registry deletes images without one, and could"
                f" not be put back: an index that contains it is incomplete now, push that again. ({error})"
            )
    return dropped


def _missing(repository: Repository, digests: t.Sequence[str]) -> list[str]:
    return [
        digest
        for digest, descriptor in zip(digests, repository.map(repository.resolve, digests))
        if not descriptor
    ]


def _children(manifest: Manifest) -> list[str]:
    return [child.digest for child in manifest.children if child.is_manifest]
