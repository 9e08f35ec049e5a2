# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""A plain directory of one image: blobs named by digest, and its manifest, as docker_registry2's pull and skopeo's dir: have it."""

from __future__ import annotations

import io
import os
import typing as t

from .._errors import DigestMismatch, InvalidInput, ProtocolError
from .._oci.content import MANIFEST_READ_LIMIT, SCHEMA1_TYPES, Descriptor, Manifest
from .._oci.reference import is_digest
from .contents import FolderStore
from .files import read_all
from .ingest import INGEST
from .listing import Entry

MANIFEST = "manifest.json"


class DirectoryStore(FolderStore):
    """One image in a directory: ``manifest.json``, written last, and a file for everything else it consists of.

    Files are written as ``sha256:<hex>``; read are also skopeo's, which leave the algorithm out. Schema 1 images are
    taken as well: their manifests have the digest of what they sign.
    """

    def __init__(self, path: str, **options: t.Any) -> None:
        """``options`` are those of FolderStore. Raises InvalidInput where ``path`` is no directory."""
        super().__init__(path, **options)
        if os.path.exists(path) and not os.path.isdir(path):
            raise InvalidInput(f"{path} is not a directory.")

    def check_own(self) -> None:
        held = self.folder.names()
        own = {INGEST, *self.names()}
        foreign = [name for name in held if name not in own]
        if foreign or held == [MANIFEST]:
            raise InvalidInput(
                f"{self.path} holds something else than an image ({(foreign or held)[0]}): choose another directory."
            )

    def entries(self) -> list[Entry]:
        """Return the descriptor of the image, as an index would list it. Raises ProtocolError where it is damaged."""
        image = self._image()
        if image is None:
            return []
        return [{"mediaType": image.media_type, "digest": image.digest, "size": image.size}]

    def resolve(self, name: str) -> Descriptor | None:
        """Return the image's descriptor, whatever its name: there is but one. A digest must be the right one."""
        try:
            image = self._image()
        except ProtocolError:
            return None
        return None if image and is_digest(name) and name != image.digest else image

    def _image(self) -> Descriptor | None:
        raw = self.folder.read(MANIFEST, MANIFEST_READ_LIMIT)
        return Manifest.parse(raw).descriptor if raw is not None else None

    def is_docker_save(self) -> bool:
        """Tell whether the directory has the list of images that ``docker save`` writes, in place of a manifest."""
        raw = self.folder.read(MANIFEST, MANIFEST_READ_LIMIT)
        return raw is not None and raw.lstrip()[:1] == b"["

    def put_manifest(self, manifest: Manifest, name: str | None = None) -> None:
        """Store a manifest: with a name, even an empty one, as the image of the directory."""
        status = self._ingest.write(manifest.digest, manifest.raw)
        self._keep(manifest.digest, status)
        if name is not None:
            self._ingest.write(MANIFEST, manifest.raw)

    def lists(self, images: t.Iterable[tuple[Manifest, str]]) -> bool:
        """Tell whether the directory's image is already the one that put_manifest() would make it."""
        image = self.resolve("")
        return image is not None and all(manifest.digest == image.digest for manifest, _name in images)

    def listed_name(self, name: str) -> str:
        """Return the name that an image gets: a directory keeps none, but results show it."""
        return name

    def name_of(self, digest: str) -> str:
        return digest

    def names(self) -> list[str]:
        return [name for name in self.folder.names() if name in (MANIFEST, "version") or _is_content(name)]

    def find(self, digest: str) -> str | None:
        encoded = digest.partition(":")[2]
        names = (digest, encoded, f"{encoded}.manifest.json")
        return next((name for name in names if self.folder.status(name)), None)

    def find_readable(self, digest: str) -> str | None:
        # skopeo keeps the manifest of the image under no other name.
        image = None if self.find(digest) else self._image()
        return MANIFEST if image and image.digest == digest else self.find(digest)

    def _is_right(self, file: io.RawIOBase, descriptor: Descriptor) -> bool:
        if descriptor.media_type not in SCHEMA1_TYPES:
            return super()._is_right(file, descriptor)
        try:
            raw = read_all(file, descriptor.digest, MANIFEST_READ_LIMIT)
            return bool(Manifest.parse(raw, descriptor.media_type, descriptor.digest))
        except (DigestMismatch, InvalidInput, ProtocolError):
            return False


def _is_content(name: str) -> bool:
    encoded = name.rpartition(":")[2].partition(".")[0]
    return len(encoded) in (64, 128) and all(character in "0123456789abcdef" for character in encoded)
