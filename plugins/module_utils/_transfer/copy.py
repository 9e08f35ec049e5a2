# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The one copy engine: an image and everything it needs, from one store to another."""

from __future__ import annotations

import io
import json
import typing as t
from dataclasses import dataclass, field

from .._errors import ProtocolError, RegistryError, Unsupported
from .._oci.content import Descriptor, Manifest, Platform
from .._oci.stores import Contents, CopyPlan, Source, Store
from .._parallel import map_concurrent
from .._registry.images import ImagePicker

_MAX_NESTING = 6
_MAX_CONTENTS = 100000
_BLOBS_MISSING = frozenset(("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"))


@dataclass
class CopyResult:
    """What a copy did."""

    copied: list[Descriptor] = field(default_factory=list)
    mounted: list[Descriptor] = field(default_factory=list)


def plan(
    images: t.Sequence[tuple[Source, Manifest]],
    destination: Store,
    concurrency: int,
    include_foreign: bool = False,
    has_elsewhere: t.Callable[[Descriptor], bool] = lambda descriptor: False,
) -> CopyPlan:
    """Find out what ``destination`` lacks of ``images``, each a root manifest and where it is read from.

    Manifests that the destination has are read there. Blobs for which ``has_elsewhere`` is true are left out.
    Raises ProtocolError for an index nested too deeply, Unsupported for schema 1.
    """
    result = CopyPlan()
    blobs: dict[str, Descriptor] = {}
    found: dict[str, Manifest] = {}
    needs: dict[str, list[str]] = {}
    for source, root in images:
        result.sources.setdefault(root.digest, source)
    level: list[Descriptor | Manifest] = list({root.digest: root for _source, root in images}.values())
    nesting = 0
    while level:
        nesting += 1
        if nesting > _MAX_NESTING or len(result.sources) > _MAX_CONTENTS:
            raise ProtocolError("The index is nested too deeply, or has too many entries, to be an image.")
        children: dict[str, Descriptor | Manifest] = {}
        visits = map_concurrent(
            lambda one: _visit(one, result.sources[one.digest], destination), level, concurrency
        )
        for digest, manifest, exists in visits:
            if exists:
                result.here.add(digest)
            if manifest is None:
                continue
            found[digest] = manifest
            if exists and destination.checks_references:
                continue
            if manifest.is_schema1:
                raise Unsupported(f"{digest} is a schema 1 manifest: it can be read, but not copied.")
            for successor in manifest.successors():
                known = successor.digest in result.sources
                result.sources.setdefault(successor.digest, result.sources[digest])
                if not successor.is_manifest:
                    blobs.setdefault(successor.digest, successor)
                    continue
                needs.setdefault(digest, []).append(successor.digest)
                if not known:
                    children[successor.digest] = successor
        level = list(children.values())
    result.levels = _levels(found, needs, [root.digest for _source, root in images])
    wanted: list[Descriptor] = []
    for blob in blobs.values():
        if blob.is_foreign and not include_foreign:
            result.foreign.append(blob)
        else:
            (result.elsewhere if has_elsewhere(blob) else wanted).append(blob)
    held = map_concurrent(destination.exists, wanted, concurrency)
    result.blobs = [blob for blob, exists in zip(wanted, held) if not exists]
    result.present = [blob for blob, exists in zip(wanted, held) if exists]
    return result


def _visit(
    content: Descriptor | Manifest, source: Source, destination: Store
) -> tuple[str, Manifest | None, bool]:
    """Return a digest, its manifest, and whether the destination has it; one that it vouches for is not read."""
    manifest = content if isinstance(content, Manifest) else None
    descriptor = content.descriptor if isinstance(content, Manifest) else content
    exists = destination.exists(descriptor)
    if manifest is None and not (exists and destination.checks_references):
        manifest = (destination if exists else source).fetch_manifest(descriptor)
    return descriptor.digest, manifest, exists


def _levels(
    manifests: t.Mapping[str, Manifest], needs: t.Mapping[str, list[str]], roots: t.Iterable[str]
) -> list[list[Manifest]]:
    """Arrange manifests so that each stands below all that need it, even if it is a root as well."""
    depths: dict[str, int] = {}

    def sink(digest: str, depth: int) -> None:
        if depths.get(digest, -1) < depth:
            depths[digest] = depth
            for child in needs.get(digest, ()):
                sink(child, depth + 1)

    for root in roots:
        sink(root, 0)
    deepest = max(depths.values())
    return [
        [manifests[digest] for digest, at in depths.items() if at == depth and digest in manifests]
        for depth in range(deepest + 1)
    ]


def execute(
    work: CopyPlan, destination: Store, names: t.Mapping[str, t.Sequence[str]], concurrency: int
) -> CopyResult:
    """Carry ``work`` out: blobs first, the largest ahead; then manifests from the bottom up, the roots last.

    ``names`` maps the digests of roots to the names that are to point to them. So nothing that a name leads to is ever
    incomplete.
    """
    transfer = CopyResult()
    blobs = sorted(work.blobs, key=lambda blob: -blob.size)
    with destination.writing(work, names):
        moved = map_concurrent(
            lambda blob: destination.put_blob(blob, work.sources[blob.digest]), blobs, concurrency
        )
        for level in reversed(work.levels):
            puts: list[tuple[Manifest, str | None]] = []
            for manifest in level:
                # A name may be new although the manifest is not.
                default = [] if manifest.digest in work.here else [None]
                puts += [(manifest, name) for name in names.get(manifest.digest) or default]
            map_concurrent(
                lambda put: _put(work.sources[put[0].digest], destination, *put), puts, concurrency
            )
    for blob, by_bytes in zip(blobs, moved):
        (transfer.copied if by_bytes else transfer.mounted).append(blob)
    return transfer


def copy_graph(
    source: Source,
    destination: Store,
    root: Manifest,
    names: t.Sequence[str],
    concurrency: int,
    include_foreign: bool = False,
) -> CopyResult:
    """Copy the image ``root`` and let ``names`` point to it; without names it is stored by its digest."""
    work = plan([(source, root)], destination, concurrency, include_foreign)
    return execute(work, destination, {root.digest: names}, concurrency)


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
    picked = {one.image.digest: one.image for one in map(picker.pick, platforms)}
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
    """What ``near`` has is read there, all else from ``far``."""

    def __init__(self, near: Store, far: Contents) -> None:
        self._near = near
        self._far = far

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        return self._holder(descriptor).fetch_manifest(descriptor)

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        return self._holder(descriptor).open_blob(descriptor)

    def _holder(self, descriptor: Descriptor) -> Contents:
        return self._near if self._near.exists(descriptor) else self._far


def _put(source: Source, destination: Store, manifest: Manifest, name: str | None) -> None:
    try:
        destination.put_manifest(manifest, name)
    except RegistryError as error:
        if error.code not in _BLOBS_MISSING:
            raise
        # Garbage collection may have taken what was there a moment ago: once more, with everything sent.
        for successor in manifest.successors():
            if not successor.is_manifest and not successor.is_foreign:
                destination.put_blob(successor, source)
        destination.put_manifest(manifest, name)
