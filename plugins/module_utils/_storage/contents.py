# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What all places on disk have in common: contents by their digests, read in files or embedded in descriptors."""

from __future__ import annotations

import abc
import contextlib
import io
import os
import typing as t

from .._errors import DigestMismatch, NotFound
from .._oci.content import CONFIG_LIMIT, MANIFEST_READ_LIMIT, Descriptor, Manifest
from .._oci.documents import IMAGE_CONFIG, parse_json_object
from .._oci.stores import CopyPlan, Source
from .._oci.verified_reader import BytesReader, read_blob
from .files import PATIENCE, digest_of_file, read_all
from .folder import Folder
from .ingest import Ingest, ingest, tidy
from .listing import Entry, names_of
from .record import ProvenFile, VerifiedFiles


class LocalContents(abc.ABC):
    """Images in a layout, an archive or a directory, to be read."""

    path: str

    @abc.abstractmethod
    def entries(self) -> list[Entry]:
        """Return the descriptors of the images, as ``index.json`` lists them."""

    @abc.abstractmethod
    def size_of(self, digest: str) -> int | None:
        """Return the bytes that are kept under ``digest``, None for nothing; they are not looked at."""

    @abc.abstractmethod
    def open_digest(self, digest: str) -> io.RawIOBase | None:
        """Open what is kept under ``digest``, None for nothing."""

    def resolve(self, name: str) -> Descriptor | None:
        for entry in self.entries():
            if name == entry["digest"] or name in names_of(entry):
                return Descriptor.from_dict(entry)
        return None

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        """Return a manifest, verified. Raises NotFound, DigestMismatch and ProtocolError."""
        with contextlib.closing(self.open_blob(descriptor)) as source:
            name = str(getattr(source, "name", descriptor.digest))
            raw = read_all(source, name, MANIFEST_READ_LIMIT)
        try:
            return Manifest.parse(raw, descriptor.media_type, descriptor.digest)
        except DigestMismatch as error:
            raise error.replace_message(
                f"{name} is damaged: its content is not that of {descriptor.digest}."
            ) from None

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        """Open a blob; its bytes are not verified. Raises NotFound."""
        source = self.open_digest(descriptor.digest)
        if source is None and descriptor.embedded is not None:
            source = BytesReader(descriptor.embedded)
        if source is None:
            raise NotFound(f"{self.path} does not hold {descriptor.digest}.")
        return source

    def origin(self, descriptor: Descriptor) -> Source:
        return self

    def holds(self, descriptor: Descriptor) -> bool:
        """Tell whether the content is here; its bytes are not read. Raises DigestMismatch where its size is wrong."""
        size = self.size_of(descriptor.digest)
        if size is None:
            return descriptor.embedded is not None
        if size != descriptor.size:
            raise DigestMismatch(
                f"{descriptor.digest} in {self.path} is damaged: it has {size} bytes instead of {descriptor.size}."
            )
        return True


def contradiction(contents: LocalContents, image: Manifest) -> str | None:
    """Return what is wrong with an image whose configuration lists another number of layers than its manifest has.

    None for one that is right, for what is no image with a file system, and where the configuration is not here.
    """
    config = image.config
    if not (image.is_image and config and all(".tar" in layer.media_type for layer in image.layers)):
        return None
    if contents.size_of(config.digest) is None and config.embedded is None:
        return None
    diff_ids = listed_layers(read_blob(contents.open_blob(config), config, CONFIG_LIMIT), "image config")
    if len(diff_ids) == len(image.layers):
        return None
    return f"its manifest has {len(image.layers)} and its configuration {len(diff_ids)} layers"


def listed_layers(config: bytes, name: str) -> list[t.Any]:
    """Return ``rootfs.diff_ids`` of an image configuration, called ``name`` in errors (image-spec, "Image Configuration")."""
    rootfs = parse_json_object(config, name, IMAGE_CONFIG).get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    return diff_ids if isinstance(diff_ids, list) else []


class FolderStore(LocalContents):
    """A store that keeps each content in a file of its own. Files get their names when they are complete and verified."""

    _ingest: Ingest

    def __init__(
        self, path: str, patience: float = PATIENCE, private: bool = False, read_all_files: bool = False
    ) -> None:
        """``patience`` is how many seconds another process that writes nothing may hold the store.

        With ``private``, new files and directories are for this user only. With ``read_all_files``, what exists or is sent
        is verified by reading it; without, files that have not changed since they were verified are believed.
        """
        self.path = path
        self.folder = Folder(path)
        self._patience = patience
        self._private = private
        self._read_all_files = read_all_files
        self._record = VerifiedFiles(path)
        self._verified: set[str] = set()

    @abc.abstractmethod
    def name_of(self, digest: str) -> str:
        """Return the file, below the directory, that is written for ``digest``."""

    @abc.abstractmethod
    def check_own(self) -> None:
        """Raise InvalidInput where the directory holds something else, which is not to be written to."""

    def find(self, digest: str) -> str | None:
        """Return the file, below the directory, that is kept for ``digest``; None where there is none."""
        name = self.name_of(digest)
        return name if self.folder.status(name) else None

    def find_readable(self, digest: str) -> str | None:
        """Return a file that ``digest`` can be read from, which may be kept for something else; None where there is none."""
        return self.find(digest)

    @abc.abstractmethod
    def names(self) -> list[str]:
        """Return all files and directories of the store, below its own."""

    def paths(self) -> list[str]:
        """Return the paths of the directory, and of all files and directories in it that belong to the store."""
        return [self.path, *map(self.folder.path_of, self.names())]

    def size_of(self, digest: str) -> int | None:
        name = self.find_readable(digest)
        file = self.folder.open(name) if name else None
        if file is None:
            return None
        with file:
            return os.fstat(file.fileno()).st_size

    def open_digest(self, digest: str) -> io.RawIOBase | None:
        name = self.find_readable(digest)
        return self.folder.open(name) if name else None

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        """Open a blob; its bytes are not verified, except that a ProvenFile has the right ones. Raises NotFound."""
        source = super().open_blob(descriptor)
        if isinstance(source, io.FileIO):
            status = os.fstat(source.fileno())
            if status.st_size == descriptor.size and self._believes(descriptor.digest, status):
                return ProvenFile(source, descriptor, status)
        return source

    def exists(self, descriptor: Descriptor) -> bool:
        """Tell whether the content is here and right: it was read once, by this run or, untouched since, by another."""
        if descriptor.digest in self._verified:
            return True
        name = self.find(descriptor.digest)
        if name is None or self.folder.file_size(name) != descriptor.size:
            return False
        file = self.folder.open(name)
        if file is None:
            return False
        with self.folder.errors(name), file:
            status = os.fstat(file.fileno())
            if not self._believes(descriptor.digest, status) and not self._is_right(file, descriptor):
                return False
        self._keep(descriptor.digest, status)
        return True

    def put_blob(self, descriptor: Descriptor, source: Source) -> bool:
        # Another process may have stored it while this one waited.
        if not self.exists(descriptor):
            status = self._ingest.receive(descriptor, source, self.name_of(descriptor.digest))
            self._keep(descriptor.digest, status)
        return True

    @contextlib.contextmanager
    def writing(self, work: CopyPlan, names: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[None]:
        """Hold the directory, which is made if it is missing, alone for writing; other processes wait."""
        with ingest(self.folder, work.blobs, self._patience, self._private) as self._ingest:
            yield
        self._record.save(self._look)

    def tidy(self) -> None:
        """Finish a run that had nothing to write: remove what killed runs left, and record what was verified."""
        tidy(self.folder, self._patience)
        self._record.save(self._look)

    def _believes(self, digest: str, status: os.stat_result) -> bool:
        """Tell whether a file that is as ``status`` says need not be read to be known as that of ``digest``."""
        return not self._read_all_files and self._record.proves(digest, status)

    def _is_right(self, file: io.RawIOBase, descriptor: Descriptor) -> bool:
        return digest_of_file(file, descriptor.digest) == descriptor.digest

    def _keep(self, digest: str, status: os.stat_result) -> None:
        self._verified.add(digest)
        self._record.add(digest, status)

    def _look(self, digest: str) -> os.stat_result | None:
        name = self.find(digest)
        return self.folder.status(name) if name else None
