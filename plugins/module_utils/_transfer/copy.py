# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The one copy engine: an image and everything it needs, from one store to another."""

from __future__ import annotations

import io
import itertools
import json
import typing as t
from dataclasses import dataclass, field

from .._errors import DigestMismatch, NotFound, ProtocolError, RegistryError, Unsupported
from .._oci.content import Descriptor, Manifest, Platform
from .._oci.graph import depths, walk
from .._oci.stores import Contents, CopyPlan, Source, Store
from .._parallel import Concurrency, map_concurrent
from .._progress import Progress, Transfer
from .._registry.images import ImagePicker
from .metered import MeteredSource

MAX_BLOBS = 100_000
# Without a number of the user, so many blobs move at a time if they have no more bytes together: their buffers are then no
# larger than those of eight large ones.
_SMALL_BLOBS = 16
_SMALL_BYTES = 64 << 20
_BLOBS_MISSING = frozenset(("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"))


@dataclass
class CopyResult:
    """What a copy did."""

    copied: list[Descriptor] = field(default_factory=list)
    mounted: list[Descriptor] = field(default_factory=list)


def plan(
    images: t.Sequence[tuple[Source, Descriptor | Manifest]],
    destination: Store,
    concurrency: int,
    include_foreign: bool = False,
    has_elsewhere: t.Callable[[Descriptor], bool] = lambda descriptor: False,
    existing: t.Iterable[str] = (),
    complete: t.Container[str] = (),
    written: t.Container[str] = (),
    progress: Progress | None = None,
) -> CopyPlan:
    """Find out what ``destination`` lacks of ``images``, each with where it is read from.

    Manifests that the destination has are read from it. That it has one does not mean that it has all that this one
    needs, so all of that is looked for. The digests ``existing`` are known to be there, those in ``complete`` with all that
    they need. Those in ``written`` are written in any case, to get new names, so they are not looked for. Blobs for which
    ``has_elsewhere`` is true are left out, and non-distributable layers unless ``include_foreign``. Up to ``concurrency`` requests
    are under way at a time. ``progress`` is told which blobs were looked for: a store on disk may read them. Raises
    ProtocolError for an index nested too deeply, or with too many blobs, Unsupported for schema 1.
    """
    graph = _Graph(images, destination, existing, complete, written)
    levels = walk(graph.roots, graph.visit, concurrency)
    result = CopyPlan(existing=graph.existing)
    blobs = graph.blobs(levels, result.sources)
    result.levels = graph.by_depth(levels)
    needed: list[Descriptor] = []
    for blob in blobs:
        if blob.is_foreign and not include_foreign:
            result.foreign.append(blob)
        else:
            (result.elsewhere if has_elsewhere(blob) else needed).append(blob)
    stage = (progress or Progress()).stage("checked", "blobs", len(needed))

    def is_present(blob: Descriptor) -> bool:
        present = destination.exists(blob)
        stage.advance()
        return present

    exists = map_concurrent(is_present, needed, concurrency, light=True)
    result.blobs = [blob for blob, present in zip(needed, exists) if not present]
    result.present = [blob for blob, present in zip(needed, exists) if present]
    return result


class _Graph:
    """The manifests that a copy is about. ``existing`` are those that the destination has."""

    def __init__(
        self,
        images: t.Sequence[tuple[Source, Descriptor | Manifest]],
        destination: Store,
        existing: t.Iterable[str],
        complete: t.Container[str],
        written: t.Container[str],
    ) -> None:
        self.existing = set(existing)
        self._destination = destination
        self._complete = complete
        self._written = written
        self._manifests: dict[str, Manifest] = {}
        self._root_sources: dict[str, Source] = {}
        # What each digest is, and a source that has it.
        self._reached: dict[str, tuple[Descriptor, Source]] = {}
        for source, root in images:
            self._root_sources.setdefault(root.digest, source)
            if isinstance(root, Manifest):
                self._manifests[root.digest] = root
                root = root.descriptor
            self._reached.setdefault(root.digest, (root, source))

    @property
    def roots(self) -> list[str]:
        return list(self._root_sources)

    def visit(self, digest: str) -> list[str]:
        """Look for a manifest and read it; return the digests of its children."""
        descriptor, source = self._reached[digest]
        if digest in self._complete:
            self.existing.add(digest)
            self._manifests.setdefault(digest, source.fetch_manifest(descriptor))
            return []
        if digest not in self.existing and digest not in self._written:
            if self._destination.exists(descriptor):
                self.existing.add(digest)
        manifest = self._manifests.get(digest) or self._read(descriptor, source)
        self._manifests[digest] = manifest
        if manifest.is_schema1:
            raise Unsupported(f"{digest} is a schema 1 manifest: it can be read, but not copied.")
        children = [child for child in manifest.successors() if child.is_manifest]
        for child in children:
            self._reached.setdefault(child.digest, (child, source))
        return [child.digest for child in children]

    def _read(self, descriptor: Descriptor, source: Source) -> Manifest:
        """Return a manifest from the destination, else from ``source``: not each registry lets one read without limit."""
        if descriptor.digest in self.existing:
            try:
                return self._destination.fetch_manifest(descriptor)
            except (DigestMismatch, NotFound):
                # It is written again.
                self.existing.discard(descriptor.digest)
        return source.fetch_manifest(descriptor)

    def blobs(self, levels: t.Iterable[list[str]], sources: dict[str, Source]) -> list[Descriptor]:
        """Return the blobs of all manifests, and note in ``sources`` where each digest is read from.

        That is the source of the first manifest that leads to it, whichever thread came first.
        """
        blobs: dict[str, Descriptor] = {}
        sources.update(self._root_sources)
        for digest in (digest for level in levels for digest in level):
            for successor in self._successors(digest):
                sources.setdefault(successor.digest, sources[digest])
                if not successor.is_manifest:
                    blobs.setdefault(successor.digest, successor)
            if len(blobs) > MAX_BLOBS:
                raise ProtocolError(
                    f"The images have more than {MAX_BLOBS} blobs: copy fewer of them at a time."
                )
        return list(blobs.values())

    def by_depth(self, levels: t.Iterable[list[str]]) -> list[list[Manifest]]:
        """Arrange the manifests so that each stands below all that need it, also where it is a root itself."""
        children = {
            digest: [child.digest for child in self._successors(digest) if child.is_manifest]
            for level in levels
            for digest in level
        }
        depth_of = depths(children)
        arranged: list[list[Manifest]] = [[] for _depth in range(max(depth_of.values()) + 1)]
        for digest, depth in depth_of.items():
            arranged[depth].append(self._manifests[digest])
        return arranged

    def _successors(self, digest: str) -> list[Descriptor]:
        return [] if digest in self._complete else self._manifests[digest].successors()


def execute(
    work: CopyPlan,
    destination: Store,
    names: t.Mapping[str, t.Sequence[str]],
    concurrency: int,
    transfer: Transfer | None = None,
) -> CopyResult:
    """Carry ``work`` out: blobs first, the largest ahead; then manifests from the bottom up, the roots last.

    ``names`` maps the digests of roots to the names that are to point to them. So nothing that a name leads to is ever
    incomplete. Up to ``concurrency`` blobs move at a time, or more small ones if the user gave no number; ``transfer``,
    which expects them, is told how far they are. Raises what the sources and ``destination`` raise; what was stored by
    then stays, without a name.
    """
    result = CopyResult()
    blobs = sorted(work.blobs, key=lambda blob: -blob.size)

    def move(blob: Descriptor) -> bool:
        source = work.sources[blob.digest]
        if not transfer:
            return destination.put_blob(blob, source)
        by_bytes = destination.put_blob(blob, MeteredSource(source, transfer))
        transfer.finish(blob.digest, blob.size, by_bytes)
        return by_bytes

    with destination.writing(work, names):
        moved = map_concurrent(move, blobs, _at_a_time(blobs, concurrency))
        for level in reversed(work.levels):
            puts: list[tuple[Manifest, str | None]] = []
            for manifest in level:
                # A name may be new although the manifest is not.
                default = [] if manifest.digest in work.existing else [None]
                puts += [(manifest, name) for name in names.get(manifest.digest) or default]
            map_concurrent(
                lambda put: _put(work.sources[put[0].digest], destination, *put), puts, concurrency
            )
    for blob, by_bytes in zip(blobs, moved):
        (result.copied if by_bytes else result.mounted).append(blob)
    return result


def _at_a_time(blobs: t.Sequence[Descriptor], concurrency: int) -> int:
    """Return how many of ``blobs``, the largest of which come first, move at a time."""
    limit = concurrency.limit if isinstance(concurrency, Concurrency) else concurrency
    totals = itertools.accumulate(blob.size for blob in blobs[: min(limit, _SMALL_BLOBS)])
    return max(sum(total <= _SMALL_BYTES for total in totals), int(concurrency))


def select(
    source: Contents, root: Manifest, platforms: t.Sequence[Platform], name: str, concurrency: int = 1
) -> Manifest:
    """Return ``root`` reduced to ``platforms``: itself for none, one image for one, a new index for several.

    Attestations go with the images that they are about. Images of indexes within the index move to the new one. ``root``
    stays what it is where nothing would be left out. Raises NotFound that names the platforms of ``name``.
    """
    if not platforms:
        return root
    picker = ImagePicker(source, root, name, concurrency)
    picked = {choice.image.digest: choice.image for choice in map(picker.pick, platforms)}
    if len(picked) == 1:
        (image,) = picked.values()
        return root if image.digest == root.digest else source.fetch_manifest(image)
    entries: list[dict[str, t.Any]] = []
    whole = True
    followed = {index.digest for index in picker.indexes}
    for index in picker.indexes:
        for entry, child in zip(index.data["manifests"], index.children):
            if child.digest in picked or child.attests in picked:
                entries += [] if entry in entries else [entry]
            else:
                whole = whole and child.digest in followed
    if whole:
        return root
    data = {**root.data, "manifests": entries, "mediaType": root.media_type}
    return Manifest.parse(json.dumps(data, separators=(",", ":")).encode(), root.media_type)


class FallbackSource:
    """What ``preferred`` has is read there, all else from ``fallback``."""

    def __init__(self, preferred: Store, fallback: Contents) -> None:
        self._preferred = preferred
        self._fallback = fallback

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        return self._holder(descriptor).fetch_manifest(descriptor)

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        return self._holder(descriptor).open_blob(descriptor)

    def _holder(self, descriptor: Descriptor) -> Contents:
        return self._preferred if self._preferred.exists(descriptor) else self._fallback


def _put(source: Source, destination: Store, manifest: Manifest, name: str | None) -> None:
    try:
        destination.put_manifest(manifest, name)
    except RegistryError as error:
        if error.code not in _BLOBS_MISSING:
            raise
        # Garbage collection may have taken what existed a moment ago: once more, with everything sent.
        for successor in manifest.successors():
            if not successor.is_manifest and not successor.is_foreign:
                destination.put_blob(successor, source)
        destination.put_manifest(manifest, name)
