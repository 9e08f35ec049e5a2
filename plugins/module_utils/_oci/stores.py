# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Where images are kept: what the copy engine needs of any such place, and a registry's repository as one of them."""

from __future__ import annotations

import contextlib
import typing as t

from .._errors import Denied, Unauthorized
from .._registry.blobs import (
    BlobBody,
    BlobDownload,
    Reader,
    upload,
)
from .._registry.client import RegistryClient
from .._registry.referrers import (
    add_to_fallback_tag,
    referrer_descriptor,
)
from .content import Descriptor, Manifest

if t.TYPE_CHECKING:
    from .._transfer.copy import CopyPlan


class Contents(t.Protocol):
    """What is found by its digest."""

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        """Return a manifest whose bytes have the descriptor's digest."""

    def open_blob(self, descriptor: Descriptor) -> Reader:
        """Return the bytes of a blob as they are stored; whoever reads them verifies them."""


class Source(Contents, t.Protocol):
    """A place that images are read from."""

    def resolve(self, name: str) -> Descriptor | None:
        """Return the descriptor that a tag, a digest or another name of an image stands for here."""

    def origin(self, descriptor: Descriptor) -> Source:
        """Return the store that a blob is kept in: this one, or another that this one passes on or knows of.

        Where that is a repository of the destination's registry, the blob is mounted.
        """


class Store(Source, t.Protocol):
    """A place that images are written to as well. Whatever it says exists has been verified, or is kept by a registry."""

    # Whether a manifest that exists vouches for everything it needs: registries look when they take one.
    checks_references: bool

    def exists(self, descriptor: Descriptor) -> bool:
        """Tell whether the content is here, complete and right."""

    def writing(self, work: CopyPlan, names: t.Mapping[str, t.Sequence[str]]) -> t.ContextManager[t.Any]:
        """Return the context in which the puts of a copy happen; it knows what they are going to be."""

    def put_blob(self, descriptor: Descriptor, source: Source) -> bool:
        """Store a blob of ``source``, verified. False: it was mounted, and no byte had to move."""

    def put_manifest(self, manifest: Manifest, name: str | None = None) -> None:
        """Store a manifest whose successors are here, and let ``name`` point to it if one is given."""


class Repository:
    """One repository of a registry."""

    checks_references = True

    def __init__(self, client: RegistryClient, repository: str) -> None:
        self.client = client
        self.repository = repository

    def resolve(self, name: str) -> Descriptor | None:
        return self.client.resolve(self.repository, name)

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        return self.client.manifest(self.repository, descriptor.digest)

    def open_blob(self, descriptor: Descriptor) -> Reader:
        return BlobDownload(self.client, self.repository, descriptor)

    def origin(self, descriptor: Descriptor) -> Source:
        return self

    def exists(self, descriptor: Descriptor) -> bool:
        if descriptor.is_manifest:
            return self.client.resolve(self.repository, descriptor.digest, trust_absence=True) is not None
        return self.client.has_blob(self.repository, descriptor.digest)

    def writing(self, work: CopyPlan, names: t.Mapping[str, t.Sequence[str]]) -> t.ContextManager[t.Any]:
        return contextlib.nullcontext()

    def put_blob(self, descriptor: Descriptor, source: Source) -> bool:
        session = None
        repository = self.mountable(source.origin(descriptor))
        if repository:
            session = self.client.mount_blob(self.repository, descriptor.digest, repository)
            if session is None:
                return False
        body = BlobBody(descriptor, lambda: source.open_blob(descriptor))
        upload(self.client, self.repository, descriptor, body, session)
        return True

    def mountable(self, origin: Source) -> str | None:
        """Return the repository that blobs of ``origin`` can be mounted from; None where it is no part of this registry."""
        if not isinstance(origin, Repository):
            return None
        if origin.client.endpoint.address == self.client.endpoint.address:
            return origin.repository
        return None

    def put_manifest(self, manifest: Manifest, name: str | None = None) -> None:
        """Store a manifest. A registry that does not keep track of referrers gets that done by the fallback tag."""
        if manifest.subject and name:
            # The name comes last: a run that was killed in between would not know that the listing is missing.
            self.put_manifest(manifest)
            self.client.put_manifest(self.repository, name, manifest)
            return
        pushed = self.client.put_manifest(self.repository, name or manifest.digest, manifest)
        if manifest.subject and not pushed.maintains_referrers:
            add_to_fallback_tag(
                self.client, self.repository, manifest.subject.digest, referrer_descriptor(manifest)
            )


class Mounting:
    """A source whose blobs the destination's registry may have in other repositories as well.

    ``known`` tells where some are for certain; in ``candidates`` the others are looked for.
    """

    def __init__(
        self,
        source: Source,
        known: t.Mapping[str, Repository],
        candidates: t.Sequence[Repository] = (),
    ) -> None:
        self._source = source
        self._known = known
        self._candidates = candidates
        self._origins: dict[str, Source] = {}

    def resolve(self, name: str) -> Descriptor | None:
        return self._source.resolve(name)

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        return self._source.fetch_manifest(descriptor)

    def open_blob(self, descriptor: Descriptor) -> Reader:
        return self._source.open_blob(descriptor)

    def origin(self, descriptor: Descriptor) -> Source:
        if descriptor.digest not in self._origins:
            self._origins[descriptor.digest] = self._find(descriptor)
        return self._origins[descriptor.digest]

    def _find(self, descriptor: Descriptor) -> Source:
        if descriptor.digest in self._known:
            return self._known[descriptor.digest]
        for store in self._candidates:
            try:
                # A mount that fails would leave an upload open.
                if store.exists(descriptor):
                    return store
            except (Unauthorized, Denied):
                # What may not be read cannot be mounted: the blob is sent.
                continue
        return self._source.origin(descriptor)
