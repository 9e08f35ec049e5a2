# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The one copy engine: an image and everything it needs, from one store to another."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ocikit.registry.plugins.module_utils._content import (
    OCI_INDEX,
    Descriptor,
    Manifest,
    Platform,
    choose,
)
from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    NotFound,
    ProtocolError,
    RegistryError,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._parallel import each
from ansible_collections.ocikit.registry.plugins.module_utils._stores import Source, Store

_MAX_DEPTH = 5
_MAX_MANIFESTS = 10000
_BLOBS_MISSING = frozenset(("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"))


@dataclass
class Plan:
    """What a copy has to do, found without writing anything.

    ``levels`` holds the manifests to be written, the roots in the first; ``blobs`` what is missing, and ``present``
    what is not. ``foreign`` layers stay at their URLs.
    """

    levels: list[list[Manifest]] = field(default_factory=list)
    blobs: list[Descriptor] = field(default_factory=list)
    present: list[Descriptor] = field(default_factory=list)
    foreign: list[Descriptor] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """How many bytes of blobs are missing."""
        return sum(blob.size for blob in self.blobs)

    @property
    def complete(self) -> bool:
        """Whether the destination has everything already, names apart."""
        return not self.blobs and not any(self.levels)


@dataclass
class Transfer:
    """What a copy did."""

    copied: list[Descriptor] = field(default_factory=list)
    mounted: list[Descriptor] = field(default_factory=list)


def plan(
    source: Source, destination: Store, roots: t.Sequence[Manifest], concurrency: int, include_foreign: bool = False
) -> Plan:
    """Find out what ``destination`` lacks of the images ``roots`` of ``source``.

    Manifests that the destination has are read there. Raises ProtocolError for an index nested too deeply.
    """
    result = Plan()
    seen: set[str] = set()
    blobs: dict[str, Descriptor] = {}
    level = list({root.digest: root for root in roots}.values())
    while level:
        if len(result.levels) > _MAX_DEPTH or len(seen) > _MAX_MANIFESTS:
            raise ProtocolError("The index is nested too deeply, or has too many manifests, to be an image.")
        seen.update(manifest.digest for manifest in level)
        here = each(lambda manifest: destination.exists(manifest.descriptor), level, concurrency)
        result.levels.append([manifest for manifest, exists in zip(level, here) if not exists])
        children: dict[str, Descriptor] = {}
        for manifest, exists in zip(level, here):
            if manifest.is_schema1:
                raise Unsupported(f"{manifest.digest} is a schema 1 manifest: it can be read, but not copied.")
            if exists and destination.vouches:
                continue
            for successor in manifest.successors():
                if successor.is_manifest and successor.digest not in seen:
                    children[successor.digest] = successor
                elif not successor.is_manifest:
                    blobs.setdefault(successor.digest, successor)
        level = each(lambda child: _nearest(source, destination, child), children.values(), concurrency)
    foreign = [blob for blob in blobs.values() if blob.is_foreign and not include_foreign]
    result.foreign = foreign
    wanted = [blob for blob in blobs.values() if blob not in foreign]
    found = each(destination.exists, wanted, concurrency)
    result.blobs = [blob for blob, exists in zip(wanted, found) if not exists]
    result.present = [blob for blob, exists in zip(wanted, found) if exists]
    return result


def execute(
    work: Plan,
    source: Source,
    destination: Store,
    names: t.Mapping[str, t.Sequence[str]],
    concurrency: int,
) -> Transfer:
    """Carry ``work`` out: blobs first, the largest ahead; then manifests from the bottom up, the roots last.

    ``names`` maps the digests of roots to the names that are to point to them. So nothing that a name leads to is ever
    incomplete.
    """
    transfer = Transfer()
    blobs = sorted(work.blobs, key=lambda blob: -blob.size)
    moved = each(lambda blob: destination.put_blob(blob, source), blobs, concurrency)
    for blob, by_bytes in zip(blobs, moved):
        (transfer.copied if by_bytes else transfer.mounted).append(blob)
    for level in reversed(work.levels):
        each(
            lambda manifest: _put(manifest, source, destination, names.get(manifest.digest) or [None]),
            level,
            concurrency,
        )
    return transfer


def copy_graph(
    source: Source,
    destination: Store,
    root: Manifest,
    names: t.Sequence[str],
    concurrency: int,
    include_foreign: bool = False,
) -> Transfer:
    """Copy the image ``root`` and let ``names`` point to it; without names it is stored by its digest."""
    work = plan(source, destination, [root], concurrency, include_foreign)
    # The names may be new although the manifest is not.
    work.levels[0] = [root]
    return execute(work, source, destination, {root.digest: names}, concurrency)


def select(source: Source, root: Manifest, platforms: t.Sequence[Platform], what: str) -> Manifest:
    """Return ``root`` reduced to ``platforms``: itself for none, one image for one, a new index for several.

    Attestations go with the images that they are about. Raises NotFound naming the platforms that there are.
    """
    if not platforms:
        return root
    if not root.is_index:
        raise NotFound(f"{what} is a single image and no index: leave the platform out.")
    chosen = []
    for platform in platforms:
        child = choose(root.children, platform)
        if child is None:
            offered = sorted({str(one.platform) for one in root.children if one.platform and one.platform.known})
            raise NotFound(f"{what} has no image for {platform}: it has {', '.join(offered) or 'none with a platform'}.")
        chosen.append(child)
    if len(platforms) == 1:
        return source.fetch_manifest(chosen[0])
    kept = {child.digest for child in chosen}
    entries = [
        entry
        for entry, child in zip(root.data["manifests"], root.children)
        if child.digest in kept or child.attests in kept
    ]
    if len(entries) == len(root.children):
        return root
    data = {**root.data, "manifests": entries, "mediaType": root.media_type or OCI_INDEX}
    return Manifest.parse(json.dumps(data, separators=(",", ":")).encode(), root.media_type)


def _nearest(source: Source, destination: Store, descriptor: Descriptor) -> Manifest:
    return (destination if destination.exists(descriptor) else source).fetch_manifest(descriptor)


def _put(
    manifest: Manifest, source: Source, destination: Store, names: t.Sequence[str | None]
) -> None:
    for name in names:
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
