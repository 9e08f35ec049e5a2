# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Where signatures and attestations of an image are kept: cosign's tags, and referrers with cosign's or Sigstore's types."""

from __future__ import annotations

import typing as t

from .._errors import RegistryError
from .._oci.content import Descriptor, Manifest
from .._oci.digest_tags import cosign_tag_names
from .._oci.signature_types import (
    BUNDLE_PREDICATE_TYPE,
    BUNDLE_PREFIX,
    COSIGN_SIGNATURE,
    DSSE_ENVELOPE,
    SIGN_PREDICATE,
    SIMPLE_SIGNING,
)
from .._registry.referrers import list_referrers
from .._registry.repository import Repository
from .bundles import Evidence, read_attestation_layer, read_bundle, read_signature_layer
from .contents import UNREADABLE
from .listed_referrers import MAX_REFERRERS, listed_type, read_listed

# How many signatures, or attestations, of one image are read at most.
MAX_SIGNATURES = 100
# In bytes, each.
_LIMITS = {"signatures": 1 << 20, "attestations": 16 << 20}
REFERRER = "referrer"
_SUFFIXES = {"signatures": ".sig", "attestations": ".att"}
_LAYER_TYPES = {"signatures": SIMPLE_SIGNING, "attestations": DSSE_ENVELOPE}


class Stored(t.NamedTuple):
    """One stored signature: what it holds, or the reason why it cannot be read. ``name`` stands for it in messages."""

    name: str
    evidence: Evidence | None
    reason: str = ""


class StoredSignatures:
    """The signatures, or attestations, of one image. ``remarks`` tells what was not read, once all were."""

    def __init__(self, repository: Repository, digest: str, kind: str) -> None:
        """``kind`` is "signatures" or "attestations"."""
        self._repository = repository
        self._digest = digest
        self._kind = kind
        self._left = MAX_SIGNATURES
        self.remarks: list[str] = []

    def read(self, needed: t.Callable[[], bool]) -> t.Iterator[Stored]:
        """Yield what is stored, as long as it is ``needed``: the tag of cosign first, then referrers.

        Requests: a GET for the tag; the listing of referrers and a GET for each; a GET for each signature.
        """
        for find in (self._tagged, self._referring):
            if needed():
                yield from self._read_all(self._try(find), needed)

    def _try(self, find: t.Callable[[], list[tuple[str, Descriptor]]]) -> list[tuple[str, Descriptor]]:
        """Return what ``find`` returns. A place that cannot be read has no signatures, and hides none of the other place."""
        try:
            return find()
        except UNREADABLE as error:
            self.remarks.append(_sentence(error))
            return []

    def _tagged(self) -> list[tuple[str, Descriptor]]:
        """Return the layers under cosign's tag."""
        names = [name for name in cosign_tag_names(self._digest) if name.endswith(_SUFFIXES[self._kind])]
        layers = []
        for name in names:
            fetched = self._repository.find_manifest(name)
            if fetched:
                layers += self._layers(fetched.manifest, f"tag {_SUFFIXES[self._kind]}")
        return layers

    def _referring(self) -> list[tuple[str, Descriptor]]:
        """Return the layers of referrers that hold signatures. What is listed is a hint; their manifests decide."""
        listed = list_referrers(self._repository, self._digest).descriptors
        likely = sorted(listed, key=self._rank)[:MAX_REFERRERS]
        if len(listed) > len(likely):
            self.remarks.append(f"only {len(likely)} of {len(listed)} referrers were read")
        layers = []
        for referrer in read_listed(self._repository, self._digest, likely):
            if referrer.manifest and not self._is_other(referrer.manifest):
                layers += self._layers(referrer.manifest, REFERRER)
        return layers

    def _rank(self, listed: Descriptor) -> int:
        """Return 0 for what is listed as a signature, 1 for what is listed without a type, 2 for anything else."""
        kind = listed_type(listed)
        if self._is_other(listed):
            return 2
        if kind is None:
            return 1
        return 0 if kind == COSIGN_SIGNATURE or kind.startswith(BUNDLE_PREFIX) else 2

    def _is_other(self, referrer: Descriptor | Manifest) -> bool:
        """Tell whether the annotations of a referrer say that it is no signature, or no attestation."""
        predicate_type = referrer.annotations.get(BUNDLE_PREDICATE_TYPE)
        return predicate_type is not None and (predicate_type == SIGN_PREDICATE) != (
            self._kind == "signatures"
        )

    def _layers(self, manifest: Manifest, place: str) -> list[tuple[str, Descriptor]]:
        """Return the layers of ``manifest`` that hold signatures, with what messages call them."""
        types = [_LAYER_TYPES[self._kind]] if place != REFERRER or _is_of_cosign_2(manifest) else []
        return [
            (f"{layer.digest[:19]} ({place})", layer)
            for layer in manifest.layers
            if layer.media_type in types or layer.media_type.startswith(BUNDLE_PREFIX)
        ]

    def _read_all(
        self, layers: t.Sequence[tuple[str, Descriptor]], needed: t.Callable[[], bool]
    ) -> t.Iterator[Stored]:
        if len(layers) > self._left:
            self.remarks.append(f"only {self._left} of {len(layers)} {self._kind} were read")
        layers, self._left = layers[: self._left], max(0, self._left - len(layers))
        step = max(1, self._repository.concurrency)
        for start in range(0, len(layers), step):
            if not needed():
                return
            yield from self._repository.map(self._read, layers[start : start + step])

    def _read(self, place: tuple[str, Descriptor]) -> Stored:
        name, layer = place
        try:
            raw = self._repository.read_blob(layer, _LIMITS[self._kind])
            return Stored(name, _evidence(raw, layer))
        except UNREADABLE as error:
            return Stored(name, None, _sentence(error))


def _is_of_cosign_2(referrer: Manifest) -> bool:
    """Tell whether a referrer is one of cosign's OCI 1.1 mode, which has signatures only."""
    return referrer.artifact_type == COSIGN_SIGNATURE


def _evidence(raw: bytes, layer: Descriptor) -> Evidence:
    if layer.media_type == SIMPLE_SIGNING:
        return read_signature_layer(raw, layer.annotations)
    if layer.media_type == DSSE_ENVELOPE:
        return read_attestation_layer(raw, layer.annotations)
    return read_bundle(raw)


def _sentence(error: RegistryError) -> str:
    return str(error).rstrip(".")
