# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Images in tar archives: an OCI image layout in a tar, what docker save writes, or both in one."""

from __future__ import annotations

import io
import typing as t

from .._errors import DigestMismatch, InvalidInput, ProtocolError
from .._oci.content import MANIFEST_READ_LIMIT, Descriptor, Manifest
from .._oci.graph import walk
from .._oci.verified_reader import BytesReader
from .contents import LocalContents, contradiction
from .docker_save import MANIFEST_JSON, SavedImages
from .listing import IMAGE_NAME, Entry, ImageName, blob_name, entries_in, entry_of, is_called
from .tar_members import TarMembers

_INDEX = "index.json"


class ArchiveSource(LocalContents):
    """The images of an archive: of an OCI layout, or of ``docker save``, also of versions that write no layout.

    It may be compressed with gzip, bzip2, xz, or zstd where a library for it is here.
    """

    def __init__(self, path: str, max_unpacked_size: int | None = None) -> None:
        """Index the archive. Raises InvalidInput where it is none, a damaged or a hostile one.

        ``max_unpacked_size`` limits what it, or a layer in it, unpacks to; see unpacked_limit().
        """
        self.path = path
        self.members = TarMembers(path, max_unpacked_size)
        self._saved = SavedImages(self.members, max_unpacked_size)
        entries: list[Entry] = []
        if _INDEX in self.members:
            raw = self.members.read(_INDEX, MANIFEST_READ_LIMIT) or b""
            entries = entries_in(raw, f"{_INDEX} of {path}")
        elif MANIFEST_JSON not in self.members:
            raise InvalidInput(f"{path} holds no image: it has neither {_INDEX} nor {MANIFEST_JSON}.")
        self._entries = entries
        if MANIFEST_JSON in self.members:
            self._entries = self._with_saved(entries)

    def entries(self) -> list[Entry]:
        return self._entries

    def size_of(self, digest: str) -> int | None:
        made = self._saved.manifests.get(digest)
        place = self.members.place(self._member(digest))
        return len(made.raw) if made else place.size if place else None

    def open_digest(self, digest: str) -> io.RawIOBase | None:
        made = self._saved.manifests.get(digest)
        return BytesReader(made.raw) if made else self.members.open(self._member(digest))

    def _member(self, digest: str) -> str:
        return self._saved.by_digest.get(digest) or blob_name(digest)

    def _with_saved(self, entries: t.Sequence[Entry]) -> list[Entry]:
        """Return ``entries`` and what ``manifest.json`` adds to them: images, names, and manifests that are not damaged.

        Versions of Docker have written no entries, or manifests without their layers, beside a ``manifest.json`` that is
        right.
        """
        result = list(entries)
        held = [self._images_of(entry) for entry in entries]
        for saved in self._saved.images():
            config = self._saved.config_digest(saved)
            places = [place for place, images in enumerate(held) if config in images]
            if not places:
                manifest = self._saved.manifest(saved)
                result += [entry_of(manifest, ImageName(tag)) for tag in saved.tags or [""]]
            for place in places:
                image = held[place][config]
                if image.digest == entries[place]["digest"] and contradiction(self, image):
                    made = self._saved.manifest(saved).descriptor
                    described = {"mediaType": made.media_type, "digest": made.digest, "size": made.size}
                    result[place] = {**entries[place], **described}
                result += [
                    {**result[place], "annotations": {IMAGE_NAME: tag}}
                    for tag in saved.tags
                    if not is_called(result[place], tag)
                ]
        return result

    def _images_of(self, entry: Entry) -> dict[str, Manifest]:
        """Return the images that an entry leads to, as far as they are here, by the digests of their configurations."""
        descriptors = {entry["digest"]: Descriptor.from_dict(entry)}
        images: dict[str, Manifest] = {}

        def visit(digest: str) -> list[str]:
            if not descriptors[digest].is_manifest or self.size_of(digest) is None:
                return []
            try:
                manifest = self.fetch_manifest(descriptors[digest])
                if manifest.config:
                    images[manifest.config.digest] = manifest
                descriptors.update((child.digest, child) for child in manifest.children)
                return [child.digest for child in manifest.children]
            except (DigestMismatch, InvalidInput, ProtocolError):
                # Whoever chooses it is told.
                return []

        walk([entry["digest"]], visit)
        return images
