# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What a prune has to know of a repository, read before anything is decided. What cannot change is remembered on disk."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import typing as t

from .._deletion.tag_states import read_tags
from .._errors import DigestMismatch, NotFound, ProtocolError, RegistryError, ServerFault
from .._oci.content import Manifest
from .._oci.digest_tags import subject_of_tag
from .._oci.graph import closure, parents_first, walk
from .._progress import Progress
from .._registry.images import created_time, image_config
from .._registry.placeholder import removed_tags
from .._registry.repository import Repository
from .._storage.files import replacing, storage_errors, write_all
from .policy import ManifestRecord, Snapshot

_OVERLOADED = frozenset((502, 503, 504))
# The number changes with what a record says: what an older release wrote is read anew.
_FORMAT = b"ocikit.registry/facts/3"


class SnapshotCache:
    """Records of manifests by digest, in a file for each repository. Without a directory nothing is kept.

    A digest stands for content that cannot change, so nothing here grows old. What stands in the file decides what is
    deleted: it counts as empty if it is damaged, or if somebody else could have written it.
    """

    def __init__(self, directory: str | None, registry: str, repository: str, writable: bool = True) -> None:
        """Read the file, if there is one. Where it is not ``writable``, save() does nothing, as in check mode."""
        self._writable = writable
        name = hashlib.sha256(f"{registry}/{repository}".encode()).hexdigest()
        self._path = os.path.join(directory, f"{name}.json") if directory else None
        self.known = self._load()

    def save(self, records: t.Mapping[str, ManifestRecord]) -> None:
        """Keep ``records``, and only these: what the repository no longer has is dropped. Raises LocalStorageError."""
        if self._path is None or not self._writable or records == self.known:
            return
        content = json.dumps(records, separators=(",", ":")).encode()
        with storage_errors(self._path):
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            with replacing(self._path, private=True) as file:
                write_all(file, _seal(content) + content)

    def _load(self) -> dict[str, ManifestRecord]:
        if self._path is None:
            return {}
        try:
            # Somebody's pipe of this name would keep a reader waiting.
            with open(os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                status = os.fstat(file.fileno())
                if (
                    status.st_uid != os.geteuid()
                    or status.st_mode & 0o022
                    or not stat.S_ISREG(status.st_mode)
                ):
                    return {}
                seal, content = file.readline(200), file.read()
            if seal != _seal(content):
                return {}
            return {digest: _from_json(*entry) for digest, entry in json.loads(content).items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return {}


def take_snapshot(
    repository: Repository,
    cache: SnapshotCache,
    untagged: t.Iterable[str] = (),
    labels: t.Collection[str] = (),
    progress: Progress | None = None,
) -> Snapshot | None:
    """Read what the policy has to know of a repository, or None where it does not exist.

    A HEAD for each tag; a manifest and a config for each digest that is not in ``cache``, and for those in
    ``untagged`` that exist. ``labels`` are the names of those that rules ask for. A tag whose data cannot be
    read has the digest None. Raises what says nothing about single tags, such as a refusal or a registry that
    is overloaded, and ProtocolError for manifests that lead to one another without end. ``progress`` is told what was read.
    """
    progress = progress or Progress()
    page = repository.tags()
    if page is None:
        return None
    stage = progress.stage(f"{repository}: read", "tags", len(page.names))
    states = read_tags(repository, page.names, note=stage.advance)
    for error in states.unreadable.values():
        _raise_if_transient(error)
    tags: dict[str, str | None] = {tag: descriptor.digest for tag, descriptor in states.descriptors.items()}
    tags.update(dict.fromkeys([*states.unreadable, *states.dangling]))
    reading = _Reading(repository, cache.known, labels)
    # What a signature is about may have lost its tags.
    subjects = filter(None, map(subject_of_tag, tags))
    roots = {*subjects, *untagged, *filter(None, tags.values())}
    stage = progress.stage(f"{repository}: read", "manifests")

    def visit(digest: str) -> list[str]:
        following = reading.visit(digest)
        stage.advance()
        return following

    walk(roots, visit, repository.concurrency)
    manifests = reading.manifests
    cache.save({digest: record for digest, record in manifests.items() if digest not in reading.unsure})
    _describe_indexes(manifests)
    broken = _depending_on(reading.unreadable, manifests)

    def readable(tag: str) -> bool:
        return tags[tag] in manifests and broken.isdisjoint((tags[tag], subject_of_tag(tag)))

    return Snapshot(
        {tag: digest if readable(tag) else None for tag, digest in sorted(tags.items())},
        manifests,
        states.dangling,
    )


class _Reading:
    """The manifests of a repository, as they are read one by one, by several threads."""

    def __init__(
        self, repository: Repository, known: t.Mapping[str, ManifestRecord], labels: t.Collection[str]
    ) -> None:
        self._repository = repository
        self._labels = sorted(labels)
        # What was read for rules that asked for other labels is read anew.
        self._known = {
            digest: record for digest, record in known.items() if {*labels} <= {*dict(record.labels)}
        }
        self.manifests: dict[str, ManifestRecord] = {}
        self.unreadable: set[str] = set()
        self.unsure: set[str] = set()

    def visit(self, digest: str) -> list[str]:
        """Add the record of a manifest, and return the manifests that it names.

        It is ``unreadable`` if the registry fails; what is absent has no record.
        """
        record = self._known.get(digest) or self._read(digest)
        if record is None:
            return []
        self.manifests[digest] = record
        blobs = {blob for blob, _size in record.blobs}
        return [other for other in (*record.children, record.subject) if other and other not in blobs]

    def _read(self, digest: str) -> ManifestRecord | None:
        try:
            fetched = self._repository.find_manifest(digest)
            return self._record(fetched.manifest) if fetched else None
        except (ProtocolError, ServerFault, DigestMismatch) as error:
            _raise_if_transient(error)
            self.unreadable.add(digest)
            return None

    def _record(self, manifest: Manifest) -> ManifestRecord:
        created = created_time(manifest, None)
        config = self._config(manifest) if created is None or self._labels else None
        return ManifestRecord(
            manifest.media_type,
            len(manifest.raw),
            created_time(manifest, config) if config else created,
            # All of them: build caches have indexes of layers, and some tools name types of their own.
            tuple(child.digest for child in manifest.children),
            manifest.subject.digest if manifest.subject else None,
            tuple(
                (descriptor.digest, descriptor.size)
                for descriptor in manifest.successors()
                if not descriptor.is_manifest
            ),
            tuple(removed_tags(manifest, config["full"])) if config else (),
            self._read_labels(manifest, config),
            tuple(child.digest for child in manifest.children if child.attests),
        )

    def _read_labels(
        self, manifest: Manifest, config: t.Mapping[str, t.Any] | None
    ) -> tuple[tuple[str, str | None], ...]:
        """Return the labels that are asked for, none of them where the configuration cannot be read."""
        if config is None and (manifest.is_image or manifest.is_schema1):
            return ()
        labels = config["labels"] if config else {}
        values = ((name, labels.get(name)) for name in self._labels)
        return tuple((name, value if isinstance(value, str) else None) for name, value in values)

    def _config(self, manifest: Manifest) -> dict[str, t.Any] | None:
        """Return the config of an image, or None. What is gone or malformed tells nothing; other failures are raised."""
        try:
            return image_config(self._repository, manifest)
        except NotFound:
            self.unsure.add(manifest.digest)
        except ProtocolError as error:
            if error.status:
                raise
        return None


def _raise_if_transient(error: RegistryError) -> None:
    """Raise an error that will pass, and tells nothing about a manifest; others, such as 500, a damaged one has as well."""
    if error.status in _OVERLOADED:
        raise error


def _describe_indexes(manifests: dict[str, ManifestRecord]) -> None:
    """Give indexes dates and labels: those of the newest image in it, and what all images in it have in common.

    An index with a date of its own keeps that. Attestations in it are no images.
    """
    children = {digest: record.children for digest, record in manifests.items()}
    for digest in reversed(parents_first(children)):
        record = manifests[digest]
        if not record.children:
            continue
        inner = {child: manifests[child] for child in record.children if child in manifests}
        if record.created is None:
            dates = [child.created for child in inner.values() if child.created is not None]
            record = record._replace(created=max(dates, default=None))
        images = [dict(child.labels) for name, child in inner.items() if name not in record.attestations]
        if images:
            record = record._replace(labels=tuple(_common_labels(images, dict(record.labels))))
        manifests[digest] = record


def _common_labels(
    images: t.Sequence[t.Mapping[str, str | None]], names: t.Iterable[str]
) -> t.Iterator[tuple[str, str | None]]:
    """Yield the labels ``names`` with the value that all images have, or None. One that is not known of an image is left out."""
    for name in names:
        if all(name in labels for labels in images):
            values = {labels[name] for labels in images}
            yield name, values.pop() if len(values) == 1 else None


def _depending_on(digests: set[str], manifests: t.Mapping[str, ManifestRecord]) -> set[str]:
    """Return ``digests`` and all that name one of them, directly or not."""
    named_by: dict[str, list[str]] = {}
    for digest, record in manifests.items():
        for other in filter(None, (*record.children, record.subject)):
            named_by.setdefault(other, []).append(digest)
    return closure(digests, named_by)


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
    labels: list[tuple[str, str | None]],
    attestations: list[str],
) -> ManifestRecord:
    return ManifestRecord(
        media_type,
        size,
        created,
        tuple(children),
        subject,
        tuple((digest, length) for digest, length in blobs),
        tuple(removed),
        tuple((name, value) for name, value in labels),
        tuple(attestations),
    )
