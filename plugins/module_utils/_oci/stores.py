# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What the copy engine needs of a place that keeps images, and the plan of a copy between two of them."""

from __future__ import annotations

import io
import typing as t
from dataclasses import dataclass, field

from .content import Descriptor, Manifest


class Contents(t.Protocol):
    """What is found by its digest."""

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        """Return a manifest whose bytes have the descriptor's digest."""

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
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

    def exists(self, descriptor: Descriptor) -> bool:
        """Tell whether the content is here, complete and right."""

    def writing(self, work: CopyPlan, names: t.Mapping[str, t.Sequence[str]]) -> t.ContextManager[t.Any]:
        """Return the context in which the puts of a copy happen; it knows what they are going to be.

        ``names`` maps the digests of roots to the names that are to point to them.
        """

    def put_blob(self, descriptor: Descriptor, source: Source) -> bool:
        """Store a blob of ``source``, verified. False: it was mounted, and no byte had to move."""

    def put_manifest(self, manifest: Manifest, name: str | None = None) -> None:
        """Store a manifest whose successors are here, and let ``name`` point to it if one is given."""


@dataclass
class CopyPlan:
    """What a copy has to do, found without writing anything.

    ``levels`` holds the manifests, the roots in the first, and ``existing`` the digests of those that the destination has.
    ``blobs`` are missing in it, ``present`` ones are not. ``foreign`` layers stay at their URLs, and ``elsewhere`` is what
    the user has in another place. ``sources`` tells for each digest where it comes from.
    """

    levels: list[list[Manifest]] = field(default_factory=list)
    existing: set[str] = field(default_factory=set)
    blobs: list[Descriptor] = field(default_factory=list)
    present: list[Descriptor] = field(default_factory=list)
    foreign: list[Descriptor] = field(default_factory=list)
    elsewhere: list[Descriptor] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)

    @property
    def manifests(self) -> list[Manifest]:
        """All manifests, the roots first."""
        return [manifest for level in self.levels for manifest in level]

    @property
    def bytes(self) -> int:
        """How many bytes of blobs are missing."""
        return sum(blob.size for blob in self.blobs)

    @property
    def complete(self) -> bool:
        """Whether the destination has everything already, names apart."""
        return not self.blobs and all(manifest.digest in self.existing for manifest in self.manifests)

    def named(self, names: t.Mapping[str, t.Sequence[str]]) -> list[tuple[Manifest, str]]:
        """Return the roots with each of their ``names``, in the order of these."""
        manifests = {manifest.digest: manifest for manifest in self.manifests}
        return [(manifests[digest], name) for digest, own in names.items() for name in own]
