# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What a prune has to know of a repository, read before anything is decided. What cannot change is remembered on disk."""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

from .._errors import DigestMismatch, NotFound, ProtocolError, RegistryError, ServerFault
from .._oci.content import Manifest
from .._oci.digest_tags import subject_of_tag
from .._parallel import map_concurrent
from .._registry.client import RegistryClient
from .._registry.images import created_time, image_config
from .._registry.placeholder import removed_tags
from .._registry.repository import Repository
from .._storage.files import replacing, storage_errors, write_all
from .policy import ManifestRecord, Snapshot

_MAX_NESTING = 6
_OVERLOADED = frozenset((502, 503, 504))
# The number changes with what a record says: what an older release wrote is read anew.
_FORMAT = b"ocikit.registry/facts/2"


class SnapshotCache:
    """Facts of manifests by digest, in a file for each repository. Without a directory nothing is kept.

    A digest stands for content that cannot change, so nothing here grows old. What stands in the file decides what is
    deleted: it counts as empty if it is damaged, or if somebody else could have written it.
    """

    def __init__(self, directory: str | None, registry: str, repository: str) -> None:
        name = hashlib.sha256(f"{registry}/{repository}".encode()).hexdigest()
        self._path = os.path.join(directory, f"{name}.json") if directory else None
        self.known = self._load()

    def save(self, facts: t.Mapping[str, ManifestRecord]) -> None:
        """Keep ``facts``, and only these: what the repository no longer has is dropped. Raises LocalStorageError."""
        if self._path is None or facts == self.known:
            return
        content = json.dumps(facts, separators=(",", ":")).encode()
        with storage_errors(self._path):
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            with replacing(self._path) as file:
                os.fchmod(file.fileno(), 0o600)
                write_all(file, _seal(content) + content)

    def _load(self) -> dict[str, ManifestRecord]:
        if self._path is None:
            return {}
        try:
            with open(os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                status = os.fstat(file.fileno())
                seal, content = file.readline(200), file.read()
            if status.st_uid != os.geteuid() or status.st_mode & 0o022 or seal != _seal(content):
                return {}
            return {digest: _from_json(*entry) for digest, entry in json.loads(content).items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return {}


def take_snapshot(
    client: RegistryClient,
    repository: str,
    concurrency: int,
    cache: SnapshotCache,
    untagged: t.Iterable[str] = (),
) -> Snapshot | None:
    """Read the facts of a repository, or None where it does not exist.

    A HEAD for each tag; a manifest and a config for each digest that is not in ``cache``, and for those in ``untagged``
    that exist. A tag whose data cannot be read has the digest None; anything that says nothing about single tags, such
    as a refusal or a registry that is overloaded, is raised.
    """
    page = client.tags(repository)
    if page is None:
        return None
    found = map_concurrent(lambda tag: _digest(client, repository, tag), page.names, concurrency)
    tags = {tag: digest for tag, (exists, digest) in zip(page.names, found) if exists}
    reading = _Reading(client, repository, cache.known)
    # What a signature is about may have lost its tags.
    subjects = {subject for subject in map(subject_of_tag, tags) if subject}
    wanted = subjects.union(untagged, (digest for digest in tags.values() if digest))
    for _level in range(_MAX_NESTING):
        map_concurrent(reading.read, sorted(wanted), concurrency)
        wanted = {other for digest in wanted for other in reading.named_by(digest)} - reading.seen
        if not wanted:
            break
    manifests = reading.manifests
    cache.save({digest: facts for digest, facts in manifests.items() if digest not in reading.unsure})
    _date_indexes(manifests)
    broken = _above(reading.unreadable | wanted, manifests)

    def readable(tag: str) -> bool:
        return tags[tag] in manifests and broken.isdisjoint((tags[tag], subject_of_tag(tag)))

    return Snapshot({tag: digest if readable(tag) else None for tag, digest in tags.items()}, manifests)


class _Reading:
    """The manifests of a repository, as they are read one by one, by several threads."""

    def __init__(
        self, client: RegistryClient, repository: str, known: t.Mapping[str, ManifestRecord]
    ) -> None:
        self._client = client
        self._repository = repository
        self._known = known
        self.manifests: dict[str, ManifestRecord] = {}
        self.seen: set[str] = set()
        self.unreadable: set[str] = set()
        self.unsure: set[str] = set()

    def read(self, digest: str) -> None:
        """Add the facts of a manifest. It is ``unreadable`` if the registry fails; what is absent has none."""
        self.seen.add(digest)
        if digest in self._known:
            self.manifests[digest] = self._known[digest]
            return
        try:
            fetched = self._client.find_manifest(self._repository, digest)
            if fetched:
                self.manifests[digest] = self._facts(fetched.manifest)
        except (ProtocolError, ServerFault, DigestMismatch) as error:
            _check_passing(error)
            self.unreadable.add(digest)

    def named_by(self, digest: str) -> list[str]:
        """Return the manifests that a manifest names."""
        facts = self.manifests.get(digest)
        if facts is None:
            return []
        blobs = {blob for blob, _size in facts.blobs}
        return [other for other in (*facts.children, facts.subject) if other and other not in blobs]

    def _facts(self, manifest: Manifest) -> ManifestRecord:
        created = created_time(manifest, None)
        config = self._config(manifest) if created is None else None
        return ManifestRecord(
            manifest.media_type,
            len(manifest.raw),
            created_time(manifest, config) if config else created,
            # All of them: build caches have indexes of layers, and some tools name types of their own.
            tuple(child.digest for child in manifest.children),
            manifest.subject.digest if manifest.subject else None,
            tuple((one.digest, one.size) for one in manifest.successors() if not one.is_manifest),
            tuple(removed_tags(manifest, config["full"])) if config else (),
        )

    def _config(self, manifest: Manifest) -> dict[str, t.Any] | None:
        """Return the config of an image, or None. What is gone or malformed tells nothing; other failures are raised."""
        try:
            return image_config(Repository(self._client, self._repository), manifest)
        except NotFound:
            self.unsure.add(manifest.digest)
        except ProtocolError as error:
            if error.status:
                raise
        return None


def _digest(client: RegistryClient, repository: str, tag: str) -> tuple[bool, str | None]:
    """Return whether a tag exists, and its digest if it can be read."""
    try:
        descriptor = client.resolve(repository, tag)
    except (ProtocolError, ServerFault, DigestMismatch) as error:
        _check_passing(error)
        return True, None
    return descriptor is not None, descriptor.digest if descriptor else None


def _check_passing(error: RegistryError) -> None:
    """Raise an error that will pass, and tells nothing about a manifest; others, such as 500, a damaged one has as well."""
    if error.status in _OVERLOADED:
        raise error


def _date_indexes(manifests: dict[str, ManifestRecord]) -> None:
    """An index without a date of its own is as new as the newest image in it."""

    def date(digest: str, depth: int = 0) -> float | None:
        facts = manifests.get(digest)
        if facts is None or depth > _MAX_NESTING:
            return None
        if facts.created is None and facts.children:
            dates = [date(child, depth + 1) for child in facts.children]
            manifests[digest] = facts._replace(
                created=max((one for one in dates if one is not None), default=None)
            )
        return manifests[digest].created

    for digest in list(manifests):
        date(digest)


def _above(digests: set[str], manifests: t.Mapping[str, ManifestRecord]) -> set[str]:
    """Return ``digests`` and all that name one of them, directly or not."""
    found: set[str] = set()
    while not digests <= found:
        found |= digests
        digests = {
            digest
            for digest, facts in manifests.items()
            if not found.isdisjoint((*facts.children, facts.subject))
        }
    return found


def _seal(content: bytes) -> bytes:
    return b"%s %s\n" % (_FORMAT, hashlib.sha256(content).hexdigest().encode())


def _from_json(
    media_type: str,
    size: int,
    created: float | None,
    children: list[str],
    subject: str | None,
    blobs: list[tuple[str, int]],
    removed: list[str],
) -> ManifestRecord:
    pairs = tuple((blob[0], blob[1]) for blob in blobs)
    return ManifestRecord(media_type, size, created, tuple(children), subject, pairs, tuple(removed))
