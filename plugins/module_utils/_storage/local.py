# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The places on disk that images are pulled to and pushed from, by the names of their formats."""

from __future__ import annotations

import os
import typing as t

from .._errors import InvalidInput, printable
from .._oci.content import Descriptor, Manifest
from .._oci.stores import Store
from .archive import ArchiveSource, ArchiveStore
from .directory import MANIFEST, DirectoryStore
from .oci_layout import LayoutStore, name_of

FORMATS = ("oci", "oci-archive", "docker-archive", "dir")


class LocalStore(Store, t.Protocol):
    """A store on disk, which knows by which names it lists its images."""

    def lists(self, images: t.Iterable[tuple[Manifest, str]]) -> bool:
        """Tell whether a copy of ``images``, whose contents are here, would change the names."""


def open_store(path: str, kind: str, image_names: t.Mapping[str, str]) -> LocalStore:
    """Return the store of the format ``kind`` at ``path``, which need not exist yet. Raises InvalidInput."""
    if kind == "oci":
        return LayoutStore(path, image_names)
    if kind == "dir":
        store = DirectoryStore(path)
        store.check_own()
        return store
    if os.path.isdir(path):
        raise InvalidInput(f"{path} is a directory: the format {kind} is a file.")
    return ArchiveStore(path, image_names, docker=kind == "docker-archive")


def open_source(path: str) -> LayoutStore | DirectoryStore | ArchiveSource:
    """Return what ``path`` is: a layout, a plain directory or an archive. Raises InvalidInput."""
    if not os.path.exists(path):
        raise InvalidInput(f"{path} does not exist on the host that runs this task.")
    if os.path.isfile(path):
        return ArchiveSource(path)
    if not os.path.isdir(path):
        raise InvalidInput(f"{path} is neither a file nor a directory.")
    if os.path.exists(os.path.join(path, "index.json")):
        return LayoutStore(path)
    if os.path.exists(os.path.join(path, MANIFEST)):
        return DirectoryStore(path)
    raise InvalidInput(f"{path} holds no image: it has neither index.json nor {MANIFEST}.")


def image_in(source: LayoutStore | DirectoryStore | ArchiveSource, name: str | None) -> Descriptor:
    """Return the image that ``name`` chooses: a name, the tag of one, a digest, or a position counted from 0.

    Without a name there must be one image only. Raises InvalidInput naming what there is.
    """
    entries = source.entries()
    names = [name_of(entry) or entry["digest"] for entry in entries]
    if name is None:
        chosen = entries if len({entry["digest"] for entry in entries}) == 1 else []
    else:
        chosen = [entry for entry, own in zip(entries, names) if name in (own, entry["digest"])]
        chosen = chosen or [entry for entry, own in zip(entries, names) if own.rpartition(":")[2] == name]
        if not chosen and name.isdecimal() and int(name) < len(entries):
            chosen = [entries[int(name)]]
    if not chosen or len({entry["digest"] for entry in chosen}) > 1:
        offered = printable(", ".join(names)) or "none"
        wanted = (
            "Say with name which image is meant"
            if name is None
            else f"{name!r} is not one image of {source.path}"
        )
        raise InvalidInput(f"{wanted}: there are {offered}.")
    return Descriptor.from_dict(chosen[0])


def holds(paths: t.Sequence[str]) -> t.Callable[[Descriptor], bool]:
    """Return a function that tells whether a blob is in one of the layouts, directories or archives at ``paths``."""
    sources = [open_source(path) for path in paths]
    return lambda descriptor: any(source.holds(descriptor) for source in sources)
