# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""OCI image layouts: a directory of blobs named by digest, and an index of the images in it (image-spec, "Image Layout")."""

from __future__ import annotations

import contextlib
import os
import typing as t

from .._errors import InvalidInput
from .._oci.content import MANIFEST_READ_LIMIT, Manifest
from .._oci.stores import CopyPlan
from .contents import FolderStore
from .ingest import INGEST
from .listing import MARKER, Entry, ImageName, blob_name, entries_in, entry_of, free_name, index_json, listed

_MARKER_FILE = "oci-layout"
_INDEX = "index.json"
_BLOBS = "blobs"


class LayoutStore(FolderStore):
    """An OCI image layout directory. Files appear under their final names complete and verified, the index last."""

    def __init__(
        self, path: str, image_names: t.Mapping[str, ImageName] | None = None, **options: t.Any
    ) -> None:
        """Open the layout at ``path``, which may be absent or empty. Raises InvalidInput where something else is.

        ``image_names`` tells more of the names that images get here; ``options`` are those of FolderStore.
        """
        super().__init__(path, **options)
        self._image_names = image_names or {}
        if os.path.exists(path) and not os.path.isdir(path):
            raise InvalidInput(f"{path} is not a directory: an OCI image layout is one.")
        self.check_own()

    def check_own(self) -> None:
        names = set(self.folder.names())
        # A run that was killed early leaves a layout without its marker.
        if _MARKER_FILE not in names and names - {INGEST, _BLOBS}:
            raise InvalidInput(
                f"{self.path} holds something else than an OCI image layout: choose another directory."
            )

    @contextlib.contextmanager
    def writing(self, work: CopyPlan, names: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[None]:
        """Hold the layout, which is made if it is missing, alone for writing, and list the images at the end."""
        with super().writing(work, names):
            if self.folder.file_size(_MARKER_FILE) is None:
                self._ingest.write(_MARKER_FILE, MARKER)
            yield
            self._ingest.write(_INDEX, index_json(self._listing(work.named(names))))

    def entries(self) -> list[Entry]:
        raw = self.folder.read(_INDEX, MANIFEST_READ_LIMIT)
        return [] if raw is None else entries_in(raw, f"file {self.folder.path_of(_INDEX)}")

    def put_manifest(self, manifest: Manifest, name: str | None = None) -> None:
        """Store a manifest. It is listed in ``index.json`` when everything is here."""
        if not self.exists(manifest.descriptor):
            status = self._ingest.write(self.name_of(manifest.digest), manifest.raw)
            self._keep(manifest.digest, status)

    def lists(self, images: t.Iterable[tuple[Manifest, str]]) -> bool:
        """Tell whether ``index.json`` says already what writing() of ``images`` would make it say."""
        return self._listing(images) == self.entries()

    def listed_name(self, name: str) -> str:
        """Return the name that an image gets, or has got, which is to be called ``name``."""
        return self._free_name(self.entries(), name).name

    def name_of(self, digest: str) -> str:
        return blob_name(digest)

    def names(self) -> list[str]:
        names = [name for name in self.folder.names() if name in (_MARKER_FILE, _INDEX, _BLOBS)]
        algorithms = [f"{_BLOBS}/{name}" for name in (self.folder.names(_BLOBS) if _BLOBS in names else ())]
        return [
            *names,
            *algorithms,
            *(f"{name}/{blob}" for name in algorithms for blob in self.folder.names(name)),
        ]

    def _listing(self, images: t.Iterable[tuple[Manifest, str]]) -> list[Entry]:
        """Return the entries of ``index.json`` with those of ``images``; the empty name lists by the digest alone."""
        entries = self.entries()
        for manifest, name in images:
            entries = listed(entries, entry_of(manifest, self._free_name(entries, name)))
        return entries

    def _free_name(self, entries: t.Iterable[Entry], name: str) -> ImageName:
        return free_name(entries, self._image_names.get(name, ImageName(name)))
