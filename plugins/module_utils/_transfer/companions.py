# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What goes along with an image when it is copied: referrers, and the tags in which cosign keeps signatures."""

from __future__ import annotations

from .._errors import ProtocolError
from .._oci.content import Manifest
from .._parallel import map_concurrent
from .._registry.referrers import cosign_tags, find_referrers
from .._registry.repository import Repository

_MAX_ROUNDS = 5


def companions(
    store: Repository, root: Manifest, referrers: bool, signatures: bool, concurrency: int
) -> list[tuple[Manifest, list[str]]]:
    """Return the manifests that refer to ``root``, its children, or each other, with the tags that they have.

    Raises ProtocolError where references go on without an end.
    """
    found: dict[str, tuple[Manifest, list[str]]] = {}
    subjects = [root.digest] + [child.digest for child in root.children]
    for _round in range(_MAX_ROUNDS):
        fresh: list[str] = []
        for pairs in map_concurrent(
            lambda digest: _refer_to(store, digest, referrers, signatures), subjects, concurrency
        ):
            for manifest, tags in pairs:
                if manifest.digest not in found:
                    found[manifest.digest] = (manifest, [])
                    fresh.append(manifest.digest)
                names = found[manifest.digest][1]
                names += [tag for tag in tags if tag not in names]
        if not fresh:
            return list(found.values())
        subjects = fresh
    raise ProtocolError(
        f"What refers to {root.digest} is referred to in turn, more than {_MAX_ROUNDS} times."
    )


def _refer_to(
    store: Repository, digest: str, referrers: bool, signatures: bool
) -> list[tuple[Manifest, list[str]]]:
    client, repository = store.client, store.name
    pairs: list[tuple[Manifest, list[str]]] = []
    if referrers:
        listed = find_referrers(client, repository, digest).descriptors
        pairs += [(store.fetch_manifest(descriptor), []) for descriptor in listed]
    if signatures:
        tags = cosign_tags(client, repository, digest)
        pairs += [(store.fetch_manifest(descriptor), [tag]) for tag, descriptor in tags.items()]
    return pairs
