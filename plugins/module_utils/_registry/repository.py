# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""One repository of a registry: the unit of work, and the remote store of the copy engine."""

from __future__ import annotations

import contextlib
import io
import typing as t

from .._errors import Denied, RegistryError, Unauthorized
from .._http.transport import Body
from .._oci.content import Descriptor, Manifest
from .._oci.reference import is_digest
from .._oci.stores import CopyPlan, Source
from .._oci.verified_reader import read_blob
from .._parallel import map_concurrent
from .blobs import BlobDownload, blob_body, upload
from .client import Deletion, Fetched, Pushed, RegistryClient
from .fallback_tag import add_to_fallback_tag, referrer_descriptor
from .listings import Page

Item = t.TypeVar("Item")
Result = t.TypeVar("Result")
# Called right before each time that a write is sent, repetitions included: it raises what forbids the write by then, or
# AlreadyStored.
Guard = t.Callable[[], None]


class AlreadyStored(Exception):
    """Raised by the guard of a put that finds there what is to be written: an earlier try was carried out."""


class Repository:
    """The operations on one repository. Safe for threads.

    Raises what RegistryClient raises, and what guards raise. ``name`` is without the registry, and ``concurrency`` is how
    many requests map() has under way at a time.
    """

    def __init__(self, client: RegistryClient, name: str, concurrency: int = 1) -> None:
        self.client = client
        self.name = name
        self.concurrency = concurrency

    def __str__(self) -> str:
        return f"{self.registry}/{self.name}"

    @property
    def registry(self) -> str:
        """The registry as references name it."""
        return self.client.endpoint.name

    def image(self, reference: str) -> str:
        """Return what a tag or digest of this repository is called: ``registry/repository:tag`` or ``…@digest``."""
        return f"{self}{'@' if is_digest(reference) else ':'}{reference}"

    def map(self, function: t.Callable[[Item], Result], items: t.Iterable[Item]) -> list[Result]:
        """Return ``function`` of each item, in order, with ``concurrency`` of them at a time."""
        return map_concurrent(function, items, self.concurrency)

    # Manifests

    def resolve(self, name: str, trust_absence: bool = False) -> Descriptor | None:
        """Return what a tag or digest points to, None where it does not exist; see RegistryClient.resolve()."""
        return self.client.resolve(self.name, name, trust_absence)

    def find_manifest(self, reference: str) -> Fetched | None:
        """Return the manifest of a tag or digest with its headers, None where it does not exist."""
        return self.client.find_manifest(self.name, reference)

    def manifest(self, reference: str) -> Manifest:
        """Return the manifest of a tag or digest. Raises NotFound."""
        return self.client.manifest(self.name, reference)

    def put(self, reference: str, manifest: Manifest, guard: Guard | None = None) -> Pushed:
        """Store the bytes of ``manifest`` under a tag or its digest, and check what was stored.

        ``guard`` is called right before each time that the request is sent. AlreadyStored, which it may raise, ends the put
        as one that was carried out.
        """
        try:
            return self.client.put_manifest(self.name, reference, manifest, guard)
        except AlreadyStored:
            return Pushed(manifest.digest, maintains_referrers=False)

    def delete(self, reference: str, guard: Guard | None = None) -> Deletion:
        """Delete a tag or a digest; most registries delete the tags of a digest along with it."""
        return self.client.delete_manifest(self.name, reference, guard)

    # Listings

    def tags(self, limit: int | None = None, last: str | None = None) -> Page | None:
        """List the tags, None where the repository does not exist; see RegistryClient.tags()."""
        return self.client.tags(self.name, limit, last)

    def tag_names(self) -> list[str]:
        """Return all tags, sorted; none where the repository does not exist."""
        page = self.tags()
        return page.names if page else []

    def referrers(self, digest: str, artifact_type: str | None = None) -> list[Descriptor] | None:
        """List what the referrers API has for ``digest``, None where there is no such API."""
        return self.client.referrers(self.name, digest, artifact_type)

    # Blobs

    def has_blob(self, digest: str) -> bool:
        """Tell whether a blob exists."""
        return self.client.has_blob(self.name, digest)

    def read_blob(self, descriptor: Descriptor, limit: int) -> bytes:
        """Return the content of a blob, verified. Raises ProtocolError where it has more than ``limit`` bytes."""
        return read_blob(self.open_blob(descriptor), descriptor, limit)

    def upload(self, descriptor: Descriptor, body: Body, session: str | None = None) -> None:
        """Store a blob; ``session`` is an upload that is open already."""
        upload(self.client, self.name, descriptor, body, session)

    # As a store of the copy engine

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        return self.manifest(descriptor.digest)

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        return BlobDownload(self.client, self.name, descriptor)

    def origin(self, descriptor: Descriptor) -> Source:
        return self

    def exists(self, descriptor: Descriptor) -> bool:
        if descriptor.is_manifest:
            return self.resolve(descriptor.digest, trust_absence=True) is not None
        return self.has_blob(descriptor.digest)

    def writing(self, work: CopyPlan, names: t.Mapping[str, t.Sequence[str]]) -> t.ContextManager[t.Any]:
        return contextlib.nullcontext()

    def put_blob(self, descriptor: Descriptor, source: Source) -> bool:
        session = None
        origin = source.origin(descriptor)
        name = self.mountable(origin)
        if name:
            session = self.client.mount_blob(self.name, descriptor.digest, name)
            if session is None:
                return False
        opened: list[io.RawIOBase] = []
        try:
            if isinstance(origin, Repository) and session is None:
                opened.append(source.open_blob(descriptor))
                session = self._start_both(opened[0])
            body = blob_body(descriptor, lambda: opened.pop() if opened else source.open_blob(descriptor))
            self.upload(descriptor, body, session)
        finally:
            for blob in opened:
                blob.close()
        return True

    def _start_both(self, blob: io.RawIOBase) -> str:
        """Start an upload and, at the same time, the download of the ``blob`` that it sends; return the URL of the upload.

        A download that cannot be started is tried again by the upload.
        """
        sessions: list[str] = []

        def start_upload() -> None:
            sessions.append(self.client.start_upload(self.name))

        def start_download() -> None:
            with contextlib.suppress(RegistryError):
                blob.readinto(bytearray())

        try:
            map_concurrent(
                lambda start: start(), [start_upload, start_download], min(int(self.concurrency), 2)
            )
        except BaseException:
            for session in sessions:
                self.client.cancel_upload(self.name, session)
            raise
        return sessions[0]

    def mountable(self, origin: Source) -> str | None:
        """Return the repository that blobs of ``origin`` can be mounted from; None where it is no part of this registry."""
        if not isinstance(origin, Repository):
            return None
        if origin.client.endpoint.address == self.client.endpoint.address:
            return origin.name
        return None

    def put_manifest(self, manifest: Manifest, name: str | None = None) -> None:
        """Store a manifest. A registry that does not keep track of referrers gets that done by the fallback tag."""
        if manifest.subject and name:
            # The name comes last: a run that was killed in between would not know that the listing is missing.
            self.put_manifest(manifest)
            self.put(name, manifest)
            return
        pushed = self.put(name or manifest.digest, manifest)
        if manifest.subject and not pushed.maintains_referrers:
            add_to_fallback_tag(self, manifest.subject.digest, referrer_descriptor(manifest))


class MountableSource:
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

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
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
