# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Where images are kept: what the copy engine needs of any such place, and a registry's repository as one of them."""

from __future__ import annotations

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._blobs import BlobBody, BlobDownload, Reader, upload
from ansible_collections.ocikit.registry.plugins.module_utils._client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._content import Descriptor, Manifest
from ansible_collections.ocikit.registry.plugins.module_utils._errors import NotFound


class Source(t.Protocol):
    """A place that images are read from."""

    def resolve(self, name: str) -> Descriptor | None:
        """Return the descriptor that a tag, a digest or another name of an image stands for here."""

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        """Return a manifest whose bytes have the descriptor's digest."""

    def open_blob(self, descriptor: Descriptor) -> Reader:
        """Return the bytes of a blob as they are stored; whoever reads them verifies them."""


class Store(Source, t.Protocol):
    """A place that images are written to as well. Whatever it says exists has been verified, or is kept by a registry."""

    # Whether a manifest that exists vouches for everything it needs: registries look when they take one.
    vouches: bool

    def exists(self, descriptor: Descriptor) -> bool:
        """Tell whether the content is here, complete and right."""

    def put_blob(self, descriptor: Descriptor, source: Source) -> bool:
        """Store a blob of ``source``, verified. False: it was mounted, and no byte had to move."""

    def put_manifest(self, manifest: Manifest, name: str | None = None) -> None:
        """Store a manifest whose successors are here, and let ``name`` point to it if one is given."""


class RepositoryStore:
    """One repository of a registry."""

    vouches = True

    def __init__(self, client: RegistryClient, repository: str) -> None:
        self.client = client
        self.repository = repository

    def resolve(self, name: str) -> Descriptor | None:
        return self.client.resolve(self.repository, name)

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        return self.client.manifest(self.repository, descriptor.digest)

    def open_blob(self, descriptor: Descriptor) -> Reader:
        return BlobDownload(self.client, self.repository, descriptor)

    def exists(self, descriptor: Descriptor) -> bool:
        if descriptor.is_manifest:
            return self.client.resolve(self.repository, descriptor.digest) is not None
        return self.client.has_blob(self.repository, descriptor.digest)

    def put_blob(self, descriptor: Descriptor, source: Source) -> bool:
        session = None
        if isinstance(source, RepositoryStore) and source.client.endpoint == self.client.endpoint:
            session = self.client.mount_blob(self.repository, descriptor.digest, source.repository)
            if session is None:
                return False
        body = BlobBody(descriptor, lambda: source.open_blob(descriptor))
        upload(self.client, self.repository, descriptor, body, session)
        return True

    def put_manifest(self, manifest: Manifest, name: str | None = None) -> None:
        self.client.put_manifest(self.repository, name or manifest.digest, manifest)


def fetch(source: Source, name: str, what: str) -> Manifest:
    """Return the manifest that ``name`` stands for in ``source``. Raises NotFound, calling it ``what``."""
    if isinstance(source, RepositoryStore):
        # A tag and its manifest in one request.
        return source.client.manifest(source.repository, name)
    descriptor = source.resolve(name)
    if descriptor is None:
        raise NotFound(f"{what} does not exist.")
    return source.fetch_manifest(descriptor)
