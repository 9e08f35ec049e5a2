# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Every image that a container engine could run from what was named.

Engines go by what they fetch, not by what an index calls it: skopeo and regctl run an entry with an unknown media type, crane
takes an entry without a platform for linux/amd64. So everything in an index is an image, except for attestations.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .._errors import Denied, DigestMismatch, NotFound, ProtocolError, RegistryError, Unauthorized
from .._oci.content import IMAGE_TYPES, SCHEMA1_TYPES, Descriptor, Manifest
from .._oci.graph import walk
from .._registry.repository import Repository

# What these say is about one image; anything else means that nothing can be verified at all.
UNREADABLE = (NotFound, Unauthorized, Denied, ProtocolError, DigestMismatch)
# Entries of these types are images without looking. Every other one is read to find out.
_LEAVES = IMAGE_TYPES | SCHEMA1_TYPES
# Indexes have some dozens of images. Each takes requests of its own.
_MAX_IMAGES = 1000


@dataclass
class Contents:
    """The images in a manifest, each entry of an index that leads to one, and what could not be read."""

    images: list[Descriptor] = field(default_factory=list)
    unreadable: list[tuple[Descriptor, RegistryError]] = field(default_factory=list)


def read_contents(repository: Repository, root: Manifest) -> Contents:
    """Return the images in ``root``: itself, or the entries of an index and of indexes within it, in their order.

    Requests: a GET for each index within an index and for each entry whose media type does not tell what it is. Raises
    ProtocolError for an index that is nested too deeply, or has too many images.
    """
    if not root.is_index:
        return Contents([root.descriptor])
    entries: dict[str, list[Descriptor]] = {}
    errors: dict[str, RegistryError] = {}

    def visit(digest: str) -> list[str]:
        """Read a manifest, and return the entries of it that may be indexes. An index has ``entries``, an image none."""
        try:
            manifest = root if digest == root.digest else repository.manifest(digest)
            children = [child for child in manifest.children if not child.attests]
        except UNREADABLE as error:
            errors[digest] = error
            return []
        if manifest.is_index:
            entries[digest] = children
        return [child.digest for child in children if child.media_type not in _LEAVES]

    levels = walk([root.digest], visit, repository.concurrency)
    if root.digest in errors:
        raise errors[root.digest]
    contents = Contents()
    for digest in (digest for level in levels for digest in level if digest in entries):
        for child in entries[digest]:
            if child.digest in errors:
                contents.unreadable.append((child, errors[child.digest]))
            elif child.digest not in entries:
                contents.images.append(child)
    if len(contents.images) > _MAX_IMAGES:
        raise ProtocolError(f"it has more than {_MAX_IMAGES} images, which is too many to verify.")
    return contents
