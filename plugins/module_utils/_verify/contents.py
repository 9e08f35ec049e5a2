# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The images in an index, also those of indexes within it."""

from __future__ import annotations

from .._oci.content import INDEX_TYPES, Descriptor, Manifest
from .._oci.graph import walk
from .._registry.repository import Repository


def images_in(repository: Repository, index: Manifest) -> list[Descriptor]:
    """Return the images in ``index`` and in indexes within it, without attestations, each once.

    Raises ProtocolError for an index that is nested too deeply.
    """
    children: dict[str, list[Descriptor]] = {}

    def visit(digest: str) -> list[str]:
        manifest = index if digest == index.digest else repository.manifest(digest)
        children[digest] = manifest.children
        return [child.digest for child in manifest.children if child.media_type in INDEX_TYPES]

    levels = walk([index.digest], visit, repository.concurrency)
    images: dict[str, Descriptor] = {}
    for child in (child for level in levels for digest in level for child in children[digest]):
        if child.is_manifest and child.media_type not in INDEX_TYPES and not child.attests:
            images.setdefault(child.digest, child)
    return list(images.values())
