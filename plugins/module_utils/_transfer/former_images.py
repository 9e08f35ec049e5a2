# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The images that tags have before they move: some registries delete them with their last tag, so they are stored again."""

from __future__ import annotations

import contextlib
import typing as t

from .._errors import RegistryError
from .._oci.content import Manifest
from .._registry.dropped import put_back_dropped, read_images
from .._registry.repository import Repository
from .targets import Target, Write


class FormerImages:
    """The images that ``targets`` had when they were looked up, with what indexes need of them."""

    def __init__(self, targets: t.Sequence[Target]) -> None:
        self._targets = targets
        self._images: dict[str, tuple[Repository, dict[str, Manifest]]] = {}

    def read(self) -> dict[str, Manifest]:
        """Read the images, before any tag moves, and return them by their digests. What cannot be read is left out.

        A GET for each image, and each that is part of an index.
        """
        by_repository: dict[str, list[Target]] = {}
        for target in self._targets:
            if target.before:
                by_repository.setdefault(target.reference.name, []).append(target)
        for name, targets in by_repository.items():
            repository = targets[0].repository
            digests = dict.fromkeys(target.before for target in targets if target.before)
            self._images[name] = (repository, read_images(repository, digests))
        return {
            digest: manifest
            for _repository, images in self._images.values()
            for digest, manifest in images.items()
        }

    def put_back(self) -> None:
        """Store again what the registry deleted with a tag that was moved away; warn where that cannot be done.

        A HEAD for each image.
        """
        for name, (repository, images) in self._images.items():
            moved = [target for target in self._targets if target.reference.name == name]
            if not images or all(target.write is Write.NONE for target in moved):
                continue
            warn = moved[0].clients.warn
            try:
                put_back_dropped(repository, images, warn)
            except RegistryError as error:
                warn(
                    f"It could not be looked up whether {' and '.join(images)} is still in {repository}, whose tag was moved:"
                    f" {error}"
                )


@contextlib.contextmanager
def former_images_kept(targets: t.Sequence[Target]) -> t.Iterator[None]:
    """Be the context in which tags move that were looked up: what they had stays in the registry, also after a failure."""
    images = FormerImages(targets)
    images.read()
    try:
        yield
    finally:
        images.put_back()
