# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The places on disk that images are pulled to and pushed from, by the names of their formats."""

from __future__ import annotations

import io
import os
import typing as t

from .._errors import DigestMismatch, InvalidInput, NotFound, ProtocolError, printable
from .._oci.content import Descriptor, Manifest
from .._oci.graph import walk
from .._oci.stores import Source, Store
from .archive import ArchiveSource
from .archive_store import ArchiveStore
from .contents import LocalContents, contradiction
from .directory import MANIFEST, DirectoryStore
from .files import PATIENCE
from .listing import Entry, ImageName, chosen, labels, names_of
from .oci_layout import LayoutStore

FORMATS = ("oci", "oci-archive", "docker-archive", "dir")


class LocalStore(Store, t.Protocol):
    """A store on disk, which knows by which names it lists its images."""

    def lists(self, images: t.Iterable[tuple[Manifest, str]]) -> bool:
        """Tell whether a copy of ``images``, whose contents are here, would change the names."""

    def listed_name(self, name: str) -> str:
        """Return the name that an image has here, or would get, which was to be called ``name``."""

    def paths(self) -> list[str]:
        """Return the paths of all files and directories that the store consists of."""

    def tidy(self) -> None:
        """Finish a run that had nothing to write."""


def open_store(
    path: str,
    kind: str,
    image_names: t.Mapping[str, ImageName],
    patience: float = PATIENCE,
    private: bool = False,
    read_all_files: bool = False,
) -> LocalStore:
    """Return the store of the format ``kind`` at ``path``, which need not exist yet. Raises InvalidInput.

    The other arguments are those of FolderStore; the contents of archives are always read.
    """
    options: dict[str, t.Any] = {"patience": patience, "private": private, "read_all_files": read_all_files}
    if kind == "oci":
        return LayoutStore(path, image_names, **options)
    if kind == "dir":
        store = DirectoryStore(path, **options)
        store.check_own()
        return store
    if os.path.isdir(path):
        raise InvalidInput(f"{path} is a directory: the format {kind} is a file.")
    return ArchiveStore(path, image_names, kind == "docker-archive", private, patience)


class LocalSource:
    """A layout, a plain directory or an archive that images are pushed from, and that may be damaged or incomplete."""

    def __init__(self, contents: LocalContents) -> None:
        self.path = contents.path
        self._contents = contents
        self._indexes: dict[str, Manifest] = {}

    def entries(self) -> list[Entry]:
        """Return the descriptors of the images, as ``index.json`` lists them."""
        return self._contents.entries()

    def resolve(self, name: str) -> Descriptor | None:
        return self._contents.resolve(name)

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        """Return a manifest. Raises InvalidInput for an image whose configuration is not about the layers that it has."""
        try:
            manifest = self._contents.fetch_manifest(descriptor)
        except NotFound as error:
            index = self._indexes.get(descriptor.digest)
            raise (error.add_sentence(self._advice(index)) if index else error) from None
        self._indexes.update((child.digest, manifest) for child in manifest.children)
        wrong = contradiction(self._contents, manifest)
        if wrong:
            raise InvalidInput(
                f"The image {manifest.digest} in {self.path} is damaged: {wrong}. Save or pull it again."
            )
        return manifest

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        return self._contents.open_blob(descriptor)

    def origin(self, descriptor: Descriptor) -> Source:
        return self

    def holds(self, descriptor: Descriptor) -> bool:
        """Tell whether the content is here; its bytes are not read. Raises DigestMismatch where its size is wrong."""
        return self._contents.holds(descriptor)

    def _advice(self, index: Manifest) -> str:
        """Return what to do where a manifest of ``index`` is missing: ``docker save`` takes one platform of many."""
        complete = [
            str(child.platform) for child in index.children if child.platform and self._is_whole(child)
        ]
        if not complete:
            return f"Save or pull the whole index {index.digest} again."
        return (
            f"Not all images of the index {index.digest} are there: set platforms to those that are, which are"
            f" {printable(', '.join(complete))}."
        )

    def _is_whole(self, child: Descriptor) -> bool:
        try:
            needed = self._contents.fetch_manifest(child).successors()
            return all(self._contents.holds(descriptor) or descriptor.is_foreign for descriptor in needed)
        except (DigestMismatch, NotFound, ProtocolError):
            return False

    def image(self, name: str | None) -> Descriptor:
        """Return the image that ``name`` chooses: one of its names, a tag, a digest, or a position counted from 0.

        Without a name there must be one image only; what belongs to another image is none. Raises InvalidInput naming what
        there is.
        """
        entries = self.entries()
        matches = self._roots(entries) if name is None else chosen(entries, name)
        if len({entry["digest"] for entry in matches}) == 1:
            return Descriptor.from_dict(matches[0])
        problem = (
            "Say with name which image is meant"
            if name is None
            else f"{printable(name)!r} is not one image of {self.path}"
        )
        offered = labels(matches if len(matches) > 1 else self._roots(entries))
        raise InvalidInput(f"{problem}: there are {printable(', '.join(offered)) or 'none'}.")

    def _roots(self, entries: t.Sequence[Entry]) -> list[Entry]:
        """Return the entries without those that have no name and belong to another one: its children and referrers.

        oras lists these as well.
        """
        nameless = {entry["digest"] for entry in entries if not names_of(entry)}
        if len({entry["digest"] for entry in entries}) == 1:
            return list(entries)
        descriptors = {entry["digest"]: Descriptor.from_dict(entry) for entry in entries}
        children: set[str] = set()
        subjects: dict[str, str] = {}

        def visit(digest: str) -> list[str]:
            try:
                manifest = self._contents.fetch_manifest(descriptors[digest])
                below = {child.digest: child for child in manifest.children if child.is_manifest}
                if manifest.subject:
                    subjects[digest] = manifest.subject.digest
            except (DigestMismatch, InvalidInput, NotFound, ProtocolError):
                return []
            descriptors.update(below)
            children.update(below)
            return list(below)

        walk(descriptors, visit)
        belonging = children | {digest for digest, subject in subjects.items() if subject in descriptors}
        return [entry for entry in entries if entry["digest"] not in nameless & belonging]


def open_source(path: str, max_unpacked_size: int | None = None, read_all_files: bool = False) -> LocalSource:
    """Return what ``path`` is: a layout, a plain directory or an archive. Raises InvalidInput.

    ``max_unpacked_size`` limits what a compressed archive, or a layer in one, unpacks to, in bytes; see unpacked_limit().
    ``read_all_files`` is that of FolderStore; archives are always read.
    """
    if not os.path.exists(path):
        raise InvalidInput(f"{path} does not exist on the host that runs this task.")
    if os.path.isfile(path):
        return LocalSource(ArchiveSource(path, max_unpacked_size))
    if not os.path.isdir(path):
        raise InvalidInput(f"{path} is neither a file nor a directory.")
    names = os.listdir(path)
    if "index.json" in names:
        return LocalSource(LayoutStore(path, read_all_files=read_all_files))
    if MANIFEST in names:
        directory = DirectoryStore(path, read_all_files=read_all_files)
        if directory.is_docker_save():
            raise InvalidInput(
                f"{path} holds an unpacked archive of docker save: pack it again with 'tar -C {path} -cf image.tar .', and name that"
                " archive."
            )
        return LocalSource(directory)
    raise InvalidInput(f"{path} holds no image: it has neither index.json nor {MANIFEST}.")


def holds(paths: t.Sequence[str], max_unpacked_size: int | None = None) -> t.Callable[[Descriptor], bool]:
    """Return a function that tells whether a blob is in one of the layouts, directories or archives at ``paths``."""
    sources = [open_source(path, max_unpacked_size) for path in paths]

    def is_held(descriptor: Descriptor) -> bool:
        for source in sources:
            try:
                if source.holds(descriptor):
                    return True
            except DigestMismatch:
                # A damaged one is of no use to the receiver.
                continue
        return False

    return is_held
